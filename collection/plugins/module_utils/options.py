# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a service in one table: how each is read, and what Ansible is told of it.

To Ansible text is ``raw``: its ``str`` would make text of a number before anyone could refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import forms, kinds, schedule
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Reader, Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import absent, nearest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import SLOTS, WEB

MOST_PROBES = 50  # a second
PLAIN = ("none", "image")
WORDS = ("auto", "ours", "theirs", "none")
HEALTH_LIKE = "must be a path, the word image or none, or a dictionary"
# What people bring along from elsewhere, and what it is called here.
SYNONYMS = {
    "cap_add": "capabilities",
    "cmd": "command",
    "domain": "routes",
    "environment": "env",
    "etc_hosts": "extra_hosts",
    "healthcheck": "health",
    "hosts": "routes",
    "log_opts": "log_options",
    "log_opt": "log_options",
    "ports": "port",
    "branch": "ref",
    "version": "ref",
    "repo": "git",
    "scale": "replicas",
    "workdir": "working_dir",
}


@dataclass(frozen=True)
class Option:
    """One option: its reader, and its line in Ansible's specification."""

    read: Reader
    type: str = "raw"
    elements: str | None = None
    options: Mapping[str, Option] | None = None
    choices: tuple[str, ...] = ()
    no_log: bool | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """As Ansible's argument specification has it."""
        told: dict[str, Any] = {"type": self.type, "elements": self.elements, "no_log": self.no_log}
        told["choices"] = list(self.choices) or None
        told["options"] = spec_of(self.options) if self.options else None
        return {name: value for name, value in told.items() if value is not None}


def spec_of(options: Mapping[str, Option]) -> dict[str, Any]:
    """An argument specification of these options."""
    return {name: option.spec for name, option in options.items()}


def section(options: Mapping[str, Option]) -> Reader:
    """A dictionary of these options and no others, answered without those that are absent."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Wrong(f"must be a dictionary, not {kinds.named(value)}")
        for key in value:
            if key not in options:
                raise Wrong(f"is not known: {nearest(key, options, SYNONYMS)}", (key,))
        given = {name: one for name, one in value.items() if not absent(one)}
        return {name: kinds.at(name, options[name].read, one) for name, one in given.items()}

    return read


def health(value: Any) -> dict[str, Any]:
    """A path, one of two words, or a dictionary: as the fields of a Health."""
    if isinstance(value, Mapping):
        return _health_section(section(HEALTH)(value))
    found = kinds.plain(value)
    if not isinstance(found, str) or not (found.startswith("/") or found in ("image", "none")):
        raise Wrong(f"{HEALTH_LIKE}, not {kinds.shown(value)}")
    return {"path": forms.probe_path(found)} if found.startswith("/") else {"kind": found}


def worker_health(value: Any) -> dict[str, Any]:
    """One of two words, or a dictionary: as the fields of a Health, and a command."""
    found = section(WORKER_HEALTH)(value) if isinstance(value, Mapping) else {"kind": kinds.choice(*PLAIN)(value)}
    if "command" in found and found.setdefault("kind", "command") != "command":
        raise Wrong("goes with kind command alone", ("command",))
    if found.get("kind") == "command" and not found.get("command"):
        raise Wrong("is missing: a list, the command and its arguments", ("command",))
    return found


def processes(value: Any) -> dict[str, Any]:
    """The processes of a service: the one that takes traffic, and others by names of the inventory's own."""
    if not isinstance(value, Mapping):
        raise Wrong(f"must be a dictionary, not {kinds.named(value)}")
    given = {name: one for name, one in value.items() if not absent(one)}
    return {kinds.at(name, process_name, name): kinds.at(name, process_of(name), one) for name, one in given.items()}


def process_name(value: Any) -> str:
    """A name that no slot has."""
    name = forms.short_name(value)
    if name in SLOTS:
        raise Wrong("is the name of a slot: give the process another")
    return str(name)


def process_of(name: str) -> Reader:
    """The reader of a process's options, by what it is."""

    def read(value: Any) -> dict[str, Any]:
        clocked = isinstance(value, Mapping) and not absent(value.get("schedule"))
        return section(WEB_PROCESS if name == WEB else CLOCKED if clocked else WORKER)(value)

    return read


def bake(value: Any) -> dict[str, Any]:
    """A number of seconds, or a dictionary: as the fields of a Bake."""
    return section(BAKE)(value) if isinstance(value, Mapping) else {"seconds": kinds.seconds()(value)}


