# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What modules promise; each says how far it keeps it."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say what it would do, without doing it.
  diff_mode:
    description: Says what differs between before and after, in diff mode.
  idempotent:
    description: A second run with the same options changes nothing and says so.
"""

    PLAIN = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

    CONTROL = r"""
options: {}
attributes:
  action:
    description: It is an action plugin alone, and runs on the control node.
    support: full
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""
