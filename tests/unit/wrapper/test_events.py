"""ansible-runner's events made our own: what is kept, what is masked, what is cut."""

from __future__ import annotations

import json

import pytest

from stackswap.events import MASK, MOST, Event, mask, opened, scrub, translate

REPORT = {"v": 1, "service": "shop", "steps": [], "failed": None}


def result(res: dict, event: str = "runner_on_ok", **data) -> Event:
    """The event of a result."""
    raw = {"event": event, "event_data": {"host": "web1", "task": "Go live", "res": res, **data}}
    (found,) = translate(raw)
    return found


def test_of_a_result_little_is_kept() -> None:
    """Message, changed, and the HostReport: nothing else of what a module answers."""
    res = {"changed": True, "msg": "done", "invocation": {"x": 1}, "stackswap": REPORT, "stdout": "x"}
    event = result(res, resolved_action="stackswap.bluegreen.release", duration=1.234)
    assert event == Event(
        "host.ok",
        {"action": "stackswap.bluegreen.release", "changed": True, "seconds": 1.23,
         "msg": "done", "stackswap": REPORT},
        "web1",
        "Go live",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"password": "x"}, {"password": MASK}),
        ({"DB_PASSWD": "x", "apiKey": "y"}, {"DB_PASSWD": MASK, "apiKey": MASK}),
        ({"secrets": {"A": "x", "B": "y"}}, {"secrets": MASK}),
        ({"a": [{"auth_token": "x"}]}, {"a": [{"auth_token": MASK}]}),
        ({"key": "x", "keyboard": "y", "monkey": "z"}, {"key": MASK, "keyboard": "y", "monkey": "z"}),
        ({"tokens_left": None, "secret": ""}, {"tokens_left": None, "secret": ""}),
        ({"what": "the password is wrong"}, {"what": "the password is wrong"}),
    ],
)
def test_values_are_masked_by_their_key(given: dict, kept: dict) -> None:
    """Never by what they look like."""
    assert scrub(given) == kept


@pytest.mark.parametrize("bulk", ["steps", "evidence", "plan", "figures", "msg"])
def test_what_is_long_is_cut_and_the_state_is_kept(bulk: str) -> None:
    """No event is longer than 32 kB, and what serves is in it nevertheless."""
    long = "x" * 100_000
    failed = {"cause": "x", "what": "y", "evidence": [long] * 3 if bulk == "evidence" else []}
    report = {
        **REPORT,
        "serving": {"release": "a"},
        "failed": failed,
        "steps": [{"verb": "start", "did": long}] * 200 if bulk == "steps" else [],
        "plan": [long] if bulk == "plan" else [],
        "figures": {"a": long} if bulk == "figures" else {},
    }
    event = result({"msg": long if bulk == "msg" else "", "stackswap": report})
    assert len(json.dumps(event.data)) <= MOST
    assert event.data["cut"]
    assert event.data["stackswap"]["serving"] == {"release": "a"}
    assert event.data["stackswap"]["failed"]["what"] == "y"


@pytest.mark.parametrize("res", [{}, None, {"stackswap": "text"}, {"msg": {"a": 1}}])
def test_odd_results_do_no_harm(res) -> None:
    """Results over 700 kB arrive empty; others' modules answer what they like."""
    assert "stackswap" not in result(res).data


def test_progress_lines_become_progress() -> None:
    """The rest of Ansible's text stays text."""
    line = 'progress: {"host": "web1", "phase": "health", "n": 3, "of": 10, "password": "x"}'
    raw = {"event": "verbose", "stdout": f"\x1b[0;34m{line}\x1b[0m\r\nprogress: none", "event_data": {}}
    first, second = translate(raw)
    assert first == Event("progress", {"phase": "health", "n": 3, "of": 10}, "web1")
    assert second.data == {"level": "text", "text": "progress: none"}


def test_text_is_masked_by_key_too() -> None:
    """-v shows results as JSON, over several lines."""
    text = 'ok: [a] => {"figures": {"secrets": {\n "A": "x\\"y"\n}, "token": "t", "n": "1"}}'
    assert mask(text) == 'ok: [a] => {"figures": {"secrets": "***", "token": "***", "n": "1"}}'


def test_unknown_events_pass_by() -> None:
    """A newer ansible-runner may say more."""
    assert not list(translate({"event": "runner_on_something", "event_data": {"host": "a"}}))
    assert not list(translate({}))


def test_an_envelope_holds_the_whole_event() -> None:
    """A job is told again from its file."""
    event = result({"changed": True})
    assert opened(json.loads(json.dumps(event.envelope("j1", 3, "2030-01-01T00:00:00")))) == event
