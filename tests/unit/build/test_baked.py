"""What a build is made of: its id, and what build.sh saw of the environment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.baked import (
    SECRETS,
    baked,
    build_id,
    changed,
    notes,
)

ENV = {"COLOR": "blue", "WORKERS": "4"}
LABEL = baked(ENV, {"TOKEN": "hunter2"})
NOW = {
    "the same": (ENV, ()),
    "another value": ({**ENV, "COLOR": "red"}, ("COLOR",)),
    "one more": ({**ENV, "NEW": "1"}, ("NEW",)),
    "one less": ({"COLOR": "blue"}, ("WORKERS",)),
    "all of it": ({"NEW": ""}, ("COLOR", "NEW", "WORKERS")),
    "a secret, which is not compared": ({**ENV, "TOKEN": "x"}, ()),
    "the platform's own, which no build is told": ({**ENV, "ARTIFAKT_MYSQL_HOST": "db"}, ()),
}


@pytest.mark.parametrize(("env", "names"), NOW.values(), ids=NOW)
def test_what_was_baked_is_held_against_now(env: dict[str, str], names: tuple[str, ...]) -> None:
    """By name; the values are in nobody's hands."""
    assert changed(LABEL, env) == names


def test_a_variable_of_the_platform_that_the_service_set_itself_is_compared() -> None:
    """It was there at the build."""
    assert changed(baked({"ARTIFAKT_X": "1"}, {}), {"ARTIFAKT_X": "2"}) == ("ARTIFAKT_X",)


def test_secrets_that_were_rotated_are_told_where_build_sh_saw_any() -> None:
    """By name, since nobody can tell which is another; not where none was seen, nor where none has changed."""
    told = "a secret has changed, and build.sh saw TOKEN: what it made of them stays until the next build-and-deploy"
    assert notes(LABEL, ENV, rotated=True) == (told,)
    assert notes(LABEL, {**ENV, "COLOR": "red"}, rotated=True)[1:] == (told,)
    assert notes(LABEL, ENV, rotated=False) == notes(baked(ENV, {}), ENV, rotated=True) == notes("", ENV, True) == ()


@pytest.mark.parametrize("label", ["", "nonsense", "[]", "7"])
def test_a_label_that_tells_nothing_says_nothing(label: str) -> None:
    """An image built elsewhere has none."""
    assert changed(label, ENV) == ()


def test_the_label_holds_no_value() -> None:
    """Nor anything of a secret but its name."""
    assert "blue" not in LABEL
    assert json.loads(LABEL)[SECRETS] == ["TOKEN"]
    assert baked({}, {}) == "{}"


OF: dict[str, Any] = {"service": "shop", "tree": "t", "args": {"A": "1", "B": "2"}, "platforms": ()}
OTHER = {
    "tree": ({**OF, "tree": "u"}, ENV, {"S": "1"}, b"k"),
    "args": ({**OF, "args": {}}, ENV, {"S": "1"}, b"k"),
    "env": (OF, {"COLOR": "red"}, {"S": "1"}, b"k"),
    "a secret": (OF, ENV, {"S": "2"}, b"k"),
    "another builder's key": (OF, ENV, {"S": "1"}, b"other"),
}


def test_the_same_inputs_give_the_same_build_id() -> None:
    """Twelve digits, in whatever order they come."""
    found = build_id(OF, ENV, {"S": "1"}, b"k")
    assert len(found) == 12
    assert int(found, 16) >= 0
    assert found == build_id(dict(reversed(OF.items())), dict(reversed(ENV.items())), {"S": "1"}, b"k")


@pytest.mark.parametrize("inputs", OTHER.values(), ids=OTHER)
def test_another_input_gives_another_build_id(inputs: tuple[Any, ...]) -> None:
    """Each of them."""
    assert build_id(*inputs) != build_id(OF, ENV, {"S": "1"}, b"k")
