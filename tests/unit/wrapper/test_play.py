"""What ansible-playbook is started with: the caller's surroundings, and few additions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stackswap import play
from stackswap.play import configuration, surroundings
from stackswap.spec import parse

ADDED = {
    "ANSIBLE_PIPELINING",
    "ANSIBLE_SSH_ARGS",
    "ANSIBLE_GATHERING",
    "ANSIBLE_HOST_KEY_CHECKING",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no home."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def added(environ: dict[str, str]) -> dict[str, str]:
    """What is added to these variables."""
    return surroundings(environ, configuration(environ), terminal=True)


def test_defaults_are_ours_where_nobody_else_says_anything(folder: Path) -> None:
    """Pipelining, a kept connection, no fact gathering; host keys are checked."""
    found = added({})
    assert set(found) == ADDED
    assert found["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    assert "ControlPersist=120s" in found["ANSIBLE_SSH_ARGS"]


@pytest.mark.parametrize(
    ("environ", "gone"),
    [
        ({"ANSIBLE_PIPELINING": "0"}, "ANSIBLE_PIPELINING"),
        ({"ANSIBLE_SSH_PIPELINING": "0"}, "ANSIBLE_PIPELINING"),
        ({"ANSIBLE_SSH_ARGS": ""}, "ANSIBLE_SSH_ARGS"),
        ({"ANSIBLE_GATHERING": "smart"}, "ANSIBLE_GATHERING"),
        ({"ANSIBLE_HOST_KEY_CHECKING": "0"}, "ANSIBLE_HOST_KEY_CHECKING"),
    ],
)
def test_the_callers_variables_stay(folder: Path, environ: dict[str, str], gone: str) -> None:
    """A default never goes over a variable that is set."""
    assert set(added(environ)) == ADDED - {gone}


def test_the_callers_ansible_cfg_stays(folder: Path) -> None:
    """A variable of ours would win over the file, so there is none where the file speaks."""
    (folder / "ansible.cfg").write_text(
        "[defaults]\ngathering = smart\nhost_key_checking = False ; lab\n"
        "callback_plugins = cb:~/cb\n[ssh_connection]\npipelining = False\nssh_args = -C\n"
    )
    assert added({}) == {
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_CALLBACK_PLUGINS": f"{folder}/cb:{folder}/home/cb",
    }


def test_an_ansible_cfg_that_anyone_may_write_is_not_read(folder: Path) -> None:
    """Ansible ignores it in such a folder, so do we."""
    (folder / "ansible.cfg").write_text("[defaults]\ngathering = smart\n")
    folder.chmod(0o777)
    assert "ANSIBLE_GATHERING" in added({})
    assert "ANSIBLE_GATHERING" not in added({"ANSIBLE_CONFIG": str(folder / "ansible.cfg")})


def test_without_a_terminal_there_are_no_colours(folder: Path) -> None:
    """A log holds text, unless the caller wants colours."""
    cfg = configuration({})
    assert surroundings({}, cfg, terminal=False)["ANSIBLE_NOCOLOR"] == "1"
    assert "ANSIBLE_NOCOLOR" not in surroundings({"ANSIBLE_FORCE_COLOR": "1"}, cfg, terminal=False)


def test_the_command_is_ansible_playbooks_own(folder: Path) -> None:
    """Our variables come first, so that the caller's -e wins; playbooks have underscores."""
    spec = parse("build-and-deploy shop 1.10 -i inv -e a=1".split())
    planned = play.plan(spec, "j1", folder / "cancel", {})
    assert planned.playbook == "stackswap.bluegreen.build_and_deploy"
    assert planned.arguments[0] == "-e"
    assert json.loads(planned.arguments[1])["stackswap_version"] == "1.10"
    assert planned.arguments[2:] == ("-i", "inv", "-e", "a=1")
    assert planned.environment["STACKSWAP_STOP"] == str(folder / "cancel")
    assert Path(planned.binary).name == "ansible-playbook"


def test_the_collection_path_is_the_callers_where_the_collection_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editable install is found by itself; a bare checkout is added behind what there is."""
    environ = {"ANSIBLE_COLLECTIONS_PATH": "/mine"}
    monkeypatch.setattr(play, "_on_path", lambda root: True)
    assert play.collections(environ, configuration({})) == {}
    monkeypatch.setattr(play, "_on_path", lambda root: False)
    (path,) = play.collections(environ, configuration({})).values()
    assert path.startswith("/mine:")
    assert (Path(path.split(":")[1]) / "ansible_collections/stackswap/bluegreen").is_dir()
