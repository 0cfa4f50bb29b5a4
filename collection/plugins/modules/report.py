#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Gives out the one document of a job
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Run once, it sets C(stackswap_report) as a statistic of the run, as C(report.schema.json) of the collection
    describes it, and shows its last line.
  - It never fails. Its answers say which servers must.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.attributes.control
options:
  job:
    description: The job, as M(stackswap.bluegreen.preflight) answered it.
    type: dict
    required: true
  gate:
    description: What the last M(stackswap.bluegreen.fleet_gate) answered.
    type: dict
  gates:
    description: What the last M(stackswap.bluegreen.fleet_gate) answered, of a job that may be for several services.
    type: dict
  servers:
    description: The servers to report of. Defaults to all of the play.
    type: list
    elements: str
  built:
    description: The image that the job has built.
    type: dict
  strict:
    description: Whether a status fails for what is sick and for what differs between servers.
    type: raw
  notes:
    description: What the build has told, as M(stackswap.bluegreen.image_build) answered it.
    type: list
    elements: str
  builder:
    description: What M(stackswap.bluegreen.prune) told of the builder.
    type: dict
  found:
    description:
      - The name of the variable that holds what M(stackswap.bluegreen.release_info) told, for a job that only looks.
    type: str
"""

EXAMPLES = r"""
- name: Report
  stackswap.bluegreen.report:
    gate: "{{ stackswap_gate }}"
    job: "{{ stackswap_asked }}"
  run_once: true
  register: stackswap_reported
"""

RETURN = r"""
answers:
  description: Why a server failed, by its name.
  returned: always
  type: dict
outcome:
  description: With O(gates), how the job ended. One of V(live), V(ready), V(back) and V(failed).
  returned: always
  type: str
"""
