"""Take away what the demo made, by its own names; what tests or other stacks made stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.demo import state
from tests.lab import images

CONTAINERS = ("network=stackswap-demo", "name=^stackswap-demo-proxy$")  # whatever was deployed to it
NETWORK = "stackswap-demo"
IMAGE = "stackswap/demo-guestbook"
FOLDERS = (Path("/var/lib/stackswap-demo"), state.SHARED / "stackswap-demo")
SYSTEMD = Path("/run/systemd/system")
WITHIN = 30
STAYS = """The packages that setup installed stay, with what the engine keeps in /var/lib/docker. To remove them too:
apt-get remove docker.io docker-cli docker-buildx containerd; rm -f /etc/apt/*/stackswap-trixie.*"""


def everything() -> None:
    """Remove containers, network, images and files, and stop the engine if the demo started it."""
    found = state.load()
    if state.answers():
        engine_things(found)
    for folder in FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)
    if found and not found["shared"]:
        with contextlib.suppress(OSError):
            state.SHARED.rmdir()  # not if anything else has moved in
    stop_engine(found)
    shutil.rmtree(state.FOLDER, ignore_errors=True)
    print("What the demo made is gone.")
    if found and not found["engine"]:
        print(STAYS)


def engine_things(found: Mapping[str, Any]) -> None:
    """Remove what the engine keeps for the demo."""
    for wanted in CONTAINERS:
        images.discard(images.docker("ps", "-aq", f"--filter={wanted}").split(), "rm", "--force", "--volumes")
    state.run("docker", "network", "rm", NETWORK)
    built = images.docker("image", "ls", "--format={{.Repository}}:{{.Tag}}", IMAGE).split()
    for image in (*built, *found.get("built", ()), *state.images_since(found)):
        if images.exists(image) and state.run("docker", "image", "rm", image)[0]:
            print(f"The image {image} stays: something else uses it.")


def stop_engine(found: Mapping[str, Any]) -> None:
    """Stop the engine in order if it is the one that the demo's setup started."""
    pid = found.get("started")
    if not pid or pid != state.engine_pid():
        return
    if SYSTEMD.is_dir():
        state.run("systemctl", "stop", "docker.socket", "docker.service")
    else:
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + WITHIN
    while state.engine_pid() == pid and time.monotonic() < until:
        time.sleep(0.2)
    print("The engine that setup started is stopped.")
