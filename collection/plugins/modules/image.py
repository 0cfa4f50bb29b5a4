#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Have exactly this image on a server
version_added: "0.1.0"
author:
  - stackswap contributors (@stackswap)
description:
  - Makes sure that an image is on the server's engine, by its content. It is fetched from a
    registry, loaded from an archive,
    or shipped from the builder over the server's own Ansible connection, with no registry at all.
  - Nothing is fetched or shipped if the image is there. Of what is shipped, the layers that the server has stay behind.
  - In a play for several servers a tag is resolved once, and the image is saved once.
requirements:
  - docker (the Python library), or with O(state=saved) docker (the command)
attributes:
  action:
    description: Has an action plugin of the same name, which runs on the control node.
    support: full
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
    details:
      - With a name that a registry may point elsewhere, check mode says changed only if the server
        has no image by this name.
  diff_mode:
    description: Shows what it changes.
    support: none
  idempotent:
    description: A second run with the same options changes nothing.
    support: partial
    details:
      - O(state=saved) writes the archive each time.
extends_documentation_fragment:
  - stackswap.bluegreen.room
options:
  state:
    description:
      - V(present) has the image on the server.
      - V(saved) is the other half, run on a builder. It writes the image to O(archive).
      - V(found) only tells which image has the name on a builder, if any.
      - V(resolved) only tells, on a server, which digest the registry has for the name.
      - V(pruned) takes away, on a builder, images of the repository of O(name) that were built for O(built) and are in
        no use. Only those go that have no other name, are older than O(since), and are not in O(keep).
    type: str
    choices: [present, saved, found, resolved, pruned]
    default: present
  name:
    description: The image's name with its tag, or C(repository@sha256:...). The image has this name
      on the server afterwards.
    type: str
    required: true
  id:
    description:
      - What the image must be, as the builder or the registry's image calls it, C(sha256:...).
      - With O(from=builder) it defaults to what has the name on the builder. With others it is checked if given.
    type: str
  digest:
    description:
      - Pull exactly this, C(sha256:...) or C(repository@sha256:...), and give it O(name).
      - If absent, what the registry has by O(name) at the first server that asks.
    type: str
  from:
    description:
      - Where it comes from if it is not there.
      - V(registry) pulls O(name).
      - V(archive) loads O(archive).
      - V(builder) saves it on O(builder), and carries it over the control node to the server.
      - V(peer) saves it on one of O(peers), servers that have it, and carries it as V(builder) does. Where O(digest) is
        a registry's, it is pulled.
      - V(server) means nowhere, it must be there.
      - V(auto) is V(registry) if the name tells one or the image is not there, and else V(server).
    type: str
    choices: [registry, archive, builder, peer, server, auto]
    default: registry
  archive:
    description: The path of an archive as C(docker save) writes it, on this host.
    type: path
  here:
    description:
      - What the server has by O(name), as the C(here) of an earlier call of M(stackswap.bluegreen.release) in the same
        job tells. If that is just what is asked for, the server is not asked again.
      - Read by the action plugin.
    type: dict
  omit:
    description: The layers to leave out of the archive, with O(state=saved), each by its C(sha256:...).
    type: list
    elements: str
    default: []
  part:
    description:
      - Set by the action plugin. O(archive) is only a part of what is shipped, which is loaded when all of it is there.
    type: dict
    suboptions:
      digest:
        description: The sha256 of the whole.
        type: str
        required: true
      size:
        description: The bytes of the whole.
        type: int
        required: true
      offset:
        description: Where this part begins.
        type: int
        default: 0
  builder:
    description:
      - The inventory name of the builder, with O(from=builder).
      - If absent, the first host of the group C(stackswap_builder), else the control node.
    type: str
  peers:
    description: The inventory names of servers that have it, with O(from=peer). They are tried in this order.
    type: list
    elements: str
    default: []
  builder_host:
    description: The address of the engine on the builder. If absent, the builder's own.
    type: str
  built:
    description: The name of the service that the images were built for, with O(state=pruned).
    type: str
  keep:
    description: The ids and versions of images that stay, with O(state=pruned).
    type: list
    elements: str
    default: []
  since:
    description: When the oldest of the images was made that are live, with O(state=pruned). Without it nothing goes.
    type: str
  prune:
    description:
      - What M(stackswap.bluegreen.prune) is asked where the disk has no room, its own options with C(name) among them.
      - It runs in check mode, and the refusal tells what it would free. Without it that is not told.
    type: dict
  registry:
    description: The login at the registry. If absent, the server's own.
    type: dict
    suboptions:
      username:
        description: The user's name.
        type: str
        required: true
      password:
        description: The user's password or token.
        type: str
        required: true
  docker_host:
    description: The engine's address. If absent, the environment variable E(DOCKER_HOST), else the
      host's own.
    type: str
  docker_cli:
    description: The docker command of the builder.
    type: path
    default: docker
