"""What several tests at once would each set up on a new machine: the engine, programs of Debian's, images.

python -m tests.lab.ready
"""

from __future__ import annotations

from tests.contract import proxies
from tests.lab import debian, engine, fleet, images

PROGRAMS = {"iproute2": "ip", "openssh-server": "sshd", "openssh-client": "ssh"}


def ready() -> None:
    """Have all of it; what is there is left alone."""
    engine.ready()
    for package, program in PROGRAMS.items():
        debian.need(package, program)
    for version in fleet.VERSIONS:
        images.app(version)
    proxies.image("")
    fleet.image()


if __name__ == "__main__":
    ready()
