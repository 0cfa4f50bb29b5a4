# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module prune: of each service that is asked for and known here, what is beyond its window goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import pruning
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import previous, serving
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import effects_of, versions_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.pruning import Pruned


def run_prune(module: AnsibleModule) -> None:
    """One service after the other; one that cannot be pruned keeps no other from it, and fails the call in the end."""
    params, told, failed = module.params, [], []
    module.no_log_values.clear()
    try:
        fx = effects_of(params, str(params["job"] or ""), False)
        known = fx.records.services()
    except StackswapError as error:
        module.fail_json(msg=error.what, cause=error.cause, services=[])
        return
    for name, window in sorted((params["services"] or {}).items()):
        service = Service(str(params["environment"]), name, keep=int(window["keep"]))
        try:
            told += [_pruned(fx, service, window["image"], params, module.check_mode)] if service.key in known else []
        except StackswapError as error:
            failed.append((name, error))
    facts: dict[str, Any] = {"changed": any(one["changed"] for one in told), "services": told}
    if failed:
        why = "; ".join(f"{name} was not pruned: {error.what}" for name, error in failed)
        module.fail_json(msg=why, cause=failed[0][1].cause, **facts)
    module.exit_json(**facts)


def _pruned(fx: Effects, service: Service, names: str, params: Mapping[str, Any], check: bool) -> dict[str, Any]:
    job = str(params["job"] or "")
    done = pruning.foresee(fx, service, names) if check else pruning.run(fx, service, names, job)
    versions = versions_of(fx, service, done.found)
    return {
        "service": service.name,
        "environment": service.environment,
        "serving": serving(done.found, versions),
        "previous": previous(done.found, versions),
        "changed": bool(done.gone),
        "check": check,
        "pruned": told(done),
        "stays": dict(done.stays),
    }


def told(done: Pruned) -> dict[str, Any]:
    """What went, what stayed against expectation, and what it is worth, as data."""
    return {
        "removed": [{"kind": one.kind, "name": one.name, "version": one.version} for one in done.gone],
        "left": [{"image": image, "why": why} for image, why in done.left],
        "bytes": done.bytes,
    }
