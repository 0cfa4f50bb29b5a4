"""A stand-in for a module of ours: answers with the HostReport it is given, after a while."""

from __future__ import annotations

import os
import time

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    """report: the answer; seconds: how long; obey: end early if a stop is asked; away: no answer."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Wait, say lines, answer."""
        args = self._task.args
        if args.get("away", False):
            raise AnsibleConnectionFailure("Failed to connect to the host via ssh: no route")
        report = args.get("report")
        for line in args.get("lines", []):
            Display().display("progress: " + line)
        if not self._wait(float(args.get("seconds", 0)), args.get("obey", False)):
            report = {**report, "rung": "back", "failed": args["asked"]}
        told = {"changed": bool(report and report["changed"]), "stackswap": report}
        if args.get("bulk"):
            told["bulk"] = "x" * int(args["bulk"])
        if report and report["failed"]:
            told |= {"failed": True, "msg": report["failed"]["what"]}
        return told

    def _wait(self, seconds: float, obey: bool) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if obey and os.path.exists(os.environ.get("STACKSWAP_STOP", "")):
                return False
            time.sleep(0.1)
        return True
