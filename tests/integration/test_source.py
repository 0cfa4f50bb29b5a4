"""Code from git hosts that ask who is there: an SSH server, and one by HTTP; what is built is told by labels."""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import git
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Source, SourceFailed
from tests.lab import ssh

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "tok3n-that-nobody-sees"
WHO = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
BACKEND = "/usr/lib/git-core/git-http-backend"


def run(path: Path, *words: str) -> str:
    """Run git in a folder."""
    env = {**WHO, "PATH": os.environ["PATH"], "HOME": str(path)}
    command = ["git", "-c", "protocol.file.allow=always", "-C", str(path), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout.strip()


def repository(path: Path, submodule: str = "") -> Path:
    """One commit on main with a file; another repository in the folder `part`, by this address."""
    path.mkdir(parents=True)
    run(path, "init", "--quiet", "--initial-branch=main")
    (path / "file").write_text("one")
    if submodule:
        run(path, "submodule", "--quiet", "add", str(path.parent / "part"), "part")
        run(path, "config", "--file", ".gitmodules", "submodule.part.url", submodule)
    run(path, "add", ".")
    run(path, "commit", "--quiet", "-m", "one")
    run(path, "tag", "-a", "v1", "-m", "v1")
    return path


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    """A repository `shop` with the submodule `part`, beside it on the same host."""
    repository(tmp_path / "part")
    repository(tmp_path / "shop", "../part")
    return tmp_path


@pytest.fixture(scope="module")
def sshd() -> Iterator[ssh.Server]:
    """A git host by SSH."""
    with ssh.server() as made:
        yield made


@pytest.fixture
def by_ssh(sshd: ssh.Server, repositories: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The address of `shop` on a host that the builder trusts; no agent, no keys of its own."""
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F none {' '.join(sshd.args[:4])} -o BatchMode=yes")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return {"git": f"ssh://{sshd.user}@{sshd.address}{repositories}/shop", "ref": "main"}


def fetched(path: Path, **given: Any) -> Any:
    """What lies in a folder after the fetch."""
    source = Source(**given)
    path.mkdir()
    return git.clone(source, git.resolve(source), str(path))


@pytest.mark.parametrize("way", ["key", "key_file"])
def test_a_deploy_key_fetches_code_and_submodules(
    way: str, by_ssh: dict[str, str], sshd: ssh.Server, repositories: Path, tmp_path: Path
) -> None:
    """As text or as a file; no history and nothing of git's stays."""
    key = {"key": sshd.key.read_text().strip().replace("\n", "\r\n"), "key_file": str(sshd.key)}[way]
    before = agents()
    code = fetched(tmp_path / "made", **by_ssh, **{way: key})
    assert sorted(str(p.relative_to(tmp_path / "made")) for p in (tmp_path / "made").rglob("*")) == [
        *(".gitmodules", "file", "part", "part/file"),
    ]
    assert code.commit == run(repositories / "shop", "rev-parse", "HEAD")
    assert code.tree == run(repositories / "shop", "rev-parse", "HEAD^{tree}")
    assert agents() == before


def agents() -> set[str]:
    """The agents that run, by their process."""
    lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0] for line in lines if "ssh-agent -D -a" in line}


