"""Where the code comes from: refusals, git's word about a folder, one commit of a repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import folder, git, source
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Code, Source, SourceFailed

WHO = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}


def run(path: Path, *words: str) -> str:
    """Run git in a folder."""
    done = subprocess.run(
        ["git", "-C", str(path), *words],
        check=True,
        capture_output=True,
        text=True,
        env={**WHO, "PATH": "/usr/bin:/bin", "HOME": str(path)},
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits on main, the first tagged."""
    path = tmp_path / "repository"
    path.mkdir()
    run(path, "init", "--quiet", "--initial-branch=main")
    for text in ("one", "two"):
        (path / "file").write_text(text)
        run(path, "add", ".")
        run(path, "commit", "--quiet", "-m", text)
    run(path, "tag", "v1", "HEAD~1")
    return path


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"path": "", "git": ""},
        {"path": "/a", "git": "b"},
        {"path": "/a", "ref": "main"},
        {"git": "https://user:password@example.com/x.git"},
        {"git": "--upload-pack=x"},
        {"git": "b", "ref": "--x"},
        {"path": "/a", "folder": "../b"},
        {"path": "/a", "folder": "/b"},
        {"path": "/a", "token": "t"},
        {"path": "/a", "key": "k"},
        {"path": "/a", "submodules": False},
        {"git": "git@b:c", "key": "k", "key_file": "/k"},
        {"git": "git@b:c", "key_file": "-oProxyCommand=x"},
        {"git": "git@b:c", "token": "t"},
        {"git": "https://b/c", "key": "k"},
        {"git": "http://b.example.com/c", "token": "t"},
        {"git": "http://127.0.0.1.example.com/c", "token": "t"},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, str]) -> None:
    """Before anything is fetched."""
    with pytest.raises(BadInput):
        source.parse(given)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:80"])
def test_a_token_may_stay_on_this_machine_without_tls(host: str) -> None:
    """Nobody listens there."""
    assert source.parse({"git": f"http://{host}/c", "token": "t"}).token == "t"


def test_what_is_told_of_a_source_has_no_secret_in_it() -> None:
    """It travels through results; what was left open is left out."""
    given = {"git": "git@b:c", "ref": "main", "key": "hidden", "limit": "1g", "submodules": False}
    found = source.parse(given)
    assert found.told == {"git": "git@b:c", "ref": "main", "limit": "1g", "submodules": False}
    assert "hidden" not in repr(found)
    assert "hidden" not in repr(source.parse({"git": "https://b/c", "token": "hidden"}))


A, B = "a" * 40, "b" * 40
LISTED = {
    "a branch": ("main", [f"{A}\trefs/heads/main"], A),
    "not one whose name ends so": ("main", [f"{A}\trefs/heads/main", f"{B}\trefs/heads/old/main"], A),
    "a plain tag": ("v1", [f"{A}\trefs/tags/v1"], A),
    "what a tag stands for": ("v1", [f"{B}\trefs/tags/v1", f"{A}\trefs/tags/v1^{{}}"], A),
    "a branch and a tag that agree": ("v1", [f"{A}\trefs/tags/v1", f"{A}\trefs/heads/v1"], A),
    "a whole name": ("refs/pull/7/head", [f"{A}\trefs/pull/7/head"], A),
    "the default": ("", [f"{A}\tHEAD"], A),
    "a commit": (A, [], A),
}


@pytest.mark.parametrize(("ref", "listed", "commit"), LISTED.values(), ids=LISTED)
def test_a_ref_is_one_commit(ref: str, listed: list[str], commit: str) -> None:
    """By what the repository answers."""
    assert source.resolved(ref, listed) == commit


def test_a_ref_that_is_two_commits_is_refused() -> None:
    """Git itself would take one without a word."""
    with pytest.raises(BadInput, match="write refs/heads/v1 or refs/tags/v1"):
        source.resolved("v1", [f"{A}\trefs/tags/v1", f"{B}\trefs/heads/v1"])


@pytest.mark.parametrize(("ref", "hint"), [("abc1234", "all 40 digits"), ("nosuch", "pushed"), ("", "push one")])
def test_a_ref_that_is_none_says_what_to_do(ref: str, hint: str) -> None:
    """An abbreviated commit too, which no repository finds."""
    with pytest.raises(SourceFailed) as failed:
        source.resolved(ref, [])
    assert hint in failed.value.facts["hint"]


WORDS = {
    "host_key_unknown": "Host key verification failed.\nfatal: Could not read from remote repository.",
    "key_refused": "git@b: Permission denied (publickey,password).\nfatal: Could not read from remote repository.",
    "token_refused": "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://b/c/'",
    "git_host_unknown": "fatal: unable to access 'https://b/': Could not resolve host: b",
    "git_host_down": "ssh: connect to host b port 22: Connection refused",
    "certificate": "fatal: unable to access 'https://b/': server certificate verification failed. CAfile: none",
    "ref_missing": "fatal: remote error: upload-pack: not our ref aaaa",
    "repository_missing": "ERROR: Repository not found.",
    "no_space": "error: unable to write file x: No space left on device",
    "source_failed": "fatal: something new",
}


@pytest.mark.parametrize(("cause", "said"), WORDS.items(), ids=WORDS)
def test_what_git_says_is_told_apart(cause: str, said: str) -> None:
    """With git's own words as evidence, and what to do where that is known."""
    failed = source.refusal("fetch the commit", said)
    assert (failed.cause, failed.evidence) == (cause, tuple(said.splitlines()))
    assert bool(failed.facts.get("hint")) is (cause != "source_failed")


