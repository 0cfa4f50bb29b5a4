# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What calls on a server are given besides what they are to do."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description: The address of the engine. Defaults to C(DOCKER_HOST), else the server's own socket.
    type: str
"""

    CALL = r"""
options:
  job:
    description: The id of the job that this call is a part of.
    type: raw
"""

    NAMED = r"""
options:
  name:
    description: The name of the service. It need not be in the inventory.
    type: raw
    required: true
  environment:
    description: The environment that it runs in, a dictionary with its C(name).
    type: dict
    required: true
"""

    INSIDE = r"""
options:
  process:
    description:
      - The process that is meant, by its name in the service, such as V(worker).
        Of one that cron runs it is the last run.
      - Without one it is V(web), or on a server without that any other that is no affair of cron.
    type: str
    default: ""
"""
