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
  asked:
    description:
      - What M(stackswap.bluegreen.preflight) has answered for the service. What is not given otherwise is taken from
        it, such as O(name), O(version), O(job), and what the server has of the service.
    type: dict
  gate:
    description:
      - What M(stackswap.bluegreen.fleet_gate) has come to for the service by now. With O(asked), the image and the
        release that are this server's in the job are taken from it.
    type: dict
"""

    LINE = r"""
options:
  _line:
    description:
      - How the action plugin of the same name listens to a call that takes long, and asks it to stop.
      - It is not for playbooks.
    type: dict
"""
