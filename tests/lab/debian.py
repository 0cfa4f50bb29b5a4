"""Packages and systems from the Debian mirrors that this machine already uses."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.lab.alone import alone

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
TARGET = "$(CREATED_BY)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
NO_DOCS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


@alone("packages")
def need(package: str, program: str) -> None:
    """Install a package with apt-get unless its program is there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if shutil.which(program, path=path):
        return
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-qqy", "--no-install-recommends", package]
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    subprocess.run(install, check=True, env=quiet, capture_output=True)


def suite() -> str:
    """Return the code name of this machine's Debian."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def sources() -> list[str]:
    """Return apt lines for this machine's suite, its updates and security fixes, as apt has it."""
    command = ["apt-get", "indextargets", "--format", TARGET]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [source(*line.split("|")) for line in listed.stdout.splitlines()]
    return sorted({line for line in lines if line})


def source(made_by: str, release: str, component: str, uri: str) -> str | None:
    """Write one apt line, or none for another suite, another component or no package list."""
    if made_by != "Packages" or component != "main" or release.split("-")[0] != suite():
        return None
    return f"deb {uri} {release} {component}"


def apart(folder: Path, other: str) -> dict[str, str]:
    """Return surroundings in which apt knows another suite alone, from the mirror of this machine's own."""
    listed, lists, configured = folder / "sources.list", folder / "lists", folder / "apt.conf"
    (lists / "partial").mkdir(parents=True)
    mirror = next(line.split()[1] for line in sources() if line.split()[2] == suite())
    listed.write_text(f"deb {mirror} {other} main\n")
    places = {"Dir::Etc::sourcelist": listed, "Dir::Etc::sourceparts": "-", "Dir::Etc::preferencesparts": "-"}
    places |= {"Dir::State::lists": lists, "Dir::Cache": folder, "APT::Sandbox::User": "root"}
    configured.write_text("".join(f'{name} "{value}";\n' for name, value in places.items()))
    return {**os.environ, "APT_CONFIG": str(configured)}


def fetched(folder: Path, other: str, *names: str) -> list[Path]:
    """Fetch these packages of another suite; nothing is installed."""
    env = apart(folder, other)
    for verb in (["update"], ["download", *names]):
        subprocess.run(["apt-get", "-qq", *verb], cwd=folder, check=True, capture_output=True, env=env)
    return sorted(folder.glob("*.deb"))


def unpacked(root: Path, other: str, *names: str) -> None:
    """Unpack these packages of another suite in a folder of ours; nothing is installed."""
    with tempfile.TemporaryDirectory() as folder:
        for package in fetched(Path(folder), other, *names):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)


def pip_conf() -> str:
    """Return the base's pip configuration: this machine's CA bundle, and its index if remote."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    asked = subprocess.run(command, capture_output=True, text=True)
    pairs = [line.partition("=") for line in asked.stdout.splitlines()]
    index = [value.strip("'") for name, _, value in pairs if name.endswith(".index-url")]
    remote = [f"index-url = {url}\n" for url in index if url.startswith("http")]
    own = f"[global]\ncert = {BUNDLE}\nbreak-system-packages = true\n"
    return own + "".join(remote[-1:])


def system(archive: Path, packages: Sequence[str]) -> None:
    """Write a minimal Debian of this machine's suite as an archive: packages, CA bundle, pip."""
    with tempfile.NamedTemporaryFile("w") as conf:
        conf.write(pip_conf())
        conf.flush()
        hooks = (
            f"upload {conf.name} /etc/pip.conf",
            "chmod 644 $1/etc/pip.conf",
            f"upload {BUNDLE} {BUNDLE}",
        )
        flags = ["--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
        flags += [f"--dpkgopt=path-exclude={path}" for path in NO_DOCS]
        flags += [f"--customize-hook={hook}" for hook in hooks]
        subprocess.run(["mmdebstrap", *flags, suite(), str(archive), *sources()], check=True)
