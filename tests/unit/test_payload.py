"""What goes to an engine and how its answers are read, where no engine is needed to know it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import engine_errors, payload
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, Moved
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Container


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024", 1024),
        ("64k", 64 << 10),
        ("512m", 512 << 20),
        ("512M", 512 << 20),
        ("512MB", 512 << 20),
        ("512MiB", 512 << 20),
        ("1.5g", 3 << 29),
        ("2T", 2 << 40),
        ("10b", 10),
    ],
)
def test_a_size_is_bytes(text: str, size: int) -> None:
    """As Docker writes it."""
    assert payload.size(text) == size


@pytest.mark.parametrize("text", ["", "m", "512x", "-1", "1 gigabyte", "1bb", "5i"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With how to write it."""
    with pytest.raises(BadInput, match="512m"):
        payload.size(text)


def test_what_is_no_number_of_processors_or_limit_is_refused() -> None:
    """With how to write it."""
    assert payload.nano_cpus("0.5") == 500_000_000
    with pytest.raises(BadInput, match=r"1\.5"):
        payload.nano_cpus("half")
    assert payload.ulimit("nofile=1:2") == {"Name": "nofile", "Soft": 1, "Hard": 2}
    assert payload.ulimit("core:-1") == {"Name": "core", "Soft": -1, "Hard": -1}
    with pytest.raises(BadInput, match="nofile"):
        payload.ulimit("nofile")


def made(**changes: Any) -> dict[str, Any]:
    """What makes a container with these changes."""
    spec = ReplicaSpec("x", Container(image="i", **changes), (("a", "ours"),), "net", "10.0.0.2")
    return payload.create_payload(spec)


def test_what_is_left_open_is_the_images() -> None:
    """An empty command is one, none is the image's."""
    for word in ("Cmd", "Entrypoint", "User", "WorkingDir", "Hostname", "StopSignal"):
        assert word not in made()
    for word in ("Memory", "NanoCpus", "ShmSize"):
        assert word not in made()["HostConfig"]
    assert made(entrypoint=())["Entrypoint"] == []


def test_a_secret_wins_over_a_variable_and_our_label_over_the_users() -> None:
    """One value for a name."""
    both = made(env=(("A", "1"), ("B", "2")), secrets=(("A", "s"),), labels=(("a", "theirs"),))
    assert both["Env"] == ["A=s", "B=2"]
    assert both["Labels"] == {"a": "ours"}


def test_secret_files_are_mounted_read_only_from_their_folder() -> None:
    """As a mount, which fails where the folder is gone; what they hold is in no document."""
    spec = ReplicaSpec("x", Container("i", secret_files=(("a", "s3cret"),)), (), "net", "", secrets="/home/secrets/x")
    document = payload.create_payload(spec)
    (mount,) = document["HostConfig"]["Mounts"]
    assert mount == {"Type": "bind", "Source": "/home/secrets/x", "Target": "/run/secrets", "ReadOnly": True}
    assert "s3cret" not in str(document)
    assert "Mounts" not in made()["HostConfig"]


AWKWARD = "line\nline\r\n'single' \"double\" $HOME ${X} `date` \\ =;# \u00e4\u2192" + "x" * 65536


def test_a_secret_is_sent_to_the_engine_as_it_is() -> None:
    """No quoting, no expansion: one text for each variable."""
    assert made(secrets=(("A", AWKWARD),))["Env"] == [f"A={AWKWARD}"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("write /var/lib/docker/x: no space left on device", engine_errors.NoSpace),
        ("No such image: shop:1", engine_errors.ImageMissing),
        ("No such container: x", engine_errors.ContainerMissing),
        (
            'The container name "/x" is already in use by container "ab"',
            engine_errors.CreateConflict,
        ),
        ("driver failed: Address already in use", engine_errors.AddressTaken),
        ("something else", engine_errors.EngineFailed),
    ],
)
def test_a_refusal_is_told_by_its_words(answer: str, kind: type) -> None:
    """With what was being done."""
    told = engine_errors.refusal("start container x", answer)
    assert type(told) is kind
    assert str(told).startswith(f"could not start container x: {answer}")


def test_a_full_disk_says_what_to_do_wherever_it_shows() -> None:
    """At the start, in a pull and in a load."""
    answer = "failed to register layer: no space left on device"
    for told in (
        engine_errors.refusal("start container x", answer),
        engine_errors.pull_refusal("shop:1", answer),
        engine_errors.load_refusal(answer),
    ):
        assert told.cause == "no_space"
        assert "free space" in str(told)


def test_a_name_conflict_is_the_world_moving() -> None:
    """Nothing was done; plan again."""
    assert issubclass(engine_errors.CreateConflict, Moved)


def test_every_kind_has_a_cause_of_its_own() -> None:
    """Causes are what machines read."""
    kinds = [kind for kind in vars(engine_errors).values() if isinstance(kind, type)]
    ours = [kind for kind in kinds if kind.__module__ == engine_errors.__name__]
    assert len({kind.cause for kind in ours}) == len(ours) > 15


def test_an_old_library_with_a_new_transport_is_told() -> None:
    """Python's docker before 7.1 cannot use requests 2.32."""
    told = engine_errors.unreachable("unix:///x", "Error: Not supported URL scheme http+docker")
    assert told.cause == "engine_missing" and "requests" in str(told)
