# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What a server must have free before a job begins."""

    DOCUMENTATION = r"""
options:
  room:
    description:
      - What a server must have free before a job changes anything there, a dictionary. Sizes are such as V(512m).
      - The disk of the engine must have room for what it lacks of the image. Where nobody knows how large that is, as
        with a registry, it is C(disk), which defaults to V(1g).
      - The memory that is available must do for all replicas at their limit, C(container.memory) of the service, those
        of its workers among them where both run for a while. For
        a service without one it is C(memory) a replica, which defaults to V(0), and what the live replicas use now is
        only warned of. It is looked at when the job claims the service, and nobody is kept from going back.
      - With C(check) V(false) nothing is asked of a server. It defaults to V(true).
    type: raw
"""
