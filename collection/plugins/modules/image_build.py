#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_build
short_description: Build an application's image with its own callbacks
version_added: "0.1.0"
author:
  - stackswap contributors (@stackswap)
description:
  - Builds an image on this host, the builder, with C(docker buildx), from a folder or from one
    commit of a git repository.
  - The application's own Dockerfile is built first and as it is. If the code has a callbacks
    folder, last layers follow.
    They hold the folder at C(/.artifakt), what C(build.sh) made, and a start that runs
      C(entrypoint.sh).
  - C(build.sh) runs once, as root, in the code root of the image. It sees O(env) and O(secrets) as
    its environment.
    They are mounted for that step only, so they are in no layer and not in the image's history.
    It runs again when the image before it, the callbacks folder, a value of O(env) or a value of
      O(secrets) has changed.
  - C(entrypoint.sh) runs at every start of a container, as the image's user, just before the
    default process. That process then
    takes its place, so process 1, signals, exit codes and arguments are the application's. If it
      fails, so does the container.
    Lines C(NAME=value) that it writes to the file named by C(STACKSWAP_ENV_FILE) become environment
      variables of the process.
  - Neither runs twice. If the Dockerfile runs C(build.sh), or the image's own entrypoint runs
    C(entrypoint.sh), it is left to them.
  - Without a callbacks folder the image is just what the Dockerfile makes.
requirements:
  - docker (the command) with buildx 0.13 or newer
  - git, for O(source.git); ssh and ssh-agent for an address by SSH
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: partial
    details:
      - Only a build can tell whether the image changes, so check mode always says changed.
  diff_mode:
    description: Shows the image's id before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: partial
    details:
      - The same as long as the builder's cache lives and neither the code nor the images after
        C(FROM) change.
extends_documentation_fragment:
  - stackswap.bluegreen.job.line
