"""What a call is given of the play's variables: only what a user wrote as a template is read as one."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.turn import Turn

ASKED = {"service": "shop", "servers": ["web1"], "first": "web1"}
PLAY = {
    "inventory_hostname": "web1",
    "groups": {"stackswap": ["web1"]},
    "stackswap_wanted": {"run": "run-1", "order": ["shop"], "services": {"shop": ASKED}},
    "stackswap_environment": {"name": "test"},
    "stackswap_services": {"shop": {"port": "{{ port }}"}, "api": {"port": "{{ unknown }}"}},
}


class Templar:
    """Fills in what it knows, and fails for what nobody has defined."""

    def template(self, told: Any) -> Any:
        """As Ansible's own."""
        if isinstance(told, dict):
            return {name: self.template(one) for name, one in told.items()}
        if told == "{{ unknown }}":
            raise NameError("unknown")
        return {"{{ port }}": 8080, "{{ all }}": {"shop": {"port": 1}}, "{{ none }}": None}.get(str(told), told)


def turn(**variables: Any) -> Turn:
    """The turn of shop, with these variables of the user's too."""
    return Turn("shop", Templar(), {**PLAY, **{f"stackswap_{name}": one for name, one in variables.items()}})


def test_a_service_is_read_without_the_others() -> None:
    """One of those may have a variable that only its own servers have."""
    assert turn().given(())["service"] == {"port": 8080}
    assert turn(services="{{ all }}").given(())["service"] == {"port": 1}
    assert turn(overrides={"shop": {"port": "{{ port }}"}}).given(())["overrides"] == {"port": 8080}


def test_what_is_not_there_or_empty_is_what_a_module_takes_for_nothing() -> None:
    """As a survey's empty answers, and a template that comes to nothing."""
    for empty in ({}, {"proxy": "", "env": None, "overrides": "", "room": "{{ none }}", "preview": ""}):
        told = turn(**empty).given(("room", "preview"))
        assert (told["env"], told["overrides"], told["proxy"], told["attached"]) == ({}, {}, {}, {})
        assert (told["room"], told["preview"]) == ({}, "")


def test_a_module_is_given_what_it_knows() -> None:
    """The callbacks' one has neither room nor preview."""
    assert {"room", "preview"} & set(turn().given(())) == set()
    assert turn(preview="a-word-of-ours", room={"disk": "1g"}).given(("preview",))["preview"] == "a-word-of-ours"


def test_a_name_that_stands_in_two_places_is_refused() -> None:
    """As preflight refuses it for the servers that it reads the variables of."""
    redis = {"redis": {"image": "redis:7"}}
    with pytest.raises(BadInput, match="a name stands in one of the two"):
        turn(backing=redis, attached={"redis": {"host": "192.0.2.1"}}).given(())
    assert turn(backing=redis).given(())["attached"]["redis"]["port"] == 6379


def test_a_gate_of_an_earlier_run_counts_for_nothing() -> None:
    """Its images and releases are those of another job."""
    gate = {"services": {"shop": {"bad": ["web1"]}}}
    assert turn(gates={"run": "run-0", **gate}).gate == {} == turn().gate
    assert turn(gates={"run": "run-1", **gate}).gate == {"bad": ["web1"]}
