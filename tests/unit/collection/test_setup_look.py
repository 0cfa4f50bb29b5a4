"""What setup reads of a server: apt's lists in both formats, and the mirror for the pin."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "collection/roles/stackswap/files/server.py"
SPEC = importlib.util.spec_from_file_location("stackswap_server", FILE)
server = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(server)

KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://mirror.example.com/debian"

ONE_LINE = {
    f"deb {MIRROR} bookworm main": "",
    f"deb {MIRROR} bookworm main contrib # all": "",
    f"deb [signed-by={KEY}] {MIRROR} bookworm main": KEY,
    f"  deb\t[ arch=amd64 signed-by={KEY} ] {MIRROR} bookworm main": KEY,
    f"deb http://security.example.com x main\ndeb {MIRROR} bookworm main": "",
}

DEB822 = {
    f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm bookworm-updates\nComponents: main\n": "",
    f"# ours\nTypes: deb deb-src\nURIs: {MIRROR}\n http://b\nSuites: bookworm\n"
    f"Components: main\nSigned-By: {KEY}\n": KEY,
    f"Types: deb\nEnabled: no\nURIs: http://off\nSuites: bookworm\nComponents: main\n\n"
    f"Types: deb\nURIs: {MIRROR}\nsuites: bookworm\nComponents: main\nSigned-By: {KEY}": KEY,
}

NOTHING = (
    "",
    f"# deb {MIRROR} bookworm main",
    f"deb-src {MIRROR} bookworm main",
    f"deb {MIRROR} trixie main",
    f"deb {MIRROR} bookworm contrib",
)


@pytest.mark.parametrize(("text", "key"), ONE_LINE.items())
def test_a_mirror_in_the_one_line_format_is_found(text: str, key: str) -> None:
    """With its key, when the line names one."""
    assert server.mirror(server.one_line(text), "bookworm") == {"uri": MIRROR, "key": key}


@pytest.mark.parametrize(("text", "key"), DEB822.items())
def test_a_mirror_in_the_deb822_format_is_found(text: str, key: str) -> None:
    """The first address of the first entry that is switched on."""
    assert server.mirror(server.deb822(text), "bookworm") == {"uri": MIRROR, "key": key}


def test_a_key_written_into_the_list_itself_is_kept_whole() -> None:
    """apt takes the block as it stands, each line indented."""
    block = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----"
    text = f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\nSigned-By:{block}\n"
    assert server.mirror(server.deb822(text), "bookworm")["key"] == block.strip()


@pytest.mark.parametrize("text", NOTHING)
def test_no_mirror_is_made_up(text: str) -> None:
    """Another suite, another component, sources or a comment is none."""
    assert server.mirror(server.one_line(text), "bookworm") == {}


def test_all_lists_are_read_and_other_files_are_not(tmp_path: Path) -> None:
    """sources.list first, then the folder's lists by name, each in the format of its name."""
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (tmp_path / "sources.list").write_text("deb http://one bookworm main\n")
    (folder / "b.list").write_text("deb http://three trixie main\n")
    deb822 = "Types: deb\nURIs: http://two\nSuites: bookworm\nComponents: main\n"
    (folder / "a.sources").write_text(deb822)
    (folder / "c.list.save").write_text("deb http://four sid main\n")
    found = [one["uris"][0] for one in server.sources(str(tmp_path))]
    assert found == ["http://one", "http://two", "http://three"]


def test_it_runs_by_itself_and_answers_in_json() -> None:
    """As setup runs it: from standard input, in whatever Python the server has."""
    done = subprocess.run([sys.executable, "-"], input=FILE.read_bytes(), capture_output=True)
    said = json.loads(done.stdout)
    assert {"library", "apt", "systemd", "engine", "buildx", "mirror"} <= said.keys()
    assert said["python"] == sys.executable