options:
  name:
    description: The service that the image is of.
    type: str
    required: true
  environment:
    description: The environment that it is built for; it is part of the image's name unless
      O(image) is given.
    type: str
    required: true
  version:
    description: The version. It is the image's tag, and always text.
    type: str
    required: true
  image:
    description:
      - The image's name without a tag, with the registry in front if there is one.
      - If absent it is C(stackswap/<environment>-<name>).
    type: str
  source:
    description: Where the code is. One of O(source.path) and O(source.git) is needed.
    type: dict
    required: true
    suboptions:
      path:
        description: A folder on the builder. It is built as it lies there; uncommitted changes are
          told.
        type: path
      git:
        description:
          - The address of a git repository. One commit of it is fetched, with its submodules and
            without C(.git).
          - Without O(source.key), O(source.key_file) and O(source.token) the builder's own keys and
            credential store are used. An address with a name or password in it is refused.
        type: str
      ref:
        description:
          - A branch, tag or commit of O(source.git). If absent, what the repository calls its default.
          - It is resolved once, to a commit, and that is what is fetched, told and labelled.
          - A commit is written with all of its 40 digits.
        type: str
      folder:
        description: The part of the code that is built, a folder below the source.
        type: str
      key:
        description:
          - A private SSH key for O(source.git) and its submodules, as text. It has no passphrase.
          - It goes into an agent of its own, from memory, and is never on a disk.
        type: str
      key_file:
        description: A file on the builder with the private SSH key.
        type: path
      token:
        description:
          - A token for O(source.git) by HTTPS, and for its submodules on the same host.
          - It is in no command line and on no disk, and never goes over plain HTTP, but to this host itself.
        type: str
      submodules:
        description: Whether the submodules of O(source.git) are fetched too.
        type: bool
        default: true
      limit:
        description:
          - The most that the source may weigh, such as V(500m).
          - If absent, V(5g) for O(source.git), and no limit for O(source.path).
        type: str
  dockerfile:
    description: The Dockerfile, below the folder that is built.
    type: str
    default: Dockerfile
  persistent:
    description:
      - Folders below the code root that are kept in C(/data), where the image has links to them.
      - Defaults to those that the runtime knows of its framework. An empty list is none.
    type: list
    elements: str
  runtime:
    description:
      - The runtime that makes the image where there is no Dockerfile, V(python), V(node), V(php-apache), V(php-fpm)
        or V(static). If absent, the one whose marks are in the code.
      - A Dockerfile that is there always wins.
    type: str
  target:
    description: The stage of the Dockerfile to build. If absent, the last.
    type: str
  platforms:
    description:
      - The platforms to build for, such as V(linux/arm64). If absent, the builder's own.
      - Refused if the builder is neither such a machine nor has an emulator of one.
      - Several need O(push), and an engine with the containerd image store.
    type: list
    elements: str
    default: []
  args:
    description: Build arguments of the Dockerfile. They are seen in the image's history, so never
      put a secret here. Text only.
    type: dict
    default: {}
  env:
    description:
      - Environment variables of C(build.sh). Text only.
      - A Dockerfile that runs C(build.sh) itself may mount them, and O(secrets), as a script to
        load by the secret C(stackswap-env).
      - It also sees E(ARTIFAKT_BUILD_ID), E(ARTIFAKT_ENVIRONMENT_NAME) and
        E(ARTIFAKT_ENVIRONMENT_CRITICALITY), unless they are given here. So does the Dockerfile, as build arguments.
    type: dict
    default: {}
  secrets:
    description:
      - Secret environment variables of C(build.sh). Text only.
      - The Dockerfile may mount each of them by its name, with C(RUN --mount=type=secret).
    type: dict
    default: {}
  callbacks:
    description: The callbacks folder, and who runs what is in it.
    type: dict
    default: {}
    suboptions:
      folder:
        description: The folder's name, looked for in O(source.folder) and then at the top of the
          source.
        type: str
        default: .artifakt
      build:
        description:
          - Who runs C(build.sh).
          - V(auto) leaves it to the Dockerfile if that has a C(RUN) of it, and else runs it in the
            last layers.
          - V(ours) runs it in the last layers, V(theirs) and V(none) do not.
          - If both are V(none) no layers are added.
        type: str
        choices: [auto, ours, theirs, none]
        default: auto
      entrypoint:
        description:
          - Who runs C(entrypoint.sh).
          - V(auto) leaves it to the image's own entrypoint if that is a script which names
            C(.artifakt/entrypoint.sh),
            or if the image has a label C(stackswap.callbacks) with the word C(entrypoint) in it.
          - V(ours) runs it before the default process, V(theirs) and V(none) do not.
        type: str
        choices: [auto, ours, theirs, none]
        default: auto
  code_root:
    description: Where in the image C(build.sh) runs. If absent, the image's working directory.
    type: str
  base_images:
    description:
      - What names after C(FROM) stand for, as a mapping of a name to an image of the builder.
      - A value with C(://) in it goes to C(--build-context) as it is.
    type: dict
    default: {}
  labels:
    description: More labels of the image.
    type: dict
    default: {}
  ssh:
    description: Whether the Dockerfile may use the builder's SSH agent, with C(RUN
      --mount=type=ssh).
    type: bool
    default: false
  pull:
    description: Whether registries are asked for newer images after C(FROM).
    type: bool
    default: false
  push:
    description: Whether the image is pushed to the registry in O(image).
    type: bool
    default: false
  registries:
    description:
      - Logins for this build, by the name of the registry, each with C(username) and C(password).
      - They are used for O(push), for images after C(FROM) and for caches. What the builder is logged
        in to already stays.
    type: dict
    default: {}
  cache_from:
    description: Where a build cache is read from, as C(--cache-from) takes it.
    type: list
    elements: str
    default: []
  cache_to:
    description:
      - Where the build cache is written to, as C(--cache-to) takes it.
      - An engine without the containerd image store can do V(type=inline) only; all else is refused there.
    type: list
    elements: str
    default: []
  no_cache:
    description: Whether every step runs again, whatever the builder has in its cache.
    type: bool
    default: false
  cache_limit:
    description:
      - The most that the builder's cache may hold after the build, such as V(20g). What was not used for
        longest goes.
      - If absent, nothing is removed. Only the builder's own build cache is touched, no image.
    type: str
  image_limit:
    description: The most that the image may weigh, unpacked. A larger one is refused, and its name then
      stands for what it stood for before.
    type: str
    default: 10g
  timeout:
    description:
      - The seconds in which the image must be built. What has not ended by then is ended, and the step that was
        running is named. The code is fetched before.
    type: float
    default: 3600
  criticality:
    description: How much depends on the environment, for E(ARTIFAKT_ENVIRONMENT_CRITICALITY).
    type: str
    default: critical
  service:
    description:
      - The service as the inventory has it, for the role. Its C(env) and C(secrets), and the key or token of
        its C(source), are then taken from here.
      - O(env) is laid over its C(env).
    type: dict
  overrides:
    description: What is laid over O(service).
    type: dict
  docker_host:
    description: The engine's address. If absent, the environment variable E(DOCKER_HOST), else the
      current context of C(docker).
    type: str
  docker_cli:
    description: The docker command.
    type: path
    default: docker
seealso:
  - module: stackswap.bluegreen.image
"""

EXAMPLES = r"""
- name: Build shop 1.4.2 from a folder of the builder
  stackswap.bluegreen.image_build:
    name: shop
    environment: production
    version: "1.4.2"
    source:
      path: /srv/code/shop
    env:
      NODE_ENV: production
    secrets:
      NPM_TOKEN: "{{ vault_npm_token }}"

