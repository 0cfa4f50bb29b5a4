"""By what a server finds the code of a module: all that it is made of, and the Python that it runs in."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants

from ansible_collections.stackswap.bluegreen.plugins.plugin_utils import kept_code
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.forked import NONE
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.kept_code import KeptCode


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of its own, with files of its own: the folder of plugins."""
    plugins = tmp_path / "plugins"
    for name in ("modules/release.py", "module_utils/inner/deep.py", "plugin_utils/kept_code.py"):
        (plugins / name).parent.mkdir(parents=True)
        (plugins / name).write_text("SAID = 'first'\n")
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "run"))
    monkeypatch.setattr(kept_code, "__file__", str(plugins / "plugin_utils" / "kept_code.py"))
    (tmp_path / "run").mkdir()
    return plugins


class Action:
    """An action that says what it was told to execute."""

    def __init__(self, delegate_to: str | None = None) -> None:
        self._task = SimpleNamespace(action="stackswap.bluegreen.release", delegate_to=delegate_to)
        self._templar = SimpleNamespace(template=lambda text: str(text).replace("{{ which }}", "/opt/python"))
        self.executed: list[tuple[str, bytes]] = []

    def _update_module_args(self, name: str, args: dict[str, Any], variables: Any) -> None:
        args["_ansible_module_name"] = name

    def _compute_environment_string(self) -> str:
        return "WORD=here "

    def _low_level_execute_command(self, command: str, in_data: bytes) -> dict[str, Any]:
        self.executed.append((command, in_data))
        return {"rc": 0, "stdout": "{}", "stderr": ""}


def key(python: str = "/usr/bin/python3", **asked: Any) -> str:
    """The key of an action's module."""
    return KeptCode(Action(**asked), {"ansible_python_interpreter": python}).key


def anew(run: Path) -> str:
    """The key in the next run."""
    shutil.rmtree(run.parent / "run")
    (run.parent / "run").mkdir()
    return key()


def test_the_key_is_that_of_all_code(run: Path) -> None:
    """Of every file that a module may be made of, and of nothing else."""
    first = key()
    assert len(first) == 64 and anew(run) == first
    (run / "plugin_utils" / "other.py").write_text("")
    assert anew(run) == first
    for name in ("modules/release.py", "module_utils/inner/deep.py", "module_utils/more.py"):
        before = anew(run)
        (run / name).write_text("SAID = 'other'\n")
        assert anew(run) != before


def test_ansibles_own_code_is_in_it(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution may mend it without another version."""
    first = key()
    monkeypatch.setattr("ansible.module_utils.__file__", str(tmp_path / "own" / "__init__.py"))
    assert anew(run) != first


def test_a_run_finds_it_out_once(run: Path) -> None:
    """All its servers have the same, for each Python that they name."""
    first = key()
    (run / "modules" / "release.py").write_text("SAID = 'other'\n")
    assert key() == first
    assert key("/usr/bin/python3.11") != first


@pytest.mark.parametrize("python", ["auto", "auto_silent", ""])
def test_a_python_that_a_server_is_asked_for_has_none(python: str) -> None:
    """Ansible finds it out, and calls the module in its own way; so it does for a task of another server."""
    assert key(python) == ""
    assert key(delegate_to="server2") == ""
    action = Action()
    assert KeptCode(action, {"ansible_python_interpreter": python}).call({}, {}) == (NONE, "")
    assert not action.executed


def test_a_call_is_told_all_that_ansible_tells_a_module() -> None:
    """In its own Python and environment; the options go through the pipe, none of them to the command."""
    action = Action()
    kept = KeptCode(action, {"ansible_python_interpreter": "{{ which }}"})
    assert kept.call({"secret": "s3cret"}, {"name": "job-1"}) == (0, "{}")
    ((command, data),) = action.executed
    assert f'WORD=here /opt/python "$d"/code/whole-{kept.key}/start' in command and "s3cret" not in command
    assert b'"ANSIBLE_MODULE_ARGS"' in data and b'"_ansible_module_name": "stackswap.bluegreen.release"' in data
    assert b'"secret": "s3cret", "_line": {"name": "job-1"}' in data
