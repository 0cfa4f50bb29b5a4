"""A connection to a server that is not there: it answers each module call at once, as one does where all goes well."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: pretend
short_description: A server that is not there
description: It answers each call of a module at once.
options: {}
"""
OLD, NEW = ({"release": f"{n}" * 12, "version": f"1.{n}", "digest": f"sha256:{str(n) * 64}"} for n in (0, 1))
DID = ("registered the service at the proxy", "started shop 1.1 in green", "awaited shop 1.1 in green: healthy")


class Connection(ConnectionBase):
    """Pipelined alone: it has no files."""

    transport = "pretend"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Answer the module that is sent."""
        text = (in_data or b"").decode()
        params = re.search(r"^params=(.*),$", text, re.MULTILINE)
        if not params:
            return 1, b"", f"not a module: {cmd}".encode()
        asked = json.loads(ast.literal_eval(params[1]))["ANSIBLE_MODULE_ARGS"]
        told = image(asked) if "ansible_module='stackswap.bluegreen.image'" in text else release(asked)
        return 0, json.dumps(told).encode(), b""

    def put_file(self, in_path: str, out_path: str) -> None:
        """There is none."""

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """There is none."""

    def close(self) -> None:
        """Nothing is open."""


def image(asked: dict[str, Any]) -> dict[str, Any]:
    """It is there."""
    found = {
        "id": NEW["digest"],
        "digest": NEW["digest"],
        "name": asked["name"],
        "tags": [asked["name"]],
        "scripts": [],
    }
    return {"changed": False, "how": "present", "image": {**found, "size": 1 << 28}, "bytes": 0, "seconds": 0.1}


def release(asked: dict[str, Any]) -> dict[str, Any]:
    """It has come to the rung."""
    rung = asked["state"]
    now = {**(NEW if rung in ("live", "settled") else OLD), "slot": "blue", "healthy": True, "since": "2026-01-01"}
    steps = [{"verb": "start", "did": did, "seconds": 0.1} for did in DID * 2 if rung != "claimed"]
    report = {"v": 1, "service": asked["name"], "environment": asked["environment"]["name"], "job": asked["job"]}
    report |= {"rung": rung, "changed": bool(steps), "before": {**OLD, "slot": "blue"}, "serving": now, "asked": NEW}
    report |= {"previous": OLD, "steps": steps, "plan": [], "figures": {"switch_ms": 0.1, "cut": 0}, "failed": None}
    report |= {"maintenance": False, **{name: [] for name in ("callbacks", "drains", "notes", "warnings")}}
    return {"changed": bool(steps), "msg": "shop 1.1 serves from blue", "stackswap": report, "invocation": {}}