- name: Build a branch and push it
  stackswap.bluegreen.image_build:
    name: shop
    environment: production
    version: "1.4.2"
    source:
      git: git@git.example.com:acme/shop.git
      ref: main
      folder: backend
    image: registry.example.com/acme/shop
    push: true
"""

RETURN = r"""
image:
  description: The image.
  returned: success, not in check mode
  type: dict
  contains:
    id:
      description: What the builder's engine calls it by.
      type: str
      sample: sha256:3c5a5ae7746890a87aed4d503bd6ec16fb6c77c758d82659d7f0e4ee413e4ef1
    config:
      description: The digest of its configuration; the same on every engine.
      type: str
    digest:
      description: The name by which servers get exactly this image. Pushed,
        C(repository@sha256:...), else RV(image.config).
      type: str
    name:
      description: Its name and tag.
      type: str
      sample: stackswap/production-shop:1.4.2
    tags:
      description: All the names it was given.
      type: list
      elements: str
    size:
      description: Its size in bytes, unpacked.
      type: int
commit:
  description: The commit that was built, empty outside git.
  returned: success, not in check mode
  type: str
tree:
  description: An id of the content that was built, the same wherever the same files lie.
  returned: success, not in check mode
  type: str
build:
  description: The id of the build, which the same code, options and environment give again.
  returned: success, not in check mode
  type: str
  sample: 4f0c1d2e3a5b
revision:
  description: The commit, with C(-dirty) behind it if files differed from it.
  returned: success, not in check mode
  type: str
callbacks:
  description: Who runs C(build.sh) and C(entrypoint.sh), ours, theirs or none.
  returned: success, not in check mode
  type: dict
steps:
  description: How many steps of the last Dockerfile were C(cached) and how many C(ran).
  returned: success, not in check mode
  type: dict
notes:
  description: What people should know of this build.
  returned: success
  type: list
  elements: str
seconds:
  description: How long it took.
  returned: always
  type: float
cause:
  description: What kind of failure it was.
  returned: failure
  type: str
  sample: run_failed
step:
  description: The step that failed.
  returned: failure of a step
  type: str
  sample: "[2/3] RUN .artifakt/build.sh"
exit_code:
  description: The exit code of the step that failed.
  returned: failure of a step
  type: int
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
from ansible_collections.stackswap.bluegreen.plugins.module_utils.build_module import run_build
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import LINE_ARGUMENTS

WHO = {"type": "str", "choices": ["auto", "ours", "theirs", "none"], "default": "auto"}
SOURCE = {
    "path": {"type": "path"},
    "git": {"type": "str"},
    "ref": {"type": "str"},
    "folder": {"type": "str"},
    "key": {"type": "str", "no_log": True},
    "key_file": {"type": "path", "no_log": False},
    "token": {"type": "str", "no_log": True},
    "submodules": {"type": "bool", "default": True},
    "limit": {"type": "str"},
}
CALLBACKS = {
    "folder": {"type": "str", "default": ".artifakt"},
    "build": WHO,
    "entrypoint": WHO,
}


def main() -> None:
    spec = {
        "name": {"type": "str", "required": True},
        "environment": {"type": "str", "required": True},
        "version": {"type": "str", "required": True},
        "image": {"type": "str"},
        "source": {"type": "dict", "required": True, "options": SOURCE},
        "dockerfile": {"type": "str", "default": "Dockerfile"},
        "runtime": {"type": "str"},
        "persistent": {"type": "list", "elements": "str"},
        "target": {"type": "str"},
        "platforms": {"type": "list", "elements": "str", "default": []},
        "args": {"type": "dict", "default": {}},
        "env": {"type": "dict", "default": {}},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "callbacks": {"type": "dict", "default": {}, "options": CALLBACKS},
        "code_root": {"type": "str"},
        "base_images": {"type": "dict", "default": {}},
        "labels": {"type": "dict", "default": {}},
        "ssh": {"type": "bool", "default": False},
        "pull": {"type": "bool", "default": False},
        "push": {"type": "bool", "default": False},
        "registries": {"type": "dict", "default": {}, "no_log": True},
        "cache_from": {"type": "list", "elements": "str", "default": []},
        "cache_to": {"type": "list", "elements": "str", "default": []},
        "no_cache": {"type": "bool", "default": False},
        "cache_limit": {"type": "str"},
        "image_limit": {"type": "str", "default": "10g"},
        "timeout": {"type": "float", "default": 3600},
        "criticality": {"type": "str", "default": "critical"},
        "service": {"type": "dict", "no_log": True},
        "overrides": {"type": "dict", "no_log": True},
        "docker_host": {"type": "str"},
        "docker_cli": {"type": "path", "default": "docker"},
        **LINE_ARGUMENTS,
    }
    run_build(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
