# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps in words: as they are planned, and in the past tense when they were done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Step

_WORDS = {
    "register": "register the service at the proxy",
    "configure": "configure {slot} for {release}",
    "start": "start {release} in {slot}",
    "await": "await {release} in {slot}",
    "open": "open the door",
    "share": "share {value} % of requests with {release} in {slot}",
    "withdraw": "share no requests with {slot}",
    "hold": "hold: new requests wait at the proxy",
    "admit": "admit: requests wait no more",
    "make": "make {release} in {slot}",
    "step": "watch {release} with {value} % of requests",
    "drill": "drill: go back from {release} for a moment",
    "keep": "keep {release}: restart policy {value}",
    "route": "route to {release} in {slot}: {value}",
    "confirm": "confirm {release} at the public door",
    "watch": "watch {release} beside its backup",
    "fence": "fence: {release} without backup: {value}",
    "drain": "drain {release} in {slot}",
    "stop": "stop {release} in {slot}",
    "discard": "discard {release} from {slot}",
    "reject": "reject {release}",
    "leave": "leave: the proxy forgets the service",
    "forget": "forget the service: its addresses, records and secrets",
}
_PAST = {
    "register": "registered the service at the proxy",
    "configure": "configured {slot} for {release}",
    "start": "started {release} in {slot}",
    "await": "awaited {release} in {slot}: healthy",
    "open": "opened the door",
    "share": "shared {value} % of requests with {release} in {slot}",
    "withdraw": "shared no more requests with {slot}",
    "hold": "held: new requests waited at the proxy",
    "admit": "admitted the requests that waited",
    "make": "made {release} in {slot}",
    "step": "watched {release} with {value} % of requests",
    "drill": "drilled: went back from {release} for a moment",
    "keep": "kept {release}: restart policy {value}",
    "route": "routed to {release} in {slot}: {value}",
    "confirm": "confirmed {release} at the public door",
    "watch": "watched {release} beside its backup",
    "fence": "fenced: {release} without backup: {value}",
    "drain": "drained {release} in {slot}",
    "stop": "stopped {release} in {slot}",
    "discard": "discarded {release} from {slot}",
    "reject": "rejected {release}",
    "leave": "left: the proxy knows the service no more",
    "forget": "forgot the service: its addresses, records and secrets",
}
_CREW = {  # of a process without traffic: as it is planned, and when it was done
    "start": ("start {process} of {release}", "started {process} of {release}"),
    "await": ("await {process} of {release}", "awaited {process} of {release}: it works"),
    "keep": (
        "keep {process} of {release}: restart policy {value}",
        "kept {process} of {release}: restart policy {value}",
    ),
    "stop": ("stop {process} of {release}", "stopped {process} of {release}"),
    "discard": ("discard {process} of {release}", "discarded {process} of {release}"),
    "confirm": ("confirm {release}: its {process} works", "confirmed {release}: its {process} works"),
    "fence": ("fence: {release} without a way back", "fenced: {release} without a way back"),
    "reject": ("reject {release}", "rejected {release}"),
    "schedule": ("schedule {value} of {release}", "scheduled {value} of {release}"),
    "unschedule": ("schedule nothing of {release} any more", "scheduled nothing of {release} any more"),
}
_OTHERWISE = {("share", False): "withdraw", ("hold", False): "admit", ("watch", True): "step"}


def sentence(step: Step, versions: Mapping[str, str] | None = None, past: bool = False) -> str:
    """The step for people, as it is told while it is done, or in the past tense when it was."""
    name = (versions or {}).get(step.release, step.release)
    text = _words(step, past).format(release=name, slot=step.slot, value=step.value, process=step.process)
    return f"{text} ({step.why})" if step.why else text


def _words(step: Step, past: bool) -> str:
    if step.process:
        return _CREW[step.verb][past]
    return (_PAST if past else _WORDS)[_OTHERWISE.get((step.verb, bool(step.value)), step.verb)]


def told(server: str, report: Mapping[str, Any]) -> str:
    """One call on a server in a line: what was done, or what failed; '' where there is nothing to tell."""
    failed, steps = report.get("failed"), report.get("steps") or ()
    did = ", ".join(str(step["did"]) for step in steps)
    seconds = sum(float(step.get("seconds", 0)) for step in steps)
    now = report.get("serving") or {}
    serves = f"; {report['service']} {now['version']} serves" if now else ""
    took = f"{did} ({seconds:.1f} s)" if did else ""
    if failed:
        return f"{server} {report['rung']}: FAILED: {failed['what']}{f'; before that {took}' if took else ''}{serves}"
    return f"{server} {report['rung']}: {took}{serves}" if took else ""
