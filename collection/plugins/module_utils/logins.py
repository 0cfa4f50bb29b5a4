# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins to registries for one call of docker: nothing of them is on a disk or in an argument.

Docker asks a small program for them, which reads the environment that docker has from us. A file
with the passwords, even one in memory, would be readable by path for as long as the build runs, and
would stay behind where the build is killed. What the builder is logged in to already goes the same way.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

HUB = "https://index.docker.io/v1/"
NAME = "stackswap"
KEPT = ("cli-plugins", "contexts")
PROGRAM = """#!/bin/sh
case $1 in
list) echo '{{}}'; exit ;;
get) read -r host ;;
*) exit ;;
esac
case $host in
{cases}*) echo "credentials not found in native keychain"; exit 1 ;;
esac
"""


@contextmanager
def logged_in(registries: Mapping[str, Mapping[str, str]], env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment in which docker is logged in to these registries; as it is where there are none."""
    if not registries:
        yield dict(env)
        return
    home = env.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    settings = _settings(home)
    known = {**_own(settings), **{_named(host): _login(host, one) for host, one in registries.items()}}
    with tempfile.TemporaryDirectory(prefix="stackswap-") as folder:
        for name in KEPT:
            if os.path.isdir(os.path.join(home, name)):
                os.symlink(os.path.join(home, name), os.path.join(folder, name))
        asks = {**settings.get("credHelpers", {}), **dict.fromkeys(known, NAME)}
        kept = {name: value for name, value in settings.items() if name != "auths"}
        _write(os.path.join(folder, "config.json"), json.dumps({**kept, "credHelpers": asks}))
        _write(os.path.join(folder, f"docker-credential-{NAME}"), _program(known))
        yield {
            **env,
            **{_variable(n): login for n, login in enumerate(known.values())},
            "DOCKER_CONFIG": folder,
            "BUILDX_CONFIG": env.get("BUILDX_CONFIG") or os.path.join(home, "buildx"),
            "PATH": f"{folder}{os.pathsep}{env.get('PATH', os.defpath)}",
        }


def _settings(home: str) -> dict[str, Any]:
    try:
        with open(os.path.join(home, "config.json"), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _own(settings: Mapping[str, Any]) -> dict[str, str]:
    """What the builder is logged in to by its own file."""
    found = {}
    for host, one in (settings.get("auths") or {}).items():
        user, dummy, password = base64.b64decode(one.get("auth") or "").decode("utf-8", "replace").partition(":")
        if one.get("identitytoken"):
            user, password = "<token>", one["identitytoken"]
        if user:
            found[host] = _answer(host, user, password)
    return found


def _named(host: str) -> str:
    return HUB if host in ("docker.io", "index.docker.io") else host


def _login(host: str, given: Mapping[str, str]) -> str:
    return _answer(_named(host), given.get("username") or "", given.get("password") or "")


def _answer(host: str, user: str, password: str) -> str:
    return json.dumps({"ServerURL": host, "Username": user, "Secret": password})


def _variable(number: int) -> str:
    return f"STACKSWAP_LOGIN_{number}"


def _program(known: Mapping[str, str]) -> str:
    hosts = ("'" + host.replace("'", "'\\''") + "'" for host in known)
    cases = (f"""{host}) printf '%s\\n' "${_variable(n)}" ;;\n""" for n, host in enumerate(hosts))
    return PROGRAM.format(cases="".join(cases))


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w", encoding="utf-8") as file:
        file.write(text)
