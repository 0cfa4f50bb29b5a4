"""How an image is sent: without what is there, whole where that does not do, on from where it was cut off."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.action import image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import chains
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import NoSpace, PlatformDiffers
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils import once as shared

BASE, CODE = "sha256:base", "sha256:code"
ARGS = {"name": "shop:1", "id": "sha256:1"}
VARS = {"inventory_hostname": "web1"}


class Action(image.ActionModule):
    """With a builder and a server that answer as they are told."""

    def __init__(self, platform: str = "linux/amd64", refusal: str = "") -> None:
        self._task = SimpleNamespace(_uuid="1")
        self.refusal, self.platform, self.carried = refusal, platform, []
        self.part, self.sent = b"", []

    def _found(self, *dummy: Any) -> dict[str, Any]:
        return {"id": ARGS["id"], "layers": [BASE, CODE], "platform": self.platform}

    def _carry(self, args: Any, builder: str, there: Any, omit: list[str], task_vars: Any) -> dict[str, Any]:
        self.carried.append(omit)
        failed = {"failed": True, "cause": self.refusal, "msg": "no such layer"}
        return failed if self.refusal and omit else {"how": "delta" if omit else "whole"}

    def _send_piece(self, whole: dict[str, Any], piece: str, offset: int, task_vars: Any) -> dict[str, Any]:
        self.sent.append(offset)
        self.part += Path(piece).read_bytes() if offset == len(self.part) else b""
        done = len(self.part) == whole["part"]["size"]
        return {"how": "loaded"} if done else {"how": "received", "received": len(self.part)}


def there(*layers: str, **told: Any) -> dict[str, Any]:
    """What a server tells that lacks the image."""
    return {"chains": list(chains(layers)), "platform": "linux/amd64", "received": {}, "room": 10**9, **told}


def test_what_is_there_does_not_travel() -> None:
    """And nothing is left out where nothing is there."""
    for layers, omit in (((BASE,), [BASE]), ((), [])):
        action = Action()
        assert "notes" not in action._ship(ARGS, "localhost", there(*layers), VARS)
        assert action.carried == [omit]


@pytest.mark.parametrize("cause", image.WHOLE_HELPS)
def test_the_whole_image_is_sent_where_a_part_does_not_do(cause: str) -> None:
    """And that is told with the reason."""
    action = Action(refusal=cause)
    told = action._ship(ARGS, "localhost", there(BASE), VARS)
    assert (told["how"], action.carried) == ("whole", [[BASE], []])
    assert "no such layer" in told["notes"][0]


def test_more_bytes_do_not_help_a_full_disk() -> None:
    """Nor where no layer was left out."""
    action = Action(refusal="no_space")
    assert action._ship(ARGS, "localhost", there(BASE), VARS)["cause"] == "no_space"
    assert action.carried == [[BASE]]


def test_an_image_for_other_machines_does_not_travel() -> None:
    """Refused before a byte of it."""
    action = Action(platform="linux/arm64")
    with pytest.raises(PlatformDiffers, match=r"linux/arm64.*linux/amd64"):
        action._ship(ARGS, "localhost", there(BASE), VARS)
    assert not action.carried


DATA = bytes(range(256)) * 10


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An archive that is sent in pieces of 1000 bytes."""
    monkeypatch.setattr(image, "CHUNK", 1000)
    monkeypatch.setattr(image.archive, "PIECE", 500)
    (tmp_path / "archive").write_bytes(DATA)
    return {"path": str(tmp_path / "archive"), "bytes": len(DATA), "digest": "sha256:x"}


@pytest.mark.parametrize(
    ("here", "offsets"), {0: [0, 1000, 2000], 700: [700, 1700], 2000: [2000], 2560: [2560]}.items()
)
def test_it_is_sent_in_pieces_from_where_it_was_cut_off(saved: dict[str, Any], here: int, offsets: list[int]) -> None:
    """Only the bytes that were sent are counted."""
    action = Action()
    action.part = DATA[:here]
    told = action._send(ARGS, saved, there(received={"sha256:x": here}), VARS)
    assert (told["how"], told["bytes"]) == ("loaded", len(DATA) - here)
    assert (action.sent, action.part) == (offsets, DATA)


def test_a_server_without_room_is_sent_nothing(saved: dict[str, Any]) -> None:
    """What is there already needs no more room."""
    action = Action()
    with pytest.raises(NoSpace):
        action._send(ARGS, saved, there(room=2000), VARS)
    assert not action.sent


def test_two_jobs_that_send_the_same_do_not_go_round_for_ever(saved: dict[str, Any]) -> None:
    """It ends with a word."""
    action = Action()
    action._send_piece = lambda *dummy: {"how": "received", "received": 0}  # type: ignore[method-assign]
    assert action._send(ARGS, saved, there(), VARS)["cause"] == "transfer_failed"


# -- once in a job


def test_what_is_shared_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure counts only for those who waited for it."""
    monkeypatch.setattr(shared.constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "ansible-local-1"))
    answers = iter([{"failed": True}, {"how": "saved"}])
    told = [shared.once(("image", 1), lambda path: next(answers)) for dummy in range(3)]
    assert [one.get("how") for one in told] == [None, "saved", "saved"]
    assert told[1]["path"].startswith(str(tmp_path))
    assert (tmp_path / "ansible-local-1" / shared.FOLDER).stat().st_mode & 0o77 == 0


def test_what_killed_jobs_left_goes_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing younger."""
    old, young = (tmp_path / f"ansible-local-{name}" / shared.FOLDER for name in "ab")
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    monkeypatch.setattr(shared.constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "ansible-local-c"))
    shared.once("image", lambda path: {})
    assert (old.exists(), young.exists()) == (False, True)
