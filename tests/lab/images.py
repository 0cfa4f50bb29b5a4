"""Make every test image from Debian packages of this machine; no image registry is asked.

Users' Dockerfiles keep their FROM lines: `contexts` maps the usual names to stand-ins.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from tests.lab import debian
from tests.lab.alone import alone
from tests.lab.building import LABEL, build, context, docker, exists

BUSYBOX = "stackswap-test/busybox:1"
PYTHON = "stackswap-test/python:1"
LIGHT = "stackswap-test/light:1"
BASES = (LIGHT, PYTHON, BUSYBOX)
HERE = Path(__file__).parent

PYTHONS = ("python:3", "python:3.10", "python:3.11", "python:3.12", "python:3.13", "python:3.14")
PYTHON_KINDS = ("", "-slim", "-slim-bookworm", "-slim-trixie")
DEBIANS = ("debian:bookworm", "debian:trixie", "debian:stable")
PACKAGES = ("python3", "python3-pip", "python3-venv", "python-is-python3", "ca-certificates")

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON_CONFIG = (f"LABEL {LABEL}", f"ENV {PATH}", 'CMD ["python3"]')

BUSYBOX_FILE = f"""FROM scratch
COPY . /
ENV {PATH}
CMD ["sh"]
"""

# Python with the files it opens and no package manager, beside busybox: a fifth of the full base.
LIGHT_FILE = """FROM python:full AS full
RUN set -e; mkdir /out; real=$(readlink -f /usr/bin/python3); lib=/usr/lib/$(basename $real); \\
    for part in lib2to3 ensurepip idlelib distutils pydoc_data turtledemo config-*; do \\
      rm -rf $lib/$part; done; \\
    cp -a --parents $real /usr/bin/python3 $lib /out; \\
    for file in $(ldd $real | grep -o '/[^ ]*'); do \\
      mkdir -p /out$(dirname $file); cp -L $file /out$file; done
FROM busybox:full
COPY --from=full /out /
"""

APP_FILE = """FROM light:full
COPY app.py frames.py /app/
COPY VERSION /app/VERSION
{env}
EXPOSE 8080
CMD ["python3", "-u", "/app/app.py"]
"""


@alone("busybox")
def busybox() -> str:
    """Make an image of the static busybox and a link for each of its applets."""
    if exists(BUSYBOX):
        return BUSYBOX
    debian.need("busybox-static", "busybox")
    program = shutil.which("busybox") or "/bin/busybox"
    listed = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    applets = set(listed.stdout.split()) - {"busybox"}
    files = {
        "Dockerfile": BUSYBOX_FILE.encode(),
        ".dockerignore": b"Dockerfile\n.dockerignore\n",
        "bin/busybox": Path(program).read_bytes(),
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": b"root:x:0:\n",
    }
    links = {f"bin/{applet}": "busybox" for applet in sorted(applets)}
    return build(BUSYBOX, context(files, links, {"tmp": 0o1777, "root": 0o700}))


@alone("python")
def python() -> str:
    """Make a Debian image with python3, pip and venv, in which pip trusts what this machine trusts.

    pip works in builds on the default network: the image has the machine's CA bundle in Debian's
    own place and an /etc/pip.conf that names it (so also for a newer pip in a venv), names the
    machine's package index if that is not a folder, and allows system-wide installs as the
    official image does. Other programs with CA bundles of their own are not helped.
    """
    if exists(PYTHON):
        return PYTHON
    debian.need("mmdebstrap", "mmdebstrap")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "python.tar")
        debian.system(archive, PACKAGES)
        docker("import", *(f"--change={line}" for line in PYTHON_CONFIG), str(archive), PYTHON)
    return PYTHON


@alone("light")
def light() -> str:
    """Make the base of the test application: busybox and Python's interpreter with its library."""
    if exists(LIGHT):
        return LIGHT
    names = {"python:full": python(), "busybox:full": busybox()}
    return build(LIGHT, context({"Dockerfile": LIGHT_FILE.encode()}), names)


def app(version: str, **knobs: object) -> str:
    """Make the test application at a version; a knob is an environment variable in lower case."""
    pairs = [f"ENV {name.upper()}={json.dumps(str(value))}" for name, value in knobs.items()]
    files = {name: (HERE / name).read_bytes() for name in ("app.py", "frames.py")}
    files |= {
        "Dockerfile": APP_FILE.format(env="\n".join(pairs)).encode(),
        "VERSION": version.encode(),
    }
    return build(f"stackswap-test/app:{version}", context(files), {"light:full": light()})


def contexts() -> dict[str, str]:
    """Map the FROM names of users' Dockerfiles to stand-ins, made when missing."""
    pythons = [name + kind for name, kind in product(PYTHONS, PYTHON_KINDS)]
    debians = [name + kind for name, kind in product(DEBIANS, ("", "-slim"))]
    small = ("busybox", "busybox:latest", "busybox:1", "alpine", "alpine:latest", "alpine:3")
    return dict.fromkeys([*pythons, *debians], python()) | dict.fromkeys(small, busybox())


def remove(bases: bool = False, label: str = LABEL) -> None:
    """Remove every container, network, volume and image with the label, the bases if asked."""
    wanted = f"--filter=label={label}"
    discard(docker("ps", "-aq", wanted).split(), "rm", "--force", "--volumes")
    discard(docker("network", "ls", "-q", wanted).split(), "network", "rm")
    discard(docker("volume", "ls", "-q", wanted).split(), "volume", "rm")
    listed = docker("image", "ls", wanted, "--format={{.Repository}}:{{.Tag}} {{.ID}}")
    images = [line for line in listed.splitlines() if bases or line.split()[0] not in BASES]
    discard([named(line) for line in images], "image", "rm", "--force")


def named(line: str) -> str:
    """Return the tag of a listed image, or its id when it has none."""
    tag, image = line.split()
    return image if "<none>" in tag else tag


def discard(things: Sequence[str], *words: str) -> None:
    """Run a removing command on the things, if there are any."""
    if things:
        docker(*words, *things)
