# SPDX-License-Identifier: GPL-3.0-or-later
"""Say, as JSON, what a server has of what a deploy needs; reads only, standard library only."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys

APT = "/etc/apt"
SOCKET = "/var/run/docker.sock"
NEWER = "trixie"
FIELD = re.compile(r"(?m)^([\w-]+):(.*(?:\n[ \t].*)*)")


class Engine(http.client.HTTPConnection):
    """A connection to the engine's socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(SOCKET)


def engine():
    """Say whether the engine answers, its version and API version, or why it does not."""
    try:
        connection = Engine("engine")
        connection.request("GET", "/version")
        answer = json.loads(connection.getresponse().read())
        said = {"version": answer["Version"], "api": answer["ApiVersion"]}
        return {"answers": True, **said, "why": ""}
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or error
        return {"answers": False, "version": "", "api": "", "why": f"{SOCKET}: {why}"}


def library():
    """Tell whether this very Python has the Docker library."""
    try:
        return bool(__import__("docker").APIClient)
    except (ImportError, AttributeError):
        return False


def buildx():
    """Tell whether the docker command is there and knows buildx."""
    try:
        asked = ["docker", "buildx", "version"]
        return subprocess.run(asked, check=False, capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def system():
    """Return the distribution's own description of itself."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            pairs = (line.strip().partition("=") for line in file if "=" in line)
            return {name: (shlex.split(value) or [""])[0] for name, dummy, value in pairs}
    except OSError:
        return {}


def one_line(text):
    """Return the entries of an apt list in the one-line format."""
    found = []
    for line in text.splitlines():
        matched = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if matched:
            options, uri, suite, components = matched.groups()
            key = re.search(r"signed-by=(\S+)", options or "", re.I)
            found.append(entry([uri], [suite], components.split(), key.group(1) if key else ""))
    return found


def deb822(text):
    """Return the entries of an apt list in the deb822 format."""
    found = []
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {name.lower(): value.strip() for name, value in re.findall(FIELD, stanza)}
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0")
        if enabled and "deb" in fields.get("types", "").split():
            words = [fields.get(name, "").split() for name in ("uris", "suites", "components")]
            found.append(entry(*words, key=fields.get("signed-by", "")))
    return found


def entry(uris, suites, components, key):
    """Describe one place that apt takes packages from."""
    return {"uris": uris, "suites": suites, "components": components, "key": key}


def sources(folder=APT):
    """Return every entry of the server's apt lists, in apt's order of files."""
    lists = os.path.join(folder, "sources.list.d")
    names = sorted(os.listdir(lists)) if os.path.isdir(lists) else []
    found = []
    paths = [os.path.join(folder, "sources.list"), *(os.path.join(lists, name) for name in names)]
    for path in paths:
        read = {".list": one_line, ".sources": deb822}.get(os.path.splitext(path)[1])
        if read and os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                found += read(file.read())
    return found


def mirror(entries, codename):
    """Return address and key of the mirror that this release's packages come from, or nothing."""
    for one in entries:
        if codename in one["suites"] and "main" in one["components"] and one["uris"]:
            return {"uri": one["uris"][0], "key": one["key"]}
    return {}


def has_module(name):
    """Tell whether this Python can import a module."""
    try:
        return bool(__import__(name))
    except ImportError:
        return False


def main():
    """Print it all."""
    release, entries = system(), sources()
    codename = release.get("VERSION_CODENAME", "")
    said = {
        "system": release.get("PRETTY_NAME", sys.platform),
        "codename": codename,
        "python": sys.executable,
        "library": library(),
        "apt": bool(shutil.which("apt-get")),
        "apt_module": has_module("apt"),
        "systemd": os.path.isdir("/run/systemd/system"),
        "engine": engine(),
        "dockerd": bool(shutil.which("dockerd")),
        "buildx": buildx(),
        "mirror": mirror(entries, codename),
        "newer_listed": any(NEWER in one["suites"] for one in entries),
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