def backing_health(value: Any) -> dict[str, Any]:
    """As a worker's, but for the deadline, which stands beside it."""
    if isinstance(value, Mapping) and not absent(value.get("deadline")):
        raise Wrong("stands beside health, not in it", ("deadline",))
    return worker_health(value)


def _health_section(found: dict[str, Any]) -> dict[str, Any]:
    if "path" in found and found.get("kind", "http") != "http":
        raise Wrong("goes with kind http alone", ("path",))
    return found


def _text(read: Reader = forms.some) -> Option:
    return Option(read)


def _choice(*words: str) -> Option:
    return Option(kinds.choice(*words), choices=words)


def _number(low: int, high: int, unit: str = "") -> Option:
    return Option(kinds.number(low, high, unit), "int")


def _seconds(least: float = 0) -> Option:
    return Option(kinds.seconds(least), "float")


def _list(read: Reader, no_log: bool | None = None) -> Option:
    return Option(kinds.items(read), "list", "raw", no_log=no_log)


def _pairs(key: Reader, read: Reader = kinds.text, no_log: bool | None = None) -> Option:
    return Option(kinds.pairs(key, read), "dict", no_log=no_log)


def _section(options: Mapping[str, Option]) -> Option:
    return Option(section(options), "dict", options=options)


def _sections(options: Mapping[str, Option]) -> Option:
    return Option(kinds.items(section(options)), "list", "dict", options)


# Words keep their empty ones, and Ansible would cut text into a list at its commas: so raw.
_WORDS = Option(kinds.items(kinds.text, keep_empty=True))
_YES_NO = Option(kinds.yes_no, "bool")

SOURCE = {
    **{name: _text() for name in ("path", "git", "ref", "folder", "key_file")},
    "key": Option(kinds.secret, no_log=True),
    "token": Option(kinds.secret, no_log=True),
    "submodules": _YES_NO,
    "limit": _text(forms.size),
}

CALLBACKS = {
    "folder": _text(forms.relative_path),
    "build": _choice(*WORDS),
    "entrypoint": _choice(*WORDS),
}

BUILD = {
    "dockerfile": _text(forms.relative_path),
    "target": _text(),
    "args": _pairs(forms.variable),
    "base_images": _pairs(forms.some, forms.some),
    "callbacks": _section(CALLBACKS),
    "code_root": _text(forms.inside_path),
    "runtime": _text(forms.short_name),
    "platforms": _list(forms.platform),
    "cache_from": _list(forms.some),
    "cache_to": _list(forms.some),
    "cache_limit": _text(forms.size),
    "image_limit": _text(forms.size),
    "timeout": _seconds(1),
    "labels": _pairs(forms.label),
    "ssh": _YES_NO,
    "pull": _YES_NO,
}

# A callback of the application that runs in a container of its own, made for it.
MOMENT = {
    "run": _choice("auto", "none"),
    "timeout": _seconds(1),
    "user": _text(),
    "on_error": _choice("abort", "warn"),
    "idempotent": _YES_NO,
}
MOMENTS = {
    **{name: _section(MOMENT) for name in ("release", "verify", "after")},
    "entrypoint_lock": _seconds(1),
}

CONTAINER = {
    "memory": _text(forms.size),
    "cpus": _text(kinds.cpus),
    "user": _text(),
    "working_dir": _text(forms.inside_path),
    "hostname": _text(forms.hostname),
    "shm_size": _text(forms.size),
    "read_only": _YES_NO,
    "init": _YES_NO,
    "capabilities": _list(forms.capability),
    "cap_drop": _list(forms.capability),
    "security_opts": _list(forms.some),
    "extra_hosts": _pairs(forms.hostname, forms.address),
    "tmpfs": _list(forms.tmpfs),
    "ulimits": _list(forms.ulimit),
    "labels": _pairs(forms.label),
    "log_driver": _text(),
    "log_options": _pairs(forms.some),
    "stop_signal": _text(forms.signal),
    "stop_timeout": _number(0, 3600, " of seconds"),
}

MAINTENANCE = {
    "page": _text(),
    "retry_after": _number(1, 86400, " of seconds"),
    "bypass": _list(forms.network, no_log=False),  # its name has "pass" in it
}

HEALTH = {
    "kind": _choice("http", "image", "none"),
    "path": _text(forms.probe_path),
    "deadline": _seconds(1),
    "min_healthy_time": _seconds(),
}

