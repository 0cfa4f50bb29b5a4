"""Options are written down once: what is checked, what is documented and the role's arguments agree."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    arguments,
    options,
    service,
    variables,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Route,
    Service,
)
from tests.lab import specs

BLUEGREEN = "stackswap.bluegreen"
COLLECTION = f"ansible_collections.{BLUEGREEN}"
ROLE = Path(__file__).resolve().parents[2] / "collection" / "roles" / "stackswap"
TOLD = ("type", "elements", "choices", "required", "default")
SHARED = {
    "service": (arguments.SERVICE, specs.fragment("service")),
    "release": (arguments.RELEASE, specs.fragment("service", "RELEASE")),
    "job": (arguments.JOB, specs.fragment("job")),
    "proxy": (arguments.PROXY, specs.fragment("proxy")),
    "line": (arguments.LINE, specs.fragment("job", "LINE")),
    "server": (arguments.SERVER, specs.fragment("server")),
    "call": (arguments.CALL, specs.fragment("server", "CALL")),
    "named": (arguments.NAMED, specs.fragment("server", "NAMED")),
    "inside": (arguments.INSIDE, specs.fragment("server", "INSIDE")),
}


def flat(spec: dict[str, Any], below: str, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All options of a specification or documentation, by their paths."""
    for name, one in spec.items():
        yield f"{path}{name}", one
        yield from flat(one.get(below) or {}, below, f"{path}{name}.")


@pytest.mark.parametrize("name", SHARED)
def test_what_is_documented_is_what_is_checked(name: str) -> None:
    """Same names, types, choices, defaults, at every level."""
    spec, documented = SHARED[name]
    checked = {path: {key: one.get(key) for key in TOLD} for path, one in flat(spec, "options")}
    told = {path: {key: one.get(key) for key in TOLD} for path, one in flat(documented, "suboptions")}
    assert told == checked