def test_the_text_of_a_key_is_on_no_disk_and_in_no_argument(
    by_ssh: dict[str, str], sshd: ssh.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While git runs, which here is a program that looks around."""
    (tmp_path / "bin").mkdir()
    spy = tmp_path / "bin/git"
    spy.write_text(
        f"#!/bin/sh\nps -eo args >>{tmp_path}/seen\ngrep -rlsF -f {tmp_path}/mark /tmp/stackswap-*/ /dev/shm "
        f'>>{tmp_path}/seen\nssh-add -l >>{tmp_path}/seen\nexec /usr/bin/git "$@"\n'
    )
    spy.chmod(0o755)
    key = sshd.key.read_text()
    mark = key.splitlines()[2]
    (tmp_path / "mark").write_text(f"{mark}\n")
    folder = sshd.key.parent
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    fetched(tmp_path / "made", **by_ssh, key=key)
    seen = (tmp_path / "seen").read_text()
    assert "ED25519" in seen
    assert mark not in seen
    found = {Path(line).parent for line in seen.splitlines() if line.startswith(("/tmp/stackswap-", "/dev/shm/"))}
    assert found <= {folder}


REFUSED = {
    "wrong key": ({"key": "other"}, "key_refused", "refused the SSH key"),
    "no key": ({}, "key_refused", "refused the SSH key"),
    "not a key": ({"key": "hunter2"}, "key_refused", "not a private SSH key"),
    "no file": ({"key_file": "/nosuch/key"}, "source_failed", "no file /nosuch/key"),
    "no such branch": ({"key": "right", "ref": "nosuch"}, "ref_missing", "no branch or tag nosuch"),
    "short commit": ({"key": "right", "ref": "abcdef1"}, "ref_missing", "no branch or tag abcdef1"),
    "no such commit": ({"key": "right", "ref": "a" * 40}, "ref_missing", "does not have this commit"),
    "no such repository": ({"key": "right", "git": "nosuch"}, "repository_missing", "no such repository"),
}


@pytest.mark.parametrize(("given", "cause", "said"), REFUSED.values(), ids=REFUSED)
def test_what_the_host_refuses_is_said(
    given: dict[str, str], cause: str, said: str, by_ssh: dict[str, str], sshd: ssh.Server, tmp_path: Path
) -> None:
    """In words, with what to do, and never with the key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    keys = {"right": sshd.key.read_text(), "other": (tmp_path / "other").read_text()}
    asked = {**by_ssh, **given}
    if "key" in given:
        asked["key"] = keys.get(given["key"], given["key"])
    if given.get("git"):
        asked["git"] = by_ssh["git"] + given["git"]
    with pytest.raises(SourceFailed) as failed:
        fetched(tmp_path / "made", **asked)
    assert (failed.value.cause, said in failed.value.what) == (cause, True), failed.value.what
    assert "hint" in failed.value.facts or cause == "source_failed"
    assert "hunter2" not in failed.value.what


def test_a_host_whose_key_is_not_known_is_refused(by_ssh: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked, and nobody is trusted unseen."""
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -F none -o UserKnownHostsFile=/dev/null -o BatchMode=yes")
    with pytest.raises(SourceFailed, match="does not trust the host key") as failed:
        git.resolve(Source(**by_ssh))
    assert failed.value.cause == "host_key_unknown"


# -- by HTTP --------------------------------------------------------------------------------------


class Host:
    """A git host on 127.0.0.1 that serves what lies in a folder to whoever has the token."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hang, self.asked = folder, False, []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def backend(self, method: str, path: str, query: str, kind: str, body: bytes) -> bytes:
        """What git itself answers to a request."""
        env = {"GIT_PROJECT_ROOT": str(self.folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path}
        env |= {"REQUEST_METHOD": method, "QUERY_STRING": query, "CONTENT_TYPE": kind, "PATH": os.environ["PATH"]}
        env |= {"CONTENT_LENGTH": str(len(body)), "GIT_PROTOCOL": "version=2", "HOME": str(self.folder)}
        env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        return subprocess.run([BACKEND], input=body, env=env, capture_output=True).stdout


def handler(host: Host) -> type[BaseHTTPRequestHandler]:
    """How it answers."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            given = base64.b64decode(self.headers.get("Authorization", "Basic ")[6:]).decode()
            host.asked.append(given)
            if given.partition(":")[2] != TOKEN:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            path, _, query = self.path.partition("?")
            said = host.backend(self.command, path, query, self.headers.get("Content-Type", ""), body)
            head, _, rest = said.partition(b"\r\n\r\n")
            fields = [line.partition(": ")[::2] for line in head.decode().splitlines()]
            self.send_response(int(dict(fields).get("Status", "200")[:3]))
            for name, value in fields:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)

        do_POST = do_GET  # noqa: N815 - the library's name

    return Handler


@pytest.fixture
def by_http(repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A git host, and a builder whose own git would keep every password that works."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(f"[credential]\n\thelper = store --file={tmp_path}/kept\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    host = Host(repositories)
    yield host
    host.server.shutdown()
    host.server.server_close()


def test_a_token_fetches_code_and_submodules(by_http: Host, tmp_path: Path) -> None:
    """A tag is told as the commit that it stands for; nobody keeps the token."""
    code = fetched(tmp_path / "made", git=f"{by_http.address}/shop", ref="v1", token=TOKEN)
    assert (code.commit, code.ref) == (run(tmp_path / "shop", "rev-parse", "HEAD"), "v1")
    made = {name: (tmp_path / "made" / name).read_text() for name in ("file", "part/file")}
    assert made == {"file": "one", "part/file": "one"}
    assert not (tmp_path / "kept").exists()
    assert f"x-access-token:{TOKEN}" in by_http.asked


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_token_that_is_refused_is_said(by_http: Host, token: str | None) -> None:
    """Nobody is asked for another, and the token is not in the words."""
    with pytest.raises(SourceFailed, match="refused the token, or wants one") as failed:
        git.resolve(Source(git=f"{by_http.address}/shop", token=token))
    assert failed.value.cause == "token_refused"
    assert "wrong" not in "".join([failed.value.what, *failed.value.evidence])


def test_a_host_that_is_not_there_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down, unknown, or one that takes the call and says nothing."""
    monkeypatch.setattr(git, "ANSWER", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        places = {
            f"http://127.0.0.1:{port}/x.git": "git_host_down",
            f"ssh://git@127.0.0.1:{port}/x.git": "git_host_down",
            "https://git.nosuch.invalid/x.git": "git_host_unknown",
            "git@git.nosuch.invalid:x.git": "git_host_unknown",
        }
        began = time.monotonic()
        for address, cause in places.items():
            with pytest.raises(SourceFailed) as failed:
                git.resolve(Source(git=address))
            assert failed.value.cause == cause, failed.value.what
    with pytest.raises(SourceFailed) as failed:
        git.resolve(Source(git=f"http://127.0.0.1:{port}/x.git"))
    assert failed.value.cause == "git_host_down"
    assert time.monotonic() - began < 60


def test_the_sources_weight_is_held_against_its_limit(by_http: Host, tmp_path: Path) -> None:
    """Both figures are told."""
    (tmp_path / "shop/large").write_bytes(b"x" * 300_000)
    run(tmp_path / "shop", "add", ".")
    run(tmp_path / "shop", "commit", "--quiet", "-m", "large")
    with pytest.raises(SourceFailed, match=r"weighs 293\.\d kB, and source\.limit is 200k") as failed:
        fetched(tmp_path / "made", git=f"{by_http.address}/shop", token=TOKEN, limit="200k")
    assert failed.value.cause == "source_too_large"


def test_without_submodules_their_folders_are_empty(by_http: Host, tmp_path: Path) -> None:
    """As the service says."""
    fetched(tmp_path / "made", git=f"{by_http.address}/shop", token=TOKEN, submodules=False)
    assert [*(tmp_path / "made/part").iterdir()] == []
    assert json.dumps(by_http.asked).count("part") == 0


def test_the_module_tells_the_commit_and_not_the_token(by_http: Host, tmp_path: Path) -> None:
    """In check mode too, as loudly as can be."""
    source = {"git": f"{by_http.address}/shop", "token": TOKEN}
    task = {"name": "shop", "environment": "test", "version": "1", "source": source}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{"stackswap.bluegreen.image_build": task}]}
    (tmp_path / "play.json").write_text(json.dumps([play]))
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"), "ANSIBLE_NOCOLOR": "1"}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-vvv", "--check", str(tmp_path / "play.json")]
    python = ["-e", json.dumps({"ansible_python_interpreter": sys.executable})]
    done = subprocess.run([*command, *python], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stdout
    assert f"its default is commit {run(tmp_path / 'shop', 'rev-parse', 'HEAD')}" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
