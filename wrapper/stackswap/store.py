"""The jobs as directories: what was asked, what happened, what came of it, and who is alive.

No database and no process ids: a job is alive as long as somebody holds the lock in its directory.
All of it is readable by its owner alone, and is scrubbed before it gets here.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stackswap.errors import StackswapError, Usage
from stackswap.events import mask, opened
from stackswap.fold import Fold
from stackswap.report import Ending, Report, judge, read

KEPT = 100
MEMORY = Path("/dev/shm")  # Linux has it; where there is none, the job's own directory has to do


class Folder:
    """The directory of one job."""

    def __init__(self, path: Path) -> None:
        self.path, self.id = path, path.name
        self.stop, self.private = path / "cancel", path / "pdd"
        self._events: int | None = None
        self._lock: int | None = None

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Hold the lock until `end`, and keep what was asked."""
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._replace("job.json", asked)
        self._events = _appender(self.path / "events.ndjson")
        self._in_memory()

    def append(self, line: str) -> None:
        """Add an event: one write, so that a reader never sees half a line of a living job."""
        if self._events is not None:
            os.write(self._events, line.encode() + b"\n")

    def end(self, report: Mapping[str, Any], log: bool = True) -> None:
        """Keep what came of it, and of the runner's files only Ansible's own text as `log`, if that is wanted."""
        said = self._artifacts / self.id / "stdout"
        with suppress(OSError):
            self._write("log", mask(said.read_text(encoding="utf-8", errors="replace")) if log else "")
        self._replace("result.json", report)

    def forget(self) -> None:
        """Have nothing left of what the runner wrote."""
        with suppress(OSError):
            shutil.rmtree(os.readlink(self._artifacts), ignore_errors=True)
        shutil.rmtree(self.private, ignore_errors=True)

    def _in_memory(self) -> None:
        """Have the runner write to memory: results and Ansible's own text pass through its files unmasked."""
        self.private.mkdir(mode=0o700)
        if os.access(MEMORY, os.W_OK):
            self._artifacts.symlink_to(tempfile.mkdtemp(prefix="stackswap-", dir=MEMORY))

    @property
    def _artifacts(self) -> Path:
        return self.private / "artifacts"

    def release(self) -> None:
        """Let go of the lock, and of what the runner wrote."""
        self.forget()
        for held in (self._events, self._lock):
            if held is not None:
                os.close(held)
        self._events = self._lock = None

    def cancel(self, who: str) -> None:
        """Ask the job to stop. The file is what its action plugins look for."""
        with suppress(FileExistsError):
            made = os.open(self.stop, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(made, json.dumps({"by": who, "at": time.time()}).encode())
            os.close(made)

    def canceled_by(self) -> str:
        """Who asked it to stop, or ''."""
        if not self.stop.exists():
            return ""
        with suppress(OSError, ValueError, AttributeError):
            return str(json.loads(self.stop.read_text()).get("by") or "somebody")
        return "somebody"

    def alive(self) -> bool:
        """Whether somebody holds the lock."""
        try:
            held = os.open(self.path / "lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(held)
        return False

    def asked(self) -> dict[str, Any]:
        """What was asked."""
        return _load(self.path / "job.json") or {}

    def events(self) -> Iterator[dict[str, Any]]:
        """What happened, in order; the torn last line of a lost job is left out."""
        with suppress(FileNotFoundError), open(self.path / "events.ndjson", encoding="utf-8") as all_:
            for line in all_:
                with suppress(ValueError):
                    yield json.loads(line)

    def report(self) -> Report | None:
        """What came of it; None as long as it is alive. A lost job is judged by its events."""
        alive = self.alive()
        told = _load(self.path / "result.json")
        if told is not None:
            return read(told)
        return None if alive else self._lost()

    def status(self) -> str:
        """pending, running, canceling, or how it ended."""
        report = self.report()
        if report is not None:
            return report.status
        if self.stop.exists():
            return "canceling"
        begun = any(event["type"] == "play.started" for event in self.events())
        return "running" if begun else "pending"

    def _lost(self) -> Report:
        asked = self.asked()
        words = (asked.get(name, "") for name in ("kind", "service", "version"))
        fold, last = Fold(self.id, *words), ""
        for envelope in self.events():
            fold.add(opened(envelope))
            last = envelope["ts"]
        lost = Ending(lost=True, error="its wrapper was killed, or the machine went down")
        return judge(fold, lost, asked.get("started", ""), last)

    def _replace(self, name: str, told: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(told, indent=1))

    def _write(self, name: str, text: str) -> None:
        part = self.path / f"{name}.part"
        made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(made, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(part, self.path / name)


class Store:
    """All jobs, the newest first."""

    def __init__(self, root: Path, kept: int = KEPT) -> None:
        self.root, self.kept = root, kept

    def create(self, job: str) -> Folder:
        """A new job's directory; the oldest ones that nobody holds go."""
        path = self.root / job
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
        except OSError as error:
            raise Usage(f"jobs cannot be kept in {self.root}: {error.strerror}. Give --job-dir") from error
        self.prune(room=1)
        return Folder(path)

    def jobs(self) -> list[Folder]:
        """Every job."""
        with suppress(FileNotFoundError):
            found = [Folder(path) for path in self.root.iterdir() if (path / "lock").exists()]
            return sorted(found, key=lambda folder: folder.id, reverse=True)
        return []

    def find(self, name: str) -> Folder:
        """The job of that id, of an id that begins so, or the last one."""
        jobs = self.jobs()
        fitting = jobs[:1] if name in ("", "last") else [j for j in jobs if j.id.startswith(name)]
        if len(fitting) != 1:
            what = "several jobs begin with" if fitting else "no job is called"
            raise Usage(f"{what} {name!r} in {self.root}: see stackswap jobs")
        return fitting[0]

    def prune(self, room: int = 0) -> None:
        """Keep the newest, and every one that is alive; of one that was killed no unmasked word. room: for more."""
        for number, folder in enumerate(self.jobs()):
            if not folder.alive():
                folder.forget()
                if number >= self.kept - room:
                    shutil.rmtree(folder.path, ignore_errors=True)


def root_of(job_dir: str, environ: Mapping[str, str]) -> Path:
    """Where jobs are kept."""
    if job_dir:
        return Path(job_dir).expanduser().absolute()
    state = environ.get("XDG_STATE_HOME") or ""
    base = Path(state) if os.path.isabs(state) else Path("~/.local/state").expanduser()
    return base / "stackswap" / "jobs"


def new_id(now: float, random: Callable[[int], bytes]) -> str:
    """An id that sorts by time."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"{moment}-{int(now % 1 * 1000):03d}{random(2).hex()}"


def _appender(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _load(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StackswapError(f"{path} is not readable as JSON: {error}") from error
    return told if isinstance(told, dict) else None
