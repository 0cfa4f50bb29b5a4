# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module prune is sent of the services of an inventory: their windows, and nothing that is secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import absent


def narrowed(given: Mapping[str, Any]) -> dict[str, Any]:
    """The module's own options, with what is needed of the one service that is named, or else of all."""
    args = dict(given)
    known, laid, name = args.get("services") or {}, args.pop("overrides", None), args.pop("name", None)
    place = {"name": args.get("environment")}
    wanted = [services.parse(one, known, place, laid) for one in (known if absent(name) else [name])]
    services.parse_proxy(args.get("proxy"))
    told = {one.service.name: {"keep": one.service.keep, "image": services.reference(one, "any")} for one in wanted}
    for one in wanted:
        told[one.service.name]["built"] = one.source is not None
    return {**args, "services": told}
