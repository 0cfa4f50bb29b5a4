"""A module's code is sent to a server once: later jobs start it from what was kept, and whatever is wrong, it is sent.

The program is one as Ansible makes them, with a zip file of all code; the start is the shell's command of the action.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.forked import NONE
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.kept_code import START
from tests.unit.test_compiled import MODULE, OURS, SOURCE, UTILS

KEEPING = {f"{UTILS}/{name}": (SOURCE / name).read_text() for name in ("code_image.py", "code_keep.py")}

# What a module does here stands for all that it would: it is found in the code, and tells where that came from.
MAIN = f"""
import inspect, sys
import ansible.module_utils.basic as basic
from {MODULE} import compiled  # first, as in every module
from {MODULE} import code_keep, word
print(word.SAID, type(word.__spec__.loader).__name__, basic.OWN, basic._ANSIBLE_ARGS)
print(inspect.getsource(word.fail).splitlines()[0])
print(_module_fqn, any("whole-" in place for place in sys.path))
code_keep.keep_whole(sys.argv[2] if len(sys.argv) > 2 else "")
if basic._ANSIBLE_ARGS == b"fail":
    word.fail()
"""
PROGRAM = """
import os, runpy, sys
os.geteuid = lambda: 4711
real = os.lstat
os.lstat = lambda path, **at: os.stat_result([*real(path, **at)[:4], 4711, *real(path, **at)[5:]])
sys.path.insert(0, sys.argv[1])
runpy.run_module("main", {"_module_fqn": "main", "_modlib_path": sys.argv[1]}, "__main__", True)
"""
WORD = "SAID = {said!r}\ndef fail():\n    raise RuntimeError('here')  # the line\n"
BASIC = "OWN, _ANSIBLE_ARGS = 'own', None\n"


class Server:
    """Where modules are called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "stackswap-4711"
        self.code = self.home / "code"

    def call(self, key: str, said: str = "first") -> str:
        """Call the module as Ansible does, and keep its code by this key."""
        packages = ["/".join(UTILS.split("/")[:end]) for end in range(1, 6)] + ["ansible", "ansible/module_utils"]
        files = {f"{package}/__init__.py": "" for package in packages} | OURS | KEEPING
        files |= {"ansible/module_utils/basic.py": BASIC, "main.py": MAIN, f"{UTILS}/word.py": WORD.format(said=said)}
        path = self.folder / "payload.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.folder)}
        words = [sys.executable, "-c", PROGRAM, str(path), key]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        path.unlink()
        return done.stdout

    def start(self, key: str, told: str = "{}", python: str = sys.executable) -> tuple[int, list[str]]:
        """Start it from what was kept: the exit code, and the lines it has said."""
        command = START.format(key=key, python=python, environment="WORD=here ")
        command = command.replace("/run/stackswap", str(self.home))
        done = subprocess.run(["sh", "-c", command], input=told, capture_output=True, text=True, check=False)
        return done.returncode, [*done.stdout.splitlines(), *done.stderr.splitlines()]

    def image(self, key: str) -> Path:
        """The file of its code."""
        return self.code / f"whole-{key}" / "image"


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """One on which nothing has been called."""
    return Server(tmp_path)


def test_code_that_is_not_there_is_none(server: Server) -> None:
    """Whoever called sends it then: no Python is started for that, nor where nothing was ever kept."""
    assert server.start("a", python="/no/python") == (NONE, [])
    server.call("a")
    assert server.start("b", python="/no/python") == (NONE, [])


def test_a_later_call_needs_no_code(server: Server) -> None:
    """It runs as from the zip file, Ansible's own included, with what comes by its standard input."""
    assert server.call("a").splitlines() == ["first Loader own None", "def fail():", "main False"]
    assert server.image("a").stat().st_mode & 0o777 == 0o600
    assert server.image("a").parent.stat().st_mode & 0o777 == 0o700
    before = server.image("a").stat().st_mtime_ns
    assert server.start("a") == (0, ["first Loader own b'{}'", "def fail():", "main False"])
    assert server.image("a").stat().st_mtime_ns == before and len(list(server.code.glob("whole-*"))) == 1


def test_what_a_module_raises_is_its_result(server: Server) -> None:
    """As that of a call through a fork server."""
    server.call("a")
    code, lines = server.start("a", "fail")
    assert code == 0 and lines[-1] == '{"failed": true, "changed": false, "msg": "RuntimeError: here"}'


def test_each_key_has_its_own_code(server: Server) -> None:
    """Two versions of the collection may be at work on one server."""
    server.call("a")
    server.call("b", "other")
    assert (server.start("a")[1][0], server.start("b")[1][0]) == ("first Loader own b'{}'", "other Loader own b'{}'")


@pytest.mark.parametrize("torn", [b"", b"\xe3", b"not code", b"i\x01\x00\x00\x00", b"{0"])
def test_a_torn_file_is_none_and_goes(server: Server, torn: bytes) -> None:
    """So that the next one is whole."""
    server.call("a")
    server.image("a").write_bytes(torn)
    assert server.start("a") == (NONE, []) and not server.image("a").exists()
    assert server.start("a") == (NONE, [])
    server.call("a")
    assert server.start("a")[0] == 0


def test_code_of_another_python_is_none(server: Server) -> None:
    """A server's Python may be another one since."""
    server.call("a")
    data = server.image("a").read_bytes()
    server.image("a").write_bytes(data.replace(f"{sys.hexversion:x}".encode(), b"30900f0"))
    assert server.start("a") == (NONE, [])


def test_what_somebody_else_may_have_laid_there_is_not_run(server: Server) -> None:
    """A link in the folder's place, or a folder of another user."""
    server.call("a")
    server.home.rename(server.folder / "real")
    server.home.symlink_to(server.folder / "real")
    assert server.start("a") == (NONE, [])
    server.home.unlink()
    (server.folder / "real").rename(server.home)
    assert server.start("a")[0] == 0
    os.chown(server.home, 12345, 12345)
    assert server.start("a") == (NONE, [])


def test_only_the_last_ones_are_kept(server: Server) -> None:
    """By when they were used: the folder may be in memory."""
    for key in "abc":
        server.call(key)
        os.utime(server.code / f"whole-{key}", (ord(key), ord(key)))
    assert server.start("a")[0] == 0
    server.call("d")
    assert {path.name for path in server.code.glob("whole-*")} == {"whole-a", "whole-c", "whole-d"}
