"""The SSH server is reached over its own network and lands on this machine; nothing is left."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.lab import ssh

pytestmark = pytest.mark.slow  # and root, which a network namespace needs


def said(server: ssh.Server, words: str) -> tuple[int, str]:
    """Run words on the server and return the exit code and the output."""
    done = subprocess.run(server.command(words), capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.strip()


def test_a_session_is_on_this_machine_and_its_bytes_are_counted() -> None:
    here = os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/mnt")
    with ssh.server() as server:
        before = server.carried()
        asked = "readlink /proc/self/ns/net /proc/self/ns/mnt; echo 'two  words'; exit 7"
        code, output = said(server, asked)
        assert (code, output.splitlines()) == (7, [*here, "two  words"])
        assert all(now > then for now, then in zip(server.carried(), before, strict=True))


def test_another_key_is_refused() -> None:
    with ssh.server() as one, ssh.server() as other:
        assert one.address != other.address
        words = one.command("true")
        words[words.index(str(one.key))] = str(other.key)
        assert subprocess.run(words, capture_output=True).returncode == 255


def test_nothing_is_left_even_with_a_session_open() -> None:
    with ssh.server() as server:
        left = subprocess.Popen(server.command("echo here; sleep 5"), stdout=subprocess.PIPE)
        assert left.stdout.readline() == b"here\n"
    assert left.wait(20) == 255
    assert server.interface not in ssh.ip("netns", "list") + ssh.ip("link")
    assert not server.key.exists()