def test_one_commit_is_fetched(repository: Path, tmp_path: Path) -> None:
    """A branch, a tag or what the repository calls its default; no history comes along."""
    wanted = {"main": "two", "v1": "one", "": "two"}
    for number, (ref, text) in enumerate(wanted.items()):
        path = tmp_path / str(number)
        path.mkdir()
        wish = Source(git=f"file://{repository}", ref=ref)
        code = git.clone(wish, git.resolve(wish), str(path))
        assert [one.name for one in path.iterdir()] == ["file"]
        assert (path / "file").read_text() == text
        assert code.commit == run(repository, "rev-parse", f"{ref or 'HEAD'}^{{commit}}")


def test_a_ref_that_is_not_there_is_said(repository: Path, tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(SourceFailed, match="no branch or tag nosuch") as failed:
        git.resolve(Source(git=f"file://{repository}", ref="nosuch"))
    assert failed.value.cause == "ref_missing"


def test_uncommitted_changes_are_told(repository: Path) -> None:
    """And the label says that the commit is not all of it."""
    clean = git.known(str(repository))
    assert (source.notes(clean), clean.revision) == ((), run(repository, "rev-parse", "HEAD"))
    (repository / "file").write_text("three")
    (repository / "new").write_text("x")
    code = git.known(str(repository))
    assert source.notes(code)[0].startswith("2 files differ from commit ")
    assert source.labels(code, "shop", "1")["org.opencontainers.image.revision"].endswith("-dirty")


def test_the_content_has_gits_own_id(repository: Path, tmp_path: Path) -> None:
    """Of changed files too, and in any folder; what is ignored is no part of it, and nothing of git's is touched."""
    (repository / "bin").mkdir()
    (repository / "bin.txt").write_text("sorts before the folder")
    (repository / "bin/tool").write_text("#!/bin/sh")
    (repository / "bin/tool").chmod(0o755)
    (repository / "link").symlink_to("bin")
    (repository / "größe\n").write_bytes(b"\0\xff")
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "x.log").write_text("ignored")
    before = {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*")}
    found = git.known(str(repository)).tree
    assert {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*")} == before
    run(repository, "add", "--all")
    assert found == run(repository, "write-tree")
    assert git.content(str(repository / "bin")) == run(repository, "rev-parse", f"{found}:bin")
    outside = tmp_path / "outside"
    shutil.copytree(repository, outside, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    assert git.content(str(outside)) == found
    (outside / "bin/tool").chmod(0o644)
    assert git.content(str(outside)) != found


def test_without_git_the_content_has_an_id_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder needs no git to be built."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_text("one")
    (tmp_path / "link").symlink_to("a")
    with_git = git.content(str(tmp_path))
    monkeypatch.setenv("PATH", "/nosuch")
    assert git.content(str(tmp_path)) == with_git


def test_a_repository_in_the_folder_is_read_like_the_rest(repository: Path, tmp_path: Path) -> None:
    """Its changed files make another id, whatever its commit is."""
    before = git.content(str(tmp_path))
    (repository / "file").write_text("three")
    assert git.content(str(tmp_path)) != before


def test_a_folder_outside_git_is_code_too(tmp_path: Path) -> None:
    """Nothing is known of it, and nothing is said."""
    code = git.known(str(tmp_path))
    assert code == Code(str(tmp_path), tree="4b825dc642cb6eb9a060e54bf8d69288fbee4904")
    assert set(source.labels(code, "shop", "1")) == {
        "org.opencontainers.image.title",
        "org.opencontainers.image.version",
        "stackswap.built",
        "stackswap.tree",
    }


def test_addresses_are_shown_without_a_password() -> None:
    """Labels are public."""
    assert source.shown("https://u:p@example.com/x.git") == "https://example.com/x.git"
    assert source.shown("git@example.com:x.git") == "git@example.com:x.git"


def test_the_staged_context_does_not_depend_on_the_checkout(tmp_path: Path) -> None:
    """Modes are levelled, the scripts run, links stay links; two umasks give one layer."""
    seen = []
    for number, mode in enumerate((0o600, 0o664)):
        path = tmp_path / str(number) / ".artifakt"
        (path / "nginx").mkdir(parents=True)
        for name in ("build.sh", "nginx/site.conf", "tool"):
            (path / name).write_text("x")
            (path / name).chmod(mode | (0o100 if name == "tool" else 0))
        (path / "link").symlink_to("/nowhere")
        with folder.staged(str(path), {"build/run": "r", "entrypoint": "e"}) as context:
            found = {str(one.relative_to(context)): one.lstat() for one in sorted(Path(context).rglob("*"))}
            seen.append({name: (oct(one.st_mode), int(one.st_mtime)) for name, one in found.items()})
    assert seen[0] == seen[1]
    executable = {name for name, (mode, _) in seen[0].items() if mode == "0o100755"}
    assert executable == {"artifakt/build.sh", "artifakt/tool", "build/run", "entrypoint"}
    assert not Path(context).exists()


def test_the_builders_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """And read again by the next build."""
    first = folder.key(str(tmp_path))
    assert (len(first), folder.key(str(tmp_path))) == (32, first)
    made = tmp_path / "stackswap" / "build.key"
    assert (made.stat().st_mode & 0o777, [*made.parent.iterdir()]) == (0o600, [made])
