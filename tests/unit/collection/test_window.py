"""What of a service stays on its server, and what may go; and a whole prune on a server in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import pruning, window
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Claimed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Held
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image, Observed, Placement
from ansible_collections.stackswap.bluegreen.plugins.module_utils.pruned import lines_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.window import Stock, freed, kept, repository_of, waste
from tests.lab.fake import App, FakeServer
from tests.unit.collection.test_history import SHOP, Site, release

NAMES = "stackswap/test-shop"
LIVE = Placement("e", "blue", healthy=True, approved=True, policy="always")
SEEN = Observed(True, "blue", "blue", (LIVE,), served=("a", "b", "c", "d", "e"))


def made(name: str, image: str = "") -> dict[str, Any]:
    """A manifest."""
    return {"version": name.upper(), "container": {"image": image or f"i-{name}"}}


def stock(**options: Any) -> Stock:
    """Five releases, each with an image of its own name."""
    images = {f"i-{name}": Image(f"i-{name}", tags=(f"{NAMES}:{name}",), size=7) for name in "abcde"}
    return replace_of(Stock({name: made(name) for name in "abcde"}, images=images, names=NAMES), **options)


def replace_of(old: Stock, **options: Any) -> Stock:
    """The same with something otherwise."""
    return old._replace(**options)


def gone(seen: Observed, found: Stock, keep: int) -> list[str]:
    """What goes, in short."""
    return [f"{one.kind} {one.name}" for one in waste(seen, found, keep)[0]]


# -- who stays


@pytest.mark.parametrize(("keep", "names"), [(1, "de"), (2, "cde"), (4, "abcde"), (15, "abcde")])
def test_the_live_one_stays_and_so_many_before(keep: int, names: str) -> None:
    """What served longest ago goes first."""
    assert kept(SEEN, keep) == tuple(names)


def test_one_that_was_gone_back_from_is_no_way_back() -> None:
    """It takes nobody's place in the window."""
    assert kept(SEEN._replace(rejected=frozenset("d")), 2) == tuple("bce")


def test_what_differs_in_secrets_alone_is_one() -> None:
    """A rotation does not push a version out."""
    seen = SEEN._replace(served=("a", "b-1", "b-2", "e"))
    assert kept(seen, 1) == ("b-1", "b-2", "e")


def test_whatever_has_a_container_stays() -> None:
    """A candidate that is ready, and one that stands stopped for a look."""
    standing = (LIVE, Placement("f", "green", running="none"), Placement("a", "green", running="none"))
    assert kept(SEEN._replace(placements=standing), 1) == tuple("adef")


# -- what goes


def test_images_and_manifests_beyond_the_window_go() -> None:
    """And nothing else."""
    assert gone(SEEN, stock(), 2) == ["image i-a", "image i-b", "manifest a", "manifest b"]
    assert gone(SEEN, stock(), 5) == []


def test_an_image_that_a_release_in_the_window_has_stays_and_the_old_manifest_goes() -> None:
    """Other settings of the same version."""
    manifests = {**stock().manifests, "a": made("a", "i-e")}
    assert gone(SEEN, stock(manifests=manifests), 3) == ["manifest a"]


def test_an_image_that_was_fetched_and_never_started_goes_once_it_is_older_than_what_is_live() -> None:
    """By the label of a build for this service alone; a newer one may be about to be deployed."""
    ours, now = ((window.BUILT, "shop"), (window.VERSION, "0.9")), "2026-01-02T00:00:00.5Z"
    old = Image("i-old", tags=(f"{NAMES}:0.9",), labels=ours, size=7, made="2026-01-01T00:00:00Z")
    images = {**stock().images, "i-e": Image("i-e", tags=(f"{NAMES}:e",), made=now), "i-old": old}

    def going(**other: Any) -> list[str]:
        found = stock(images={**images, "i-old": replace(old, **other)}, built="shop")
        return gone(SEEN, found, 5)

    assert going() == ["image i-old"]
    assert waste(SEEN, stock(images=images, built="shop"), 5)[0][0].version == "0.9"
    assert going(made="2026-01-02T00:00:01Z") == going(made=now) == []
    assert going(labels=()) == going(labels=((window.BUILT, "blog"),)) == []
    assert going(tags=(f"{NAMES}:0.9", "mine:1")) == going(tags=()) == []
    assert gone(SEEN, stock(images=images, built="shop", used={"i-old": "container stranger uses it"}), 5) == []
    assert gone(SEEN._replace(runtime="none", file="none", placements=()), stock(images=images, built="shop"), 5) == []


def test_what_came_later_is_remembered_for_it_may_bar_the_way_back() -> None:
    """Its image goes, its manifest stays as long as something before it does."""
    seen = SEEN._replace(rejected=frozenset("d"))
    assert gone(seen, stock(), 2) == ["image i-a", "image i-d", "manifest a"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"used": {"i-a": "container stranger uses it"}}, "container stranger uses it"),
        ({"used": {"i-a": "service test.blog needs it"}}, "service test.blog needs it"),
        ({"images": {**stock().images, "i-a": Image("i-a", tags=(f"{NAMES}:a", "mine:1"))}}, "it is named mine:1, too"),
        (
            {"images": {**stock().images, "i-a": Image("i-a", digests=("x.test/y@sha256:1",))}},
            "named x.test/y@sha256:1",
        ),
    ],
)
def test_an_image_that_anybody_else_needs_stays_and_so_does_what_knows_it(options: dict[str, Any], why: str) -> None:
    """By a container, another service or another name; without its manifest nobody would find it again."""
    found, left = waste(SEEN, stock(**options), 3)
    assert found == () and [(name, why in told) for name, told in left] == [("i-a", True)]


