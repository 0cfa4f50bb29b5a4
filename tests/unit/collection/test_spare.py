"""What a builder need not keep of a service's images: by what every server tells, and never without one's word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import spare
from ansible_collections.stackswap.bluegreen.plugins.module_utils.fleet import UNCHANGED
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.pruned import builder_lines, pruned_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.window import BUILT, VERSION
from tests.unit.collection.test_window import NAMES, SEEN, stock

LABELS = ((BUILT, "shop"), (VERSION, "0.8"))
OLD = Image("sha256:1", tags=(f"{NAMES}:0.8",), labels=LABELS, size=7, made="2026-01-01T00:00:00Z")
SINCE = "2026-01-02T00:00:00.25Z"


def told(service: str = "shop", since: str = SINCE, *names: str) -> dict[str, Any]:
    """What a server's prune answers of a service."""
    return {"services": [{"service": service, "stays": {"images": list(names), "versions": ["1.0"], "since": since}}]}


def test_a_server_tells_what_it_keeps_and_since_when_the_live_one_is_there() -> None:
    """By image and by version: another engine may call the same image otherwise."""
    images = {**stock().images, "i-e": Image("i-e", made=SINCE)}
    found = spare.stays(SEEN, stock(images=images), 1)
    assert found == {"images": ["i-d", "i-e"], "versions": ["D", "E"], "since": SINCE}
    assert spare.stays(SEEN, stock(images={}), 1)["since"] == ""


def test_what_any_server_keeps_the_builder_keeps() -> None:
    """And nothing goes that is newer than the oldest release that is live anywhere."""
    found = {"web1": told("shop", SINCE, "sha256:1"), "web2": told("shop", "2026-01-01T12:00:00Z", "sha256:2")}
    assert spare.folded(found, ["web1", "web2"], "shop") == (
        ("1.0", "sha256:1", "sha256:2"),
        "2026-01-01T12:00:00Z",
    )


def test_where_a_server_has_not_told_nothing_goes() -> None:
    """It failed, it is left out of the run, or it has nothing live."""
    for found in ({"web1": told()}, {"web1": told(), "web2": {}}, {"web1": told(), "web2": told("shop", "")}, {}):
        assert spare.folded(found, ["web1", "web2"], "shop")[1] == ""
    assert spare.folded({"web1": told("blog")}, ["web1"], "shop")[1] == ""


def goes(keep: tuple[str, ...] = (), since: str = SINCE, **other: Any) -> bool:
    """Whether the old image goes."""
    return bool(spare.spare([replace(OLD, **other)], NAMES, "shop", keep, since))


def test_only_what_a_build_has_labelled_as_the_services_goes() -> None:
    """And has no name but the service's own, and is older than what is live."""
    assert goes()
    assert not goes(labels=()) and not goes(labels=((BUILT, "blog"),))
    assert not goes(tags=(f"{NAMES}:0.8", "mine:1")) and not goes(tags=("other:0.8",)) and not goes(tags=())
    assert not goes(digests=("registry.example.com/other@sha256:1",))
    assert not goes(made=SINCE) and not goes(since="")


def test_what_is_kept_is_known_by_its_id_its_label_and_its_tag() -> None:
    """Any of them is enough."""
    assert not goes(("sha256:1",)) and not goes(("0.8",))
    assert not goes(("0.8.1",), tags=(f"{NAMES}:0.8.1",))
    assert goes(("0.9", "sha256:2"))


def test_the_report_tells_of_the_builder_in_a_line() -> None:
    """What went, or why nothing did; a builder that is down makes no failure of the job."""
    done = {"pruned": spare.told([OLD, replace(OLD, id="sha256:2")], {"sha256:2": "in use"}, 2 << 20)}
    lines = builder_lines("shop", "build1", done, False)
    assert lines == ["shop on builder build1: removed 1 image of 0.8; 2.0 MB are free", "  sha256:2 stays: in use"]
    assert "would remove 1 image" in builder_lines("shop", "build1", done, True)[0]
    gone = {"unreachable": True, "msg": "no route\nto it"}
    assert builder_lines("shop", "build1", gone, False) == ["shop on builder build1: not pruned: no route"]
    entry = {"service": "shop", "environment": "e", "serving": None, "pruned": {"removed": [], "left": [], "bytes": 0}}
    found = {"web1": {"services": [{**entry, "stays": {}}]}}
    report = pruned_of(found, {}, {"kind": "prune"}, {"lines": lines})
    assert report["line"].splitlines()[1:] == lines and report["outcome"] == UNCHANGED
    assert "stays" not in report["services"]["shop"]["servers"]["web1"]