DOOR = {
    "allow": _list(forms.network),
    "deny": _list(forms.network),
    "redirect": _YES_NO,
    "hsts": _number(0, 63072000, " of seconds"),
    "raw": Option(forms.raw_lines),
}

BAKE = {
    "seconds": _seconds(),
    "max_error_share": Option(kinds.share, "float"),
    "min_requests": _number(1, 1_000_000),
    "observe": _choice("layer4", "layer7"),
}

PROCESS = {
    "port": _number(1, 65535),
    "routes": _sections({"host": _text(forms.route_host), "path": _text(forms.url_path)}),
    "replicas": _number(1, 8),
    "command": _WORDS,
    "health": Option(health),
}

WEB_PROCESS = {**PROCESS, "group": _text()}

# How it is told that a process works that nobody sends a request to.
WORKER_HEALTH = {
    "kind": _choice("none", "image", "command"),
    "command": _WORDS,
    "deadline": _seconds(1),
    "min_healthy_time": _seconds(),
}

CLOCKED = {"schedule": _text(schedule.times), "command": _WORDS}

WORKER = {
    "group": _text(),
    "command": _WORDS,
    "replicas": _number(1, 8),
    "health": Option(worker_health),
    "overlap": _YES_NO,
    "stop_signal": _text(forms.signal),
    "stop_timeout": _number(0, 3600, " of seconds"),
}

OPTIONS = {
    "source": _section(SOURCE),
    "image": _text(forms.image),
    "build": _section(BUILD),
    "env": _pairs(forms.variable),
    "secrets": _pairs(forms.variable, kinds.secret, no_log=True),
    "secret_files": _pairs(forms.object_name, kinds.secret, no_log=True),
    "attach": _list(forms.short_name),
    "volumes": _list(forms.mount),
    "shared": _YES_NO,
    "persistent": _list(forms.relative_path),
    "callbacks": _section(MOMENTS),
    "migrations": _choice("none", "expand", "contract", "irreversible"),
    "container": _section(CONTAINER),
    "entrypoint": _WORDS,
    **PROCESS,
    "door": _section(DOOR),
    "maintenance": _section(MAINTENANCE),
    "canary": _sections({"share": _number(1, 100, " of a hundred"), "seconds": _seconds(0)}),
    "canary_by": _choice("request", "client"),
    "bake": Option(bake),
    "drain_timeout": _seconds(),
    "settle": _choice("now", "later"),
    "overlap": _YES_NO,
    "hold": _number(1, 300, " of seconds"),
    "drill": _YES_NO,
    "probe": Option(kinds.rate(MOST_PROBES), "float"),
    "confirmations": _number(1, 100),
    "keep": _number(1, 15),
    "processes": Option(processes, "dict"),
}

ENVIRONMENT = {"name": _text(forms.short_name), "criticality": _text(), "env": _pairs(forms.variable)}
ATTACHED = {
    "kind": _choice("mysql", "postgresql", "redis", "es"),
    "host": _text(forms.hostname),
    "port": _number(1, 65535),
    "user": _text(),
    "password": Option(kinds.secret, no_log=True),
    "database": _text(),
    "prefix": _text(),
}
# A backing service: where it is, what its container is made from, and what applications are told of it.
BACKING = {
    **{name: OPTIONS[name] for name in ("image", "env", "secrets", "secret_files", "volumes", "container")},
    **{name: OPTIONS[name] for name in ("entrypoint", "command")},
    "server": _text(),
    "listen": _text(forms.listen_address),
    "deadline": _seconds(1),
    "health": Option(backing_health),
    **{name: option for name, option in ATTACHED.items() if name != "host"},
}
BACKINGS = kinds.pairs(forms.short_name, section(BACKING))
REGISTRY = {"username": _text(), "password": Option(kinds.secret, no_log=True)}
PROXY = {
    "listen": _list(forms.listen),
    "certificates": _text(forms.absolute_path),
    "trusted": _list(forms.some),
    "proxy_protocol": _YES_NO,
    "redirect": _YES_NO,
    "hsts": _number(0, 63072000, " of seconds"),
    "health_path": _text(forms.url_path),
    "acme": Option(forms.listen),
    "access_log": _choice("json", "http", "none"),
    "maxconn": _number(1, 1_000_000),
    "subnet": _text(),
    "image": _text(forms.image),
    "home": _text(forms.home),
    "container": _text(forms.object_name),
    "network": _text(forms.object_name),
    "labels": _pairs(forms.some),
}