def test_an_image_that_is_gone_already_is_none() -> None:
    """Its manifest goes alone."""
    images = {name: image for name, image in stock().images.items() if name != "i-a"}
    assert gone(SEEN, stock(images=images), 3) == ["manifest a"]


def test_secrets_go_that_no_container_has() -> None:
    """They are of no use to anybody."""
    assert gone(SEEN, stock(secrets=("a", "e")), 5) == ["secrets a"]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("acme/shop:1", "acme/shop"),
        ("reg.test:5000/acme/shop", "reg.test:5000/acme/shop"),
        ("reg.test:5000/acme/shop:1@sha256:0", "reg.test:5000/acme/shop"),
        ("docker.io/library/nginx:1", "nginx"),
        ("docker.io/acme/shop", "acme/shop"),
    ],
)
def test_a_name_is_told_apart_from_its_tag(reference: str, name: str) -> None:
    """As the engine shows it."""
    assert repository_of(reference) == name


def test_bytes_are_of_layers_that_nobody_has_who_stays() -> None:
    """One that two have who go counts once; the same content upon another is another layer."""
    base, old, older = (Image(name, layers=layers) for name, layers in (("b", "1"), ("o", "123"), ("p", "124")))
    sizes = (1000, 100, 10)
    assert freed([(old, sizes), (older, sizes)], [base]) == 100 + 10 + 10
    assert freed([(old, sizes)], [older]) == 10
    assert freed([(old, sizes)], [Image("x", layers=("2", "3"))]) == 1110


# -- a whole prune in memory


@pytest.fixture
def site() -> Site:
    """A server that four versions have served on, each of an image of its own."""
    made = Site(FakeServer(**{name: App() for name in ("one", "two", "three", "four", "strange")}))
    for number, image in enumerate(("one", "two", "three", "four"), 1):
        assert made.call(f"j{number}", release(str(number), image)).error is None
    return made


def test_check_mode_says_what_would_go_and_the_run_does_just_that(site: Site) -> None:
    """Containers, images and manifests; afterwards there is nothing to do."""
    shop, fx = replace(SHOP, keep=2), site.server.effects()
    would = pruning.foresee(fx, shop, NAMES)
    assert [(one.kind, one.version) for one in would.gone] == [("image", "1"), ("manifest", "1")]
    assert set(site.server.apps) == {"one", "two", "three", "four", "strange"}
    done = pruning.run(fx, shop, NAMES)
    assert (done.gone, done.left, done.bytes) == (would.gone, would.left, would.bytes) and done.bytes == 10
    assert set(site.server.apps) == {"two", "three", "four", "strange"}
    assert pruning.run(fx, shop, NAMES).gone == ()


def test_an_image_that_the_engine_does_not_let_go_stays_with_its_manifest(site: Site) -> None:
    """Somebody has begun to use it in this very moment: the next prune finds it again."""
    shop, fx = replace(SHOP, keep=2), site.server.effects()

    def refuse(reference: str) -> None:
        raise EngineFailed(f"could not remove image {reference}: a container uses it")

    site.server.engine.drop = refuse  # type: ignore[method-assign]
    done = pruning.run(fx, shop, NAMES)
    assert (done.gone, done.bytes) == ((), 0)
    assert done.left[0][0] == "one" and "uses it" in done.left[0][1]
    assert "1" in {
        site.server.records.manifest(SHOP.key, name)["version"] for name in site.server.records.releases(SHOP.key)
    }  # type: ignore[index]


def test_a_service_that_a_job_holds_is_left_as_it_is(site: Site) -> None:
    """Its candidate may just have been fetched; and nobody waits for a lock in silence."""
    assert site.call("j9", release("9", "strange"), "claimed").error is None
    with pytest.raises(Claimed, match="claimed by job j9"):
        pruning.run(site.server.effects(), SHOP, NAMES)
    with site.server.locks.service(SHOP.key), pytest.raises(Held):
        pruning.run(site.server.effects(), SHOP, NAMES)


def test_what_goes_is_told_in_a_line() -> None:
    """How many of what, of which versions, and what it is worth."""
    removed = [{"kind": kind, "name": "x", "version": version} for kind, version in (("image", "1"), ("manifest", "1"))]
    removed += [{"kind": "image", "name": "y", "version": "2"}]
    told = {"removed": removed, "left": [{"image": "sha256:" + "a" * 64, "why": "because"}], "bytes": 3 << 20}
    shop = {"service": "shop", "pruned": told}
    assert lines_of("web1", {**shop, "check": True}) == [
        "shop on web1: would remove 2 images, 1 manifest of 1 2; 3.0 MB would be free",
        "  sha256:aaaaaaaaaaaa stays: because",
    ]
    assert lines_of("web1", shop)[0].endswith("removed 2 images, 1 manifest of 1 2; 3.0 MB are free")
    assert lines_of("web1", {**shop, "pruned": {"removed": [], "left": []}}) == ["shop on web1: nothing to prune"]
    assert window.own_names(Image("i", tags=("a/b:1", "c:1")), "a/b") == ("a/b:1",)
