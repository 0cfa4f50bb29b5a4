"""What a module is made of is compiled once on a server, and whatever is wrong with that, the module runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

UTILS = "ansible_collections/stackswap/bluegreen/plugins/module_utils"
SOURCE = Path(__file__).parents[2] / "collection" / "plugins" / "module_utils"
FILES = ("compiled.py", "own_folder.py")
OURS = {f"{UTILS}/{name}": (SOURCE / name).read_text() for name in FILES}
MODULE = UTILS.replace("/", ".")
# A module as Ansible brings it: the zip file comes first on the path, and its own import of ours does too.
CALL = f"""
import inspect, sys
sys.path.insert(0, sys.argv[1])
import os
os.geteuid = lambda: 4711
real = os.lstat
os.lstat = lambda path: os.stat_result([*real(path)[:4], 4711, *real(path)[5:]])
from {MODULE} import compiled
from {MODULE} import word
from {MODULE}.inner import deep
os.remove(sys.argv[1])
print(word.SAID, deep.SAID, type(word.__spec__.loader).__name__)
print(inspect.getsource(word).splitlines()[0], inspect.getsource(word.fail).splitlines()[0])
word.fail()
"""
WORD = "SAID = {said!r}\ndef fail():\n    raise RuntimeError('here')  # the line\n"


class Server:
    """Where modules are called: a folder for what they share, and a zip file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.archive = folder, folder / "payload.zip"
        self.code, self.packed = folder / "stackswap-4711" / "code", b""

    def bring(self, said: str) -> None:
        """Pack the module anew."""
        packages = ["/".join(UTILS.split("/")[:end]) for end in range(1, 6)] + [f"{UTILS}/inner"]
        files = {f"{package}/__init__.py": "" for package in packages}
        files |= OURS | {f"{UTILS}/word.py": WORD.format(said=said), f"{UTILS}/inner/deep.py": "SAID = 'deep'"}
        with zipfile.ZipFile(self.archive, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        self.packed = self.archive.read_bytes()

    def call(self) -> subprocess.CompletedProcess[str]:
        """Call it once; the zip file goes, as Ansible's does before the work of a long call is over."""
        self.archive.write_bytes(self.packed)
        env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.folder)}
        return subprocess.run([sys.executable, "-c", CALL, str(self.archive)], env=env, capture_output=True, text=True)

    def kept(self) -> dict[str, int]:
        """The files that lie compiled, with when they were written."""
        return {path.name: path.stat().st_mtime_ns for path in self.code.iterdir()}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """One on which nothing has been called."""
    made = Server(tmp_path)
    made.bring("first")
    return made


def test_a_second_call_compiles_nothing(server: Server) -> None:
    """What the first has written is there for it, for its owner alone."""
    assert server.call().stdout.startswith("first deep Loader\n")
    before = server.kept()
    assert len(before) == 3
    assert server.call().stdout.startswith("first deep Loader\n")
    assert server.kept() == before
    assert {path.stat().st_mode & 0o777 for path in server.code.iterdir()} == {0o600}
    assert server.code.stat().st_mode & 0o777 == 0o700


def test_other_code_is_compiled_anew(server: Server) -> None:
    """It goes by what is in a file, never by its name or its age."""
    server.call()
    server.bring("other")
    assert server.call().stdout.startswith("other deep Loader\n")
    assert len(server.kept()) == 4


def test_a_traceback_has_the_line(server: Server) -> None:
    """As it would have out of the zip file, also in a call that has compiled nothing."""
    for _turn in range(2):
        said = server.call().stderr
        assert f'File "{UTILS}/word.py", line 3, in fail' in said
        assert "RuntimeError: here" in said


def test_its_source_can_be_had(server: Server) -> None:
    """What cron runs on a server is put there out of it, also when the zip file is gone, and in a later call."""
    for _turn in range(2):
        assert server.call().stdout.splitlines()[1] == "SAID = 'first' def fail():"


@pytest.mark.parametrize("torn", [b"", b"\xe3", b"not code", b"i\x01\x00\x00\x00"])
def test_a_torn_file_is_compiled_anew(server: Server, torn: bytes) -> None:
    """Nobody reads it as code, unless it is."""
    server.call()
    for path in server.code.iterdir():
        path.write_bytes(torn)
    done = server.call()
    assert done.stdout.startswith("first deep Loader\n"), done.stderr
    assert torn not in {path.read_bytes() for path in server.code.iterdir()}


def test_a_folder_that_others_can_write_into_is_not_used(server: Server) -> None:
    """The module comes out of the zip file, as without it."""
    server.code.mkdir(parents=True)
    server.code.chmod(0o777)
    assert server.call().stdout.startswith("first deep zipimporter\n")
    assert not list(server.code.iterdir())


def test_a_link_in_the_folders_place_is_not_followed(server: Server, tmp_path: Path) -> None:
    """Whoever laid it there would choose what runs."""
    (tmp_path / "theirs").mkdir()
    server.code.parent.mkdir()
    server.code.symlink_to(tmp_path / "theirs")
    assert server.call().stdout.startswith("first deep zipimporter\n")
    assert not list((tmp_path / "theirs").iterdir())


def test_a_folder_where_nothing_can_be_written_costs_no_call(server: Server) -> None:
    """Nothing is kept, and the module runs."""
    server.code.parent.mkdir()
    server.code.write_text("a file")
    assert server.call().stdout.startswith("first deep zipimporter\n")


def test_what_many_versions_have_left_goes(server: Server) -> None:
    """All at once, and what is needed comes again."""
    server.call()
    for number in range(2000):
        (server.code / f"old-{number}").touch()
    assert server.call().stdout.startswith("first deep Loader\n")
    assert len(server.kept()) == 3
