"""stackswap callbacks lint PATH: the playbook that checks an application's callbacks, and what it found."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from stackswap import play, runner
from stackswap.errors import StackswapError, Usage
from stackswap.spec import Spec

ENDS = ("runner_on_ok", "runner_on_failed")


def run(spec: Spec, out: TextIO) -> int:
    """Check the folder and print what is wrong: 1 if any of it is an error."""
    if spec.service != "lint" or not spec.version:
        raise Usage("callbacks lint wants the application's folder: stackswap callbacks lint PATH")
    path = Path(spec.version).absolute()
    if not path.is_dir():
        raise Usage(f"there is no folder {spec.version}")
    found = _findings(spec, path)
    for one in found:
        told = json.dumps(one) if spec.output == "json" else f"{one['level']:<8} {one['file']} {one['what']}"
        print(told, file=out)
    if not found and spec.output != "json" and not spec.quiet:
        print("nothing is wrong with the callbacks", file=out)
    return int(any(one["level"] == "error" for one in found))


def _findings(spec: Spec, path: Path) -> list[dict[str, str]]:
    """What the playbook answers; it is told not to fail, so a failure is another one."""
    ended: list[Mapping[str, Any]] = []

    def heard(raw: Mapping[str, Any]) -> None:
        if raw.get("event") in ENDS:
            ended.append(raw["event_data"].get("res") or {})

    with tempfile.TemporaryDirectory(prefix="stackswap-") as folder:
        runner.run(_play(spec, path, Path(folder)), Path(folder), "lint", heard, lambda: False)
    last = ended[-1] if ended else {}
    if "findings" not in last:
        raise StackswapError(str(last.get("msg") or "ansible-playbook did not run: see its own words with -v"))
    return list(last["findings"])


def _play(spec: Spec, path: Path, folder: Path) -> play.Play:
    asked = json.dumps({"stackswap_lint_path": str(path), "stackswap_lint_fail_on": "never"})
    planned = play.plan(spec, "lint", folder / "stop", os.environ)
    return replace(planned, arguments=("-e", asked, *spec.options))
