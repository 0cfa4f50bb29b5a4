# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the proxy knows of a service: its addresses, its sections, its routes; and the end of all that."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils import payload
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Moved
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import SLOTS, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import backend_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work


def register(work: Work, step: Step) -> None:
    """Addresses of its own, and the proxy told of both slots."""
    wanted, fx, key = work.wanted(), work.fx, work.service.key
    work.address()
    fx.proxy.register(key, {slot: backend_of(fx, work.service, wanted, slot) for slot in SLOTS})  # type: ignore[misc]


def configure(work: Work, step: Step) -> None:
    """The slot's sections suit the release."""
    backend = backend_of(work.fx, work.service, work.wanted(), step.slot)
    if backend is None:
        raise Moved("the service has no addresses", step=step)
    work.fx.proxy.configure(work.service.key, step.slot, backend)


def open_(work: Work, step: Step) -> None:
    """The routes lead to the service, through its door."""
    work.fx.proxy.open(work.service.key, work.service.routes, work.service.door)


def leave(work: Work, step: Step) -> None:
    """Routes first, then the entry, then the sections: nobody new is let in, who is in is not cut off."""
    work.fx.proxy.remove(work.service.key)


def forget(work: Work, step: Step) -> None:
    """Addresses are free again; no record, manifest or secret of the service is left, nor a callback's container."""
    fx, key = work.fx, work.service.key
    fx.engine.clear({payload.CALLBACK: key})
    with fx.locks.proxy():
        stored = fx.records.addresses()
        if key in stored:
            fx.records.keep_addresses({name: lot for name, lot in stored.items() if name != key})
    fx.records.sweep_secrets(key, ())
    fx.records.forget(key)