def checked_by(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The specification that a module hands to Ansible."""
    module, handed = importlib.import_module(f"{COLLECTION}.plugins.modules.{name}"), []

    def hears(argument_spec: dict[str, Any], **dummy: Any) -> None:
        handed.append(argument_spec)
        raise InterruptedError

    monkeypatch.setattr(module, "AnsibleModule", hears)
    with pytest.raises(InterruptedError):
        module.main()
    return handed[0]


def test_every_module_documents_what_it_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ansible itself puts the fragments together: one of another name may lie in the way of a part of one."""
    paths = (ROLE.parents[1] / "plugins" / "modules").glob("*.py")
    names = [path.stem for path in paths if "def main(" in path.read_text()]
    command = [Path(sys.executable).with_name("ansible-doc"), "--json", *(f"{BLUEGREEN}.{name}" for name in names)]
    shown = subprocess.run(command, cwd=ROLE.parents[2] / "playbooks", capture_output=True, text=True, check=True)
    documented = json.loads(shown.stdout)
    assert len(names) > 10 and len(documented) == len(names)
    for name in names:
        told = documented[f"{BLUEGREEN}.{name}"]["doc"]["options"]
        spec = checked_by(name, monkeypatch)
        assert {one: plainly(given) for one, given in told.items()} == {
            one: plainly(given) for one, given in spec.items()
        }, name


def plainly(given: dict[str, Any]) -> dict[str, Any]:
    """What is told of an option and what is checked, with what is meant where nothing is said."""
    said = {key: given.get(key) for key in TOLD}
    return {**said, "type": said["type"] or "str", "required": bool(said["required"])}


@pytest.mark.parametrize("name", SHARED)
def test_descriptions_are_sentences(name: str) -> None:
    """Each begins with a capital and ends with a full stop."""
    found = [one["description"] for _, one in flat(SHARED[name][1], "suboptions")]
    lines = [line for one in found for line in ([one] if isinstance(one, str) else one)]
    assert [line for line in lines if not re.fullmatch(r"[A-Z].*\.", line, re.DOTALL)] == []


CONTAINER = ("read_only", "init", "log_driver", "stop_timeout")
DEFAULTS = {
    **{f"service.{name}": getattr(Service("e", "s"), name) for name in (
        "port", "replicas", "drain_timeout", "settle", "confirmations", "probe", "keep", "overlap", "hold")},
    "service.bake": Bake().seconds,
    "service.routes.path": Route("a").path,
    **{f"service.container.{name}": getattr(Container("i"), name) for name in CONTAINER},
    **{f"proxy.{name}": getattr(Settings(), name) for name in (
        "proxy_protocol", "maxconn", "subnet", "image", "home", "container", "network")},
    "proxy.listen": Settings().listen[0],
    "service.shared": True,
    "environment.criticality": service.parse_environment({"name": "a"})["criticality"],
}  # fmt: skip


def told(documented: dict[str, Any]) -> str:
    """A description as one text."""
    found = documented["description"]
    return found if isinstance(found, str) else " ".join(found)


def written(value: Any) -> str:
    """A value as the documentation writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("path", DEFAULTS)
def test_the_default_that_is_told_is_the_default(path: str) -> None:
    """The model has it, the sentence has it."""
    documented = dict(flat({**SHARED["service"][1], **SHARED["proxy"][1]}, "suboptions"))
    wanted = re.escape(f"V({written(DEFAULTS[path])})")
    assert re.search(f"Defaults to [^.]*{wanted}", told(documented[path]))


def test_the_defaults_of_health_are_told() -> None:
    """They stand in one sentence."""
    sentences = told(SHARED["service"][1]["service"]["suboptions"]["health"])
    wanted = Health()
    assert f"the path V({wanted.path})" in sentences
    assert f"C(deadline) of V({wanted.deadline:g})" in sentences
    assert f"C(min_healthy_time) of V({wanted.min_healthy_time:g})" in sentences


def test_the_defaults_of_a_bake_are_told() -> None:
    """Beside each name."""
    sentences = told(SHARED["service"][1]["service"]["suboptions"]["bake"])
    assert re.search(rf"C\(max_error_share\) is [^.]*V\({Bake().max_error_share:g}\)", sentences)
    assert re.search(rf"C\(min_requests\) is [^.]*V\({Bake().min_requests}\)", sentences)
    assert re.search(rf"C\(observe\) is V\({Bake().observe}\)", sentences)


def test_the_roles_arguments_are_written_from_the_spec() -> None:
    """After a change: python -m tests.lab.specs."""
    assert specs.WRITTEN.read_text(encoding="utf-8") == specs.text()


def test_the_roles_defaults_are_those_of_its_arguments() -> None:
    """Both say the same of every variable of ours, and no required one has a default."""
    found = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert [name for name in found if not name.startswith("stackswap_")] == ["ansible_python_interpreter"]
    del found["ansible_python_interpreter"]
    assert found == specs.defaults()
    points = yaml.safe_load(specs.WRITTEN.read_text())["argument_specs"].values()
    given = [one for point in points for one in point["options"].values()]
    assert not [one for one in given if one.get("required") and "default" in one]


def test_every_variable_of_a_job_is_an_argument_of_the_role() -> None:
    """What our own check reads is what the role documents, and to Ansible it is raw."""
    known = specs.variables()
    assert {name: known[name]["type"] for name in variables.VARIABLES} == dict.fromkeys(variables.VARIABLES, "raw")


def test_the_roles_defaults_pass_our_own_check() -> None:
    """A run with no variables but the service is fine."""
    given = {name: one for name, one in specs.defaults().items() if name in variables.VARIABLES}
    assert service.parse_variables(given) == {
        "stackswap_wait_claim": 0.0,
        "stackswap_claim_seconds": 900,
        "stackswap_waves": ("100%",),
        "stackswap_max_fail": 0,
        "stackswap_on_fail": "back",
        **dict.fromkeys(
            (
                "stackswap_now",
                "stackswap_drill",
                "stackswap_force",
                "stackswap_no_cache",
                "stackswap_kept",
                "stackswap_exit_status",
            ),
            False,
        ),
        **dict.fromkeys(("stackswap_follow", "stackswap_previous"), False),
        "stackswap_history": 0,
        "stackswap_tail": 100,
        "stackswap_drain_wait": 60,
        "stackswap_command": (),
        "stackswap_promote": "yes",
        "stackswap_backing": (),
        "stackswap_backing_state": "present",
        "stackswap_room": {},
        **{f"stackswap_{name}": () for name in ("env", "attached", "registries", "base_images", "before", "after")},
        "stackswap_unmounted": (),
    }


def text_paths() -> list[str]:
    """The options of a service that are text, or lists or dictionaries of it."""
    found = flat(service.SPEC, "options")
    kinds = {path: (one["type"], one.get("elements")) for path, one in found}
    return [path for path, kind in kinds.items() if kind in (("raw", None), ("list", "raw"))]


def nested(path: str, value: Any) -> Any:
    """The value below these keys; routes are a list."""
    for key in reversed(path.split(".")):
        value = {key: [value] if key == "routes" else value}
    return value


NOT_TEXT = {"bake", "container.cpus"}  # a number is fine: it has one meaning
MOMENTS = [f"callbacks.{name}.{option}" for name in ("release", "verify", "after") for option in ("run", "on_error")]
CHOICES = {
    "build.callbacks.build",
    "build.callbacks.entrypoint",
    "canary_by",
    "migrations",
    "settle",
    *MOMENTS,
}  # Ansible refuses these itself
UNTOLD = {"source.key", "source.token"}  # no value of these is ever shown


@pytest.mark.parametrize("path", sorted(set(text_paths()) - NOT_TEXT - CHOICES - UNTOLD))
def test_ansible_makes_no_text_of_a_number_before_we_see_it(path: str) -> None:
    """Its own check lets 1.1 through as it is, and ours refuses it."""
    a_list = dict(flat(service.SPEC, "options"))[path]["type"] == "list"
    passed = ArgumentSpecValidator(service.SPEC).validate(nested(path, [1.1] if a_list else 1.1))
    assert passed.error_messages == []
    with pytest.raises(BadInput, match=r"not 1\.1"):
        service.parse("shop", {"shop": passed.validated_parameters}, {"name": "production"})


def test_what_a_module_was_handed_reads_as_what_was_written() -> None:
    """Ansible fills in null for what is not given, and null is absent."""
    given = {"image": "shop", "env": {"A": "1"}, "container": {"cpus": 1.5}, "health": "/up"}
    passed = ArgumentSpecValidator(service.SPEC).validate(given).validated_parameters
    assert passed["container"]["memory"] is None
    production = {"name": "production"}
    assert service.parse("shop", {"shop": passed}, production) == service.parse("shop", {"shop": given}, production)


SECRETS = ["service.secrets", "service.secret_files"]


def test_secrets_are_declared_secret_wherever_they_may_stand() -> None:
    """Ansible then masks them in the record of the call."""
    hidden = [path for path, one in flat(arguments.SERVICE, "options") if one.get("no_log")]
    assert hidden == ["service.source.key", "service.source.token", *SECRETS, "overrides"]
    given = {"service": {"secrets": {"A": "hunter2hunter2"}}, "overrides": {"x": "swordfish99"}}
    base = {"name": "shop", "environment": {"name": "production"}}
    found = ArgumentSpecValidator(arguments.SERVICE).validate({**base, **given})
    assert found._no_log_values == {"hunter2hunter2", "swordfish99"}


def test_synonyms_lead_to_options_that_are_there() -> None:
    """A word from elsewhere is answered with the word that is meant."""
    known = {path.rsplit(".", 1)[-1] for path, _ in flat(service.SPEC, "options")}
    assert set(options.SYNONYMS.values()) <= known


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"stackswap_waves": "1, 25%"}, {"stackswap_waves": ("1", "25%")}),
        ({"stackswap_waves": 2}, {"stackswap_waves": ("2",)}),
        ({"stackswap_waves": [1, "100%"]}, {"stackswap_waves": ("1", "100%")}),
        ({"stackswap_now": "Yes"}, {"stackswap_now": True}),
        ({"stackswap_now": "false"}, {"stackswap_now": False}),
        ({"stackswap_max_fail": "1", "stackswap_job": ""}, {"stackswap_max_fail": 1}),
        ({"stackswap_job_kind": "build-and-deploy"}, {"stackswap_job_kind": "build-and-deploy"}),
    ],
)  # fmt: skip
def test_variables_of_a_job_are_read_as_surveys_and_command_lines_send_them(given: Any, read: Any) -> None:
    """Text for numbers and truth values, empty text for nothing."""
    assert service.parse_variables(given) == read


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"stackswap_max_fial": 1}, r"stackswap_max_fial is not known: did you mean stackswap_max_f"),
        ({"stackswap_waves": "0"}, r"stackswap_waves\[0\] must be a number of servers or a share"),
        ({"stackswap_waves": ["1", "200%"]}, r"stackswap_waves\[1\] must be .* not '200%'"),
        ({"stackswap_waves": True}, r"stackswap_waves\[0\] must be .* not true"),
        ({"stackswap_now": "maybe"}, r"stackswap_now must be true or false, not 'maybe'"),
        ({"stackswap_wait_claim": "ever"}, r"stackswap_wait_claim must be a number of seconds"),
        ({"stackswap_claim_seconds": 1}, r"stackswap_claim_seconds must be .* of seconds from 60 to"),
        ({"stackswap_version": 1.1}, r"stackswap_version must be text, not 1\.1: quote it"),
        ({"stackswap_rollback_to": 2}, r"stackswap_rollback_to must be text, not 2: quote it"),
        ({"stackswap_maintenance": "on"}, r"stackswap_maintenance must be one of start, end, not 'on'"),
        ({"stackswap_job_kind": "undo"}, r"stackswap_job_kind must be one of setup, build, deploy"),
    ],
)  # fmt: skip
def test_variables_of_a_job_that_are_wrong_are_refused(given: Any, sentence: str) -> None:
    """By their whole names."""
    with pytest.raises(BadInput, match=sentence):
        service.parse_variables(given)


@pytest.mark.parametrize(
    ("given", "word"), [(True, "yes"), (False, "no"), ("no", "no"), ("Yes", "yes"), ("later", None), ("only", "only")]
)
def test_whether_a_release_is_promoted_is_read_as_yaml_and_surveys_send_it(given: Any, word: str | None) -> None:
    """YAML makes a truth value of a bare yes or no."""
    if word:
        assert service.parse_variables({"stackswap_promote": given}) == {"stackswap_promote": word}
    else:
        with pytest.raises(BadInput, match="stackswap_promote must be one of yes, no, only"):
            service.parse_variables({"stackswap_promote": given})


def test_the_word_of_a_preview_is_not_told_where_it_is_refused() -> None:
    """It opens what is not for everyone."""
    with pytest.raises(BadInput, match="stackswap_preview must be 16 to 128 letters") as refused:
        service.parse_variables({"stackswap_preview": "too-short"})
    assert "too-short" not in str(refused.value)
