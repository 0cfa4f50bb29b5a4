#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Reads what a job is asked to do, before any server is touched
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Run once on the control node, it reads all C(stackswap_*) variables, refuses what is wrong in them, and answers the
    job as data without any secret.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.attributes.control
options:
  kind:
    description: What kind of job it is.
    type: str
    choices:
      - build
      - deploy
      - build-and-deploy
      - rollback
      - restart
      - remove
      - logs
      - exec
      - drain
      - undrain
      - backing
      - maintenance
    required: true
  known:
    description: With O(joining), what was read before. The job keeps its id.
    type: dict
  service:
    description: With O(joining), the service in question.
    type: str
  joining:
    description: What M(stackswap.bluegreen.fleet_gate) found that servers join. The job is for that version then.
    type: dict
"""

EXAMPLES = r"""
- name: Read what is asked
  stackswap.bluegreen.preflight:
    kind: deploy
  run_once: true
  register: stackswap_asked
"""

RETURN = r"""
services:
  description:
    - Of a job that builds or starts something, what is asked of each service, by its name. What is described below for
      one service is found there. A job of another kind is for one, and answers all of it at the top.
  returned: success
  type: dict
order:
  description: The services in the order in which they have their turns.
  returned: success
  type: list
  elements: str
claims:
  description: The services in the order in which they are claimed, the same for all jobs.
  returned: success
  type: list
  elements: str
alone:
  description: Whether the job is for one service on one server, which waits for nobody.
  returned: success
  type: bool
waves:
  description: Whether its servers go live by themselves, in waves, and not in one call with what comes after it.
  returned: success
  type: bool
run:
  description: A word that no other run of a job has.
  returned: success
  type: str
id:
  description: The id of the job.
  returned: success
  type: str
by:
  description: Who runs it.
  returned: success
  type: str
service:
  description: The name of the service.
  returned: success
  type: str
version:
  description: The version that was named; empty for the one that is live.
  returned: success
  type: str
main:
  description: The main server.
  returned: success
  type: str
first:
  description: The server of this run that is claimed first.
  returned: success
  type: str
left_out:
  description: The servers of the stack that are not in this run.
  returned: success
  type: list
  elements: str
builder:
  description: The host that builds.
  returned: success
  type: str
image:
  description: The image's name and where it comes from; null for one that is on the servers already.
  returned: success
  type: dict
build:
  description: How the image is built; null if it is not.
  returned: success
  type: dict
rollback:
  description: Whether it goes back to a release, whatever the job is called in the history.
  returned: for a job that builds or starts something
  type: bool
restart:
  description: Whether it starts what is live anew, whatever the job is called in the history.
  returned: for a job that builds or starts something
  type: bool
manner:
  description: Options of M(stackswap.bluegreen.release) that the job's variables give, such as C(now) and C(wait).
  returned: for a job that builds or starts something
  type: dict
promote:
  description: Whether the job ends at ready (V(no)), begins there (V(only)), or does neither (V(yes)).
  returned: success
  type: str
maintenance:
  description: What the module maintenance is given; null for other jobs.
  returned: success
  type: dict
"""