seealso:
  - module: stackswap.bluegreen.image_build
"""

EXAMPLES = r"""
- name: Ship what was built to the server, where there is no registry
  stackswap.bluegreen.image:
    name: "{{ built.image.name }}"
    id: "{{ built.image.id }}"
    from: builder

- name: Pull exactly what was pushed
  stackswap.bluegreen.image:
    name: "{{ built.image.name }}"
    digest: "{{ built.image.digest }}"
    registry:
      username: deploy
      password: "{{ vault_registry_password }}"
"""

RETURN = r"""
image:
  description: The image on this server.
  returned: success, if it is there
  type: dict
  contains:
    id:
      description: What the server's engine calls it by.
      type: str
    digest:
      description: The name that says what it is. From a registry, C(repository@sha256:...), else
        its id.
      type: str
    name:
      description: Its name and tag.
      type: str
    tags:
      description: The names it was asked by.
      type: list
      elements: str
    size:
      description: Its size in bytes, unpacked.
      type: int
    scripts:
      description: The moments that it has a callback for.
      type: list
      elements: str
    layers:
      description: Its layers from the bottom, with O(state=found).
      type: list
      elements: str
    platform:
      description: What it is made for, such as C(linux/amd64), with O(state=found).
      type: str
how:
  description:
    - Whether it was C(present), C(pulled) or C(loaded) from an archive.
    - Shipped as C(delta), without the layers that were there, or C(whole).
    - C(saved), C(found), C(resolved) or C(pruned) with that O(state).
    - C(missing) in check mode, if it would have to come.
  returned: success
  type: str
pruned:
  description: What was C(removed), what was C(left) and why, and how many C(bytes) the disk has more.
  returned: with O(state=pruned)
  type: dict
notes:
  description: What people should know, such as why all of the image was sent.
  returned: if there is something to say
  type: list
  elements: str
bytes:
  description: How many bytes were sent to this server, loaded or saved.
  returned: success
  type: int
seconds:
  description: How long it took.
  returned: always
  type: float
builder:
  description: The builder that it came from.
  returned: with O(from=builder), if it was shipped
  type: str
peer:
  description: The server that it came from.
  returned: with O(from=peer), if it was shipped
  type: str
cause:
  description: What kind of failure it was.
  returned: failure
  type: str
log:
  description: The last lines of what failed.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.image_module import run_image

STATES = ["present", "saved", "found", "resolved", "pruned"]


def main() -> None:
    registry = {
        "username": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
    }
    part = {
        "digest": {"type": "str", "required": True},
        "size": {"type": "int", "required": True},
        "offset": {"type": "int", "default": 0},
    }
    spec = {
        "state": {"type": "str", "choices": STATES, "default": "present"},
        "name": {"type": "str", "required": True},
        "id": {"type": "str"},
        "digest": {"type": "str"},
        "from": {
            "type": "str",
            "choices": ["registry", "archive", "builder", "peer", "server", "auto"],
            "default": "registry",
        },
        "archive": {"type": "path"},
        "here": {"type": "dict"},
        "omit": {"type": "list", "elements": "str", "default": []},
        "part": {"type": "dict", "options": part},
        "builder": {"type": "str"},
        "peers": {"type": "list", "elements": "str", "default": []},
        "builder_host": {"type": "str"},
        "registry": {"type": "dict", "options": registry},
        "room": {"type": "raw"},
        "built": {"type": "str"},
        "keep": {"type": "list", "elements": "str", "default": []},
        "since": {"type": "str"},
        # The control node's alone; it holds the service, so all of it is masked.
        "prune": {"type": "dict", "no_log": True},
        "docker_host": {"type": "str"},
        "docker_cli": {"type": "path", "default": "docker"},
    }
    needed = [
        ("state", "saved", ["archive"]),
        ("from", "archive", ["archive"]),
    ]
    run_image(AnsibleModule(argument_spec=spec, required_if=needed, supports_check_mode=True))


if __name__ == "__main__":
    main()
