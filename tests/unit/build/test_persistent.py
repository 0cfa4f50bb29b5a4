"""Persistent folders: linked when the image is built, seeded once when a container starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import persistent
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_scripts import entrypoint
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from tests.lab import debian

SHELLS = {"dash": "dash", "bash": "bash", "busybox": "busybox-static"}  # each with its package
NOBODY = 65534
PATHS = {"data": "/data", "seeds": "/.stackswap/seed", "list": "/.stackswap/persistent"}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """A shell that images have."""
    debian.need(SHELLS[request.param], request.param)
    return ["busybox", "sh"] if request.param == "busybox" else [request.param]


class Machine:
    """A folder that stands for the root of a container: /code, /data, /.stackswap."""

    def __init__(self, top: Path, shell: list[str]) -> None:
        self.top, self.shell = top, shell
        self.code, self.data, self.seeds = top / "code", top / "data", top / "seed"
        self.code.mkdir()

    def write(self, name: str, text: str = "x") -> Path:
        """Write a file."""
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def link(self, *folders: str) -> subprocess.CompletedProcess[str]:
        """What the last layers do."""
        usual = " ".join(f"{name}={path}" for name, path in PATHS.items())
        assert usual in persistent.LINK
        text = persistent.LINK.replace(usual, f"data={self.data} seeds={self.seeds} list={self.top}/list")
        words = [*self.shell, "-c", text, "sh", str(self.code), *folders]
        return subprocess.run(words, capture_output=True, text=True, timeout=60)

    def start(self, *words: str, **how: int) -> subprocess.Popen[str]:
        """Start a container of it."""
        usual = " ".join(f"_sw_{name}={path}" for name, path in PATHS.items())
        text = entrypoint(False)
        assert usual in text
        text = text.replace(usual, f"_sw_data={self.data} _sw_seeds={self.seeds} _sw_list={self.top}/list")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*self.shell, "-c", text, "sh", *(words or ("true",))], **pipes, **how)

    def run(self, *words: str, **how: int) -> tuple[int, str, str]:
        """Start one and wait for its end."""
        started = self.start(*words, **how)
        out, err = started.communicate(timeout=60)
        return started.returncode, out, err


@pytest.fixture
def machine(shell: list[str]) -> Iterator[Machine]:
    """An empty one that any user may enter."""
    with tempfile.TemporaryDirectory(prefix="stackswap-test-") as top:
        os.chmod(top, 0o755)
        yield Machine(Path(top), shell)


def test_a_folder_becomes_a_link_and_its_content_a_seed(machine: Machine) -> None:
    """With owners and modes as they were; a second build upon it changes nothing."""
    machine.write("code/public/uploads/logo").chmod(0o640)
    os.chown(machine.code / "public/uploads", 33, 33)
    for _ in range(2):
        assert machine.link("public/uploads").stderr == ""
        assert (machine.code / "public/uploads").readlink() == machine.data / "public/uploads"
        assert (machine.seeds / "public/uploads").stat().st_uid == 33
        assert (machine.seeds / "public/uploads/logo").stat().st_mode & 0o777 == 0o640
        assert (machine.top / "list").read_text() == "public/uploads\n"


def test_a_folder_that_is_not_there_gets_the_owner_of_its_surroundings(machine: Machine) -> None:
    """So that the application, which made none, may write to it."""
    (machine.code / "var").mkdir()
    os.chown(machine.code / "var", 33, 33)
    assert machine.link("var/log/app").returncode == 0
    assert (machine.seeds / "var/log/app").stat().st_uid == 33
    assert machine.run()[0] == 0
    assert (machine.data / "var/log/app").stat().st_uid == 33


def test_a_link_that_the_base_image_made_is_left_as_it_is(machine: Machine) -> None:
    """No link leads to another link, and what it leads to is made at the start."""
    machine.write("data/uploads/logo")
    (machine.code / "var").mkdir()
    (machine.code / "var/uploads").symlink_to(machine.data / "uploads")
    (machine.code / "cache").symlink_to(machine.data / "cache")
    (machine.data / "cache").mkdir()
    assert machine.link("var/uploads", "cache/pages").returncode == 0
    assert (machine.code / "var/uploads").readlink() == machine.data / "uploads"
    shutil.rmtree(machine.data)  # in a container, a mount hides what the image has there
    assert machine.run()[0] == 0
    assert (machine.code / "var/uploads/logo").read_text() == "x"
    assert (machine.code / "cache/pages").is_dir()


def test_a_link_to_elsewhere_is_refused(machine: Machine) -> None:
    """What it means cannot be known."""
    (machine.code / "uploads").symlink_to("/srv")
    done = machine.link("uploads")
    assert done.returncode == 66
    assert "uploads is a link to /srv in the code" in done.stderr


def test_a_seed_is_copied_once_and_nothing_is_overwritten(machine: Machine) -> None:
    """The next release brings another seed; what people have put there stays as it is."""
    machine.write("code/media/a b/logo", "old")
    machine.write("code/key", "one")
    machine.link("media", "key", "empty")
    assert machine.run("echo", "started") == (0, "started\n", "")
    machine.write("data/media/a b/logo", "theirs")
    machine.write("data/media/more")
    machine.write("seed/media/a b/logo", "new")
    machine.write("seed/media/new")
    machine.write("seed/key", "two")
    assert machine.run("echo", "started") == (0, "started\n", "")
    assert (machine.data / "media/a b/logo").read_text() == "theirs"
    assert sorted(os.listdir(machine.data / "media")) == ["a b", "more"]
    assert (machine.data / "key").read_text() == "one"
    assert sorted(os.listdir(machine.data)) == ["empty", "key", "media"]


def test_two_containers_may_start_at_once(machine: Machine) -> None:
    """Each finds the whole seed, and no copy is left over."""
    for n in range(60):
        machine.write(f"code/media/{n}")
    machine.link("media", "empty")
    count = f"ls {machine.data}/media | wc -l"
    started = [machine.start("sh", "-c", count) for _ in range(6)]
    said = [one.communicate(timeout=120) for one in started]
    assert [(out.strip(), err) for out, err in said] == [("60", "")] * 6
    assert sorted(os.listdir(machine.data)) == ["empty", "media"]
    assert len(os.listdir(machine.data / "media")) == 60


def test_any_user_may_start_it_where_data_is_writable(machine: Machine) -> None:
    """What it makes there is its own."""
    machine.write("code/media/logo")
    machine.link("media")
    machine.data.mkdir(mode=0o755)
    code, out, err = machine.run("echo", "started", user=NOBODY, group=NOBODY)
    assert (code, out) == (73, "")
    assert f"{machine.data}/media cannot be made: is there a {machine.data} that user {NOBODY} may write to?" in err
    os.chown(machine.data, NOBODY, NOBODY)
    assert machine.run("echo", "started", user=NOBODY, group=NOBODY) == (0, "started\n", "")
    assert (machine.data / "media/logo").stat().st_uid == NOBODY
    os.chown(machine.data, 0, 0)
    assert machine.run("echo", "started", user=NOBODY, group=NOBODY)[0] == 0


KEPT = {
    "as asked": (("b", "./a/"), ("x",), ("a", "b")),
    "none": ((), ("x",), ()),
    "the runtime's": (None, ("x", "y/z"), ("x", "y/z")),
    "one within another": (("var", "var/log", "various"), (), ("var", "various")),
}


@pytest.mark.parametrize(("asked", "runtime", "found"), KEPT.values(), ids=KEPT)
def test_the_service_says_which_else_the_runtime_does(asked, runtime, found) -> None:
    """Null is left open, an empty list is none."""
    assert persistent.kept(asked, runtime) == found


@pytest.mark.parametrize("path", ["/var", "..", "a/../..", ".", "", "a\nb", "-r", "a<<b"])
def test_what_is_no_folder_below_the_code_root_is_refused(path: str) -> None:
    """It would become a line of the Dockerfile, or lead out of the code."""
    with pytest.raises(BadInput, match="not a folder below the code root"):
        persistent.kept((path,))


def test_an_image_without_a_working_directory_is_refused() -> None:
    """The folders would be those of the system."""
    with pytest.raises(BadInput, match="no working directory"):
        persistent.link("/", ("var",))
    assert persistent.link("/code", ("a b",)).endswith('["/bin/sh", "/.stackswap/persist/run", "/code", "a b"]')
