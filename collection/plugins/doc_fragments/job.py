# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The job that a module works for."""

    DOCUMENTATION = r"""
options:
  job:
    description:
      - The id of the job that this call is a part of. It holds the claim on the service on this server.
      - Another job that holds the claim is an answer of its own, and nothing is changed.
      - Without a job nothing is claimed, but a claim of another job still counts.
    type: raw
  claim_seconds:
    description:
      - How long the job's claim lasts from this call on, in seconds.
        Every call of the job begins it anew, so it ends by itself if the job dies.
    type: int
    default: 900
"""

    TURN = r"""
options:
  turn:
    description:
      - The service whose turn it is in a job of the role. What is not given otherwise is then taken from the variables
        of the play. What M(stackswap.bluegreen.preflight) and M(stackswap.bluegreen.fleet_gate) have answered for the
        service is in C(stackswap_wanted) and C(stackswap_gates), and the role documents those that are the user's own.
      - A call that claims then waits until the service is claimed on the first of its servers. Where that has not
        begun, or has failed, the answer is C(unclaimed), and nothing is changed.
    type: str
"""

    LINE = r"""
options:
  _line:
    description:
      - How the action plugin of the same name listens to a call that takes long, and asks it to stop.
      - It is not for playbooks.
    type: dict
"""
