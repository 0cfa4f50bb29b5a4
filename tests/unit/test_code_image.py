"""A module's code is sent to a server once: later jobs start it from what was kept, and whatever is wrong, it is sent.

Both sides are the real ones; the program is one as Ansible makes them, with a zip file of all code in it.
"""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.fingerprint import fingerprint
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.stubbed import stubbed
from tests.unit.test_compiled import MODULE, OURS, UTILS

KEPT, ABSENT = "whole-", '{"changed": false, "code_absent": true}'
# What a module does here stands for all that it would: it is found in the code, and tells where that came from.
MAIN = f"""
import inspect, sys
import ansible
from {MODULE} import compiled, word
print(word.SAID, type(word.__spec__.loader).__module__.rpartition(".")[2], ansible.VERSION)
print(inspect.getsource(word.fail).splitlines()[0])
if compiled.ARCHIVE:
    compiled.keep_whole(compiled.ARCHIVE)
word.fail()
"""
PROGRAM = """
import os, sys
os.geteuid = lambda: 4711
real = os.lstat
os.lstat = lambda path: os.stat_result([*real(path)[:4], 4711, *real(path)[5:]])
import base64
def main(zip_data, profile):
    path = sys.argv[1]
    with open(path, "wb") as file:
        file.write(base64.b64decode(zip_data))
    sys.path.insert(0, path)
    import ansible
    import runpy
    runpy.run_module("main", run_name="__main__", alter_sys=True)
main(zip_data={packed!r}, profile='legacy')
"""
WORD = "SAID = {said!r}\ndef fail():\n    raise RuntimeError('here')  # the line\n"


class Server:
    """Where modules are called: its folder, and the program that Ansible makes of the module today."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.code = folder, folder / "stackswap-4711" / "code"
        self.program = self.packed("first")

    def packed(self, said: str, year: int = 2026) -> bytes:
        """The program with this word in its code."""
        packages = ["/".join(UTILS.split("/")[:end]) for end in range(1, 6)]
        files = {f"{package}/__init__.py": "" for package in packages} | OURS
        files |= {"ansible/__init__.py": "VERSION = 'own'", "main.py": MAIN, f"{UTILS}/word.py": WORD.format(said=said)}
        path = self.folder / "made.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
        return PROGRAM.format(packed=base64.b64encode(path.read_bytes()).decode()).encode()

    def call(self, program: bytes) -> subprocess.CompletedProcess[str]:
        """Have Python read it from its standard input, as over a connection's pipe."""
        env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.folder)}
        words = [sys.executable, "-", str(self.folder / "payload.zip")]
        return subprocess.run(words, input=program.decode(), env=env, capture_output=True, text=True, check=False)

    def whole(self) -> list[Path]:
        """The files with all code of a module, the oldest first."""
        return sorted(self.code.glob(f"{KEPT}*"), key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """One on which nothing has been called."""
    return Server(tmp_path)


def test_code_that_is_not_there_is_said_to_be_absent(server: Server) -> None:
    """In a result, as any other: whoever called sends it then."""
    done = server.call(stubbed(server.program))
    assert (done.returncode, done.stdout, done.stderr) == (0, ABSENT, "")
    assert not server.whole()


def test_a_later_call_needs_no_code(server: Server) -> None:
    """It runs as from the zip file, Ansible's own included, from a file that is this user's alone."""
    assert server.call(server.program).stdout.startswith("first compiled own\n")
    (path,) = server.whole()
    assert path.stat().st_mode & 0o777 == 0o600
    done = server.call(stubbed(server.program))
    assert done.stdout.splitlines() == ["first code_image own", "def fail():"]
    assert f'{UTILS}/word.py", line 3, in fail' in done.stderr and "RuntimeError: here" in done.stderr
    assert server.whole() == [path]


def test_no_code_is_sent(server: Server) -> None:
    """But the few files that find it; all that Ansible has written around it is."""
    small = stubbed(server.program)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(small.split(b"'")[1]))) as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert names == {"__init__.py", "code_image.py", "own_folder.py"}
    assert small.split(b"'")[::2] == server.program.split(b"'")[::2]


def test_other_code_is_sent_anew(server: Server) -> None:
    """It goes by what is in it, not by its name; the same code packed at another time is known."""
    server.call(server.program)
    other = server.packed("other")
    assert server.call(stubbed(other)).stdout == ABSENT
    assert server.call(other).stdout.startswith("other compiled")
    assert server.call(stubbed(other)).stdout.startswith("other code_image")
    assert server.call(stubbed(server.packed("first", year=2031))).stdout.startswith("first code_image")


@pytest.mark.parametrize("torn", [b"", b"\xe3", b"not code", b"i\x01\x00\x00\x00", b"{0"])
def test_a_torn_file_is_sent_anew(server: Server, torn: bytes) -> None:
    """And goes, so that the next one is whole."""
    server.call(server.program)
    server.whole()[0].write_bytes(torn)
    assert server.call(stubbed(server.program)).stdout == ABSENT
    assert not server.whole()
    server.call(server.program)
    assert server.call(stubbed(server.program)).stdout.startswith("first code_image")


def test_a_folder_that_others_can_write_into_is_not_believed(server: Server) -> None:
    """What lies in it may be anybody's."""
    server.call(server.program)
    server.code.chmod(0o777)
    assert server.call(stubbed(server.program)).stdout == ABSENT


def test_only_the_code_of_the_last_ones_is_kept(server: Server) -> None:
    """By when they were used: the folder may be in memory."""
    server.call(server.program)
    for number in range(2):
        server.call(server.packed(f"other {number}"))
    (oldest, *_rest) = server.whole()
    assert server.call(stubbed(server.program)).stdout.startswith("first")
    server.call(server.packed("another"))
    assert len(server.whole()) == 3 and oldest in server.whole()


def test_a_program_that_is_not_as_known_is_sent_as_it_is(server: Server) -> None:
    """One without a zip file, and one with two."""
    assert stubbed(b"print('PK')") == b"print('PK')"
    twice = server.program + b"\nagain = '" + server.program.split(b"'")[1] + b"'"
    assert stubbed(twice) == twice


def test_what_ansible_adds_on_the_server_is_no_other_code(server: Server) -> None:
    """Its own file in the zip file, with a path in it."""
    packed = base64.b64decode(server.program.split(b"'")[1])
    path = server.folder / "added.zip"
    path.write_bytes(packed)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sitecustomize.py", "import sys")
    assert fingerprint(path.read_bytes()) == fingerprint(packed)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.py", "")
    assert fingerprint(path.read_bytes()) != fingerprint(packed)
