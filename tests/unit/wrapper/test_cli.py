"""The command line: which words are the job's, which are Ansible's, which are refused and why."""

from __future__ import annotations

import pytest

from stackswap.cli import main
from stackswap.errors import Usage
from stackswap.spec import Spec, call, parse

INVENTORY = ("-i", "inv")


@pytest.mark.parametrize(
    ("line", "words", "options"),
    [
        ("deploy shop 1.10 -i inv", ("shop", "1.10"), INVENTORY),
        ("deploy -i inv shop 1.10", ("shop", "1.10"), INVENTORY),
        ("-i inv deploy --limit web1 shop", ("shop",), (*INVENTORY, "--limit", "web1")),
        ("deploy shop --inventory=inv --check", ("shop",), ("--inventory=inv", "--check")),
        ("deploy shop -iinv -vvv -CD", ("shop",), ("-iinv", "-vvv", "-CD")),
        ("deploy -Ci inv shop", ("shop",), ("-Ci", "inv")),
        ("deploy -e a=1 -e @more.yml shop", ("shop",), ("-e", "a=1", "-e", "@more.yml")),
        ("deploy --lim web1 shop", ("shop",), ("--lim", "web1")),
        ("deploy --ssh-common-args -oPort=22 shop", ("shop",), ("--ssh-common-args", "-oPort=22")),
        ("deploy -K --vault-id dev@prompt shop", ("shop",), ("-K", "--vault-id", "dev@prompt")),
        ("deploy --nosuch shop", ("shop",), ("--nosuch",)),
        ("setup -i inv --skip-tags slow", (), (*INVENTORY, "--skip-tags", "slow")),
        ("deploy --output json --quiet shop --deadline 9", ("shop",), ()),
        ("deploy -- shop 1.10", ("shop", "1.10"), ()),
    ],
)
def test_words_and_options_are_told_apart(line: str, words: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Ansible's options keep their order and their values, wherever the job's words stand."""
    spec = parse(line.split())
    assert (spec.words, spec.options) == (words, options)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("deploy shop --skip-tags always", "whole job"),
        ("deploy shop --skip-tags=slow,always", "whole job"),
        ("deploy shop --skip-ta always", "whole job"),
        ("deploy shop --start-at-task Settle", "skips the claim"),
        ("deploy shop --start Settle", "skips the claim"),
        ("deploy shop --step", "halfway"),
        ("status --expect 3fa9c1d2e0ab-1b2c", "have one, not status"),
        ("deploy shop --exit-status", "status --exit-status, not deploy"),
        ("remove", "remove wants the SERVICE by its name"),
        ("deploy shop --follow", "--follow is an option of logs, not of deploy"),
        ("restart shop --process worker", "--process is an option of logs and exec, not of restart"),
        ("logs shop --process=", "--process wants the name of a process"),
        ("logs shop --tail all", "--tail is a number of lines"),
        ("logs", "logs wants the SERVICE by its name"),
        ("exec shop", "exec SERVICE -- COMMAND"),
        ("drain", "drain wants the SERVER by its name"),
        ("launch shop", "no job is called 'launch'"),
        ("deploy shop 1.10 web1", "not also: web1"),
        ("setup shop", "no more than 0 words"),
        ("deploy shop -i", "wants a value"),
        ("deploy shop --deadline soon", "number of seconds"),
        ("deploy shop --deadline nan", "number of seconds"),
        ("deploy shop --output loud", "plain, live, json"),
        ("deploy shop --list", "what can be gone back to: stackswap rollback SERVICE --list, not deploy"),
        ("deploy shop --history", "stackswap status SERVICE --history, not deploy"),
        ("status shop --history=many", "number of jobs, not 'many'"),
        ("rollback shop 1.0 --list", "not also: 1.0"),
        ("maintenance shop", "SERVICE and one of start and end"),
        ("maintenance shop begin", "SERVICE and one of start and end"),
    ],
)
def test_what_would_hurt_is_refused_with_a_reason(line: str, why: str) -> None:
    """Usage errors are found before anything runs."""
    with pytest.raises(Usage, match=why):
        parse(line.split())


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("status --history", {"stackswap_history": 10}),
        ("status --history 3 shop", {"stackswap_history": 3, "stackswap_service": "shop"}),
        ("status shop --history=0", {"stackswap_history": 0, "stackswap_service": "shop"}),
        ("rollback shop --list", {"stackswap_kept": True, "stackswap_service": "shop"}),
        (
            "rollback shop --list --history",
            {"stackswap_kept": True, "stackswap_history": 10, "stackswap_service": "shop"},
        ),
    ],
)
def test_looking_back_is_a_status(line: str, given: dict[str, object]) -> None:
    """A list of what can be gone back to changes nothing, so it is no rollback."""
    spec = parse(line.split())
    assert spec.extra_vars("j1") == {"stackswap_job": "j1", "stackswap_job_kind": "status", **given}


def test_an_empty_word_is_no_service() -> None:
    """A variable that CI forgot to set does not deploy everything."""
    with pytest.raises(Usage, match="empty SERVICE"):
        parse(["deploy", ""])


def test_tags_skipped_by_the_environment_count() -> None:
    """ANSIBLE_SKIP_TAGS=always is as good as the option."""
    with pytest.raises(Usage, match="whole job"):
        parse(["deploy", "shop"], "slow,always")


def test_a_version_stays_text() -> None:
    """1.10 is not 1.1, and the library refuses a number."""
    assert parse("deploy shop 1.10 --wait-claim 5".split()).extra_vars("j1") == {
        "stackswap_job": "j1",
        "stackswap_job_kind": "deploy",
        "stackswap_service": "shop",
        "stackswap_version": "1.10",
        "stackswap_wait_claim": 5,
    }
    with pytest.raises(Usage, match="text"):
        call("deploy", ("shop", 1.10), {})  # type: ignore[arg-type]


def test_what_exec_is_to_run_is_no_option_of_ours() -> None:
    """All after -- is the command's, as it stands; there is no version among it."""
    spec = parse(["exec", "shop", "-i", "inv", "--", "sh", "-c", "echo $0 --check", ""])
    assert spec.options == INVENTORY
    assert spec.extra_vars("j1") == {
        "stackswap_job": "j1",
        "stackswap_job_kind": "exec",
        "stackswap_service": "shop",
        "stackswap_command": ["sh", "-c", "echo $0 --check", ""],
    }


def test_a_server_is_no_service() -> None:
    """drain and undrain take one by its name."""
    told = parse("drain web1 -i inv".split()).extra_vars("j1")
    assert told == {"stackswap_job": "j1", "stackswap_job_kind": "drain", "stackswap_drain_server": "web1"}


def test_a_backing_service_is_no_service() -> None:
    """One by its name, or all."""
    told = parse("backing redis -i inv".split()).extra_vars("j1")
    assert told == {"stackswap_job": "j1", "stackswap_job_kind": "backing", "stackswap_backing_name": "redis"}
    assert "stackswap_backing_name" not in parse("backing -i inv".split()).extra_vars("j1")


def test_logs_say_how_far_back_and_for_how_long() -> None:
    """As variables of the play."""
    told = parse("logs shop -i inv --follow --tail 5 --previous".split()).extra_vars("j1")
    wanted = {"stackswap_follow": True, "stackswap_tail": 5, "stackswap_previous": True}
    assert {name: told[name] for name in wanted} == wanted


def test_a_process_is_named_for_logs_and_for_exec() -> None:
    """Before the command, whose own words may look the same."""
    for line in ("logs shop -i inv --process worker", "exec shop --process=worker -i inv -- ls --process web"):
        spec = parse(line.split())
        assert spec.extra_vars("j1")["stackswap_process"] == "worker" and spec.options == INVENTORY
    assert spec.command == ["ls", "--process", "web"]
    assert "stackswap_process" not in parse("logs shop -i inv".split()).extra_vars("j1")


def test_a_call_is_a_command_line() -> None:
    """Options of the library are Ansible's with underscores."""
    options = {"inventory": ["a", "b"], "check": True, "diff": False, "extra_vars": {"x": "1.0"}}
    spec = parse(call("deploy", ("shop", None), {**options, "deadline": 5, "limit": None}))
    assert spec.options == (*("--inventory=a", "--inventory=b", "--check", '--extra-vars={"x": "1.0"}'),)
    assert spec == Spec(kind="deploy", words=("shop",), options=spec.options, names=spec.names, deadline=5)


@pytest.mark.parametrize(("line", "talks"), [("", False), ("-v", True), ("-Kvv", True), ("--list-hosts", True)])
def test_ansible_speaks_where_it_is_asked_to(line: str, talks: bool) -> None:
    """-v and the listings let Ansible's own text through."""
    assert parse(["deploy", "shop", *line.split()]).talks is talks


@pytest.mark.parametrize(("line", "code"), [("--help", 0), ("", 2), ("nosuch", 2), ("--version", 0), ("show j1", 2)])
def test_exit_codes_of_usage(line: str, code: int, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Help that is asked for is success; everything misunderstood is 2."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(line.split()) == code


def test_a_maintenance_has_a_word_of_its_own() -> None:
    """It is no version."""
    spec = parse("maintenance shop start -i inv".split())
    assert spec.extra_vars("j1") == {
        "stackswap_job": "j1",
        "stackswap_job_kind": "maintenance",
        "stackswap_service": "shop",
        "stackswap_maintenance": "start",
    }
