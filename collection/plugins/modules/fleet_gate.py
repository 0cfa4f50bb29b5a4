#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_gate
short_description: Folds what every server said, and shuts when too many are bad
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Run once, it reads what a task registered on every server and makes one word of each, V(done), V(failed),
    V(unreachable) or V(missing), and one report of each, laid over what an earlier gate knew.
  - It fails when more servers than allowed are bad. The task itself needs C(ignore_errors) and C(ignore_unreachable).
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.attributes.control
options:
  rung:
    description: What the task was for, in a word for people.
    type: str
    required: true
  result:
    description: The name of the variable that the task registered.
    type: str
    required: true
  among:
    description: The servers that the task was for. Defaults to all of the play. Without any, nothing is folded.
    type: list
    elements: str
  known:
    description: What an earlier gate answered.
    type: dict
  why:
    description: What failed for all servers, such as the build. It counts where no server has a failure of its own.
    type: str
  expect:
    description: The hash of the plan that was approved; the gate shuts if what the servers plan is other.
    type: raw
  needed:
    description: The servers of which none may be bad, however many may be.
    type: list
    elements: str
  last:
    description: Whether the job is to end at this rung.
    type: bool
    default: false
  max_fail:
    description:
      - How many servers may be bad. Without it the gate folds, and never shuts.
      - A server that another job holds shuts it in any case, for one job deploys everywhere.
    type: int
  on_fail:
    description: With V(hold), servers that are live already are in RV(held).
    type: str
    choices: [back, hold]
    default: back
  job:
    description:
      - What preflight has read. With it the gate shuts where the servers serve different versions, unless the job
        has one of these serve everywhere.
    type: dict
  turns:
    description:
      - What preflight has read of a job that may be for several services. With it, RV(services) has a gate for each,
        and the task fails where that of any is shut.
    type: dict
  turn:
    description: The service whose turn it is.
    type: str
  built:
    description: What M(stackswap.bluegreen.image_build) answered, to be kept with the gate.
    type: dict
  others:
    description: The results of M(stackswap.bluegreen.release_info) in a loop over the servers that this run leaves out.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Go on if all are ready
  stackswap.bluegreen.fleet_gate:
    rung: ready
    result: stackswap_ready
    max_fail: 0
  run_once: true
  register: stackswap_gate
"""

RETURN = r"""
run:
  description: The run of the job that the gates are of.
  returned: with O(turn)
  type: str
services:
  description: The gate of every service by its name. What is described below is found there then, and not at the top.
  returned: with O(turn)
  type: dict
images:
  description: The image that each server has for the job, as it claims or once it was fetched.
  returned: always
  type: dict
fleet:
  description: The word of every server.
  returned: always
  type: dict
reports:
  description: The report of every server, of all its calls together.
  returned: always
  type: dict
whys:
  description: Why a server is bad, in its own words.
  returned: always
  type: dict
bad:
  description: The servers that are bad.
  returned: always
  type: list
  elements: str
climbed:
  description: The servers that were asked to switch.
  returned: always
  type: list
  elements: str
joining:
  description:
    - With O(job), where servers that serve nothing join what the others serve, these C(servers), the C(version), its
      C(digest), and the C(peers) that have it.
  returned: always
  type: dict
held:
  description: The servers that stay live though the job has failed, or failed there.
  returned: always
  type: list
  elements: str
outcome:
  description: How the job ended, or would if it ended here. One of V(live), V(back) and V(failed).
  returned: always
  type: str
brought:
  description: The callbacks that the image for the job has, once servers have it.
  returned: always
  type: list
  elements: str
scripts:
  description: The callbacks that the image of the release has.
  returned: always
  type: list
  elements: str
shut:
  description: Whether too many are bad.
  returned: always
  type: bool
"""
