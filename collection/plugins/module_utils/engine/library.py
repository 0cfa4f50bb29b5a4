# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's library, which nobody else imports, and only when an engine is made: no file costs what Docker does."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineMissing


def imported() -> None:
    """Docker's library, where it is there: what is forked then need not import it."""
    with suppress(EngineMissing):
        library()


def library() -> Any:
    """Docker's Python library, if it is one that can speak to an engine."""
    advice = "install python3-docker, or docker with pip, for the Python that Ansible uses there"
    try:
        import docker  # noqa: PLC0415 - see above
    except ImportError as error:
        raise EngineMissing(f"no Python library for Docker ({error}): {advice}") from error
    if not hasattr(docker, "APIClient"):
        where = getattr(docker, "__path__", "?")
        raise EngineMissing(f"the Python module docker at {where} is not Docker's: {advice}")
    return docker


def transport() -> tuple[type[Exception], ...]:
    """What the library's own transport raises in the middle of a stream."""
    try:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415
    except ImportError:
        return ()
    return (HTTPError,)
