# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module image_build: its effects put together, its answer and its failures."""

from __future__ import annotations

import functools
import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    building,
    folder,
    git,
    logins,
    project,
    source,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.answer import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.building import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.buildx import Buildx
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.images import Images
from ansible_collections.stackswap.bluegreen.plugins.module_utils.line import Line, served
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Tools, Wanted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import Request

# What is not shown of the options; nothing named is all of it.
HIDDEN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("secrets", "registries", "service", "overrides"), ()),
    "source": source.SECRET,
}


def run_build(module: AnsibleModule) -> None:
    """The module image_build."""
    served(module.params["_line"], functools.partial(_built, module))


def _built(module: AnsibleModule, line: Line) -> None:
    answer = Answer(module, HIDDEN)
    params = module.params
    try:
        wanted = wanted_of(params)
        tools = _tools(params, line)
        if module.check_mode:
            answer.give(**_foretold(wanted, tools))
        answer.give(**_told(wanted, building.build(wanted, tools)))
    except StackswapError as error:
        answer.fail(error)
    except OSError as error:
        answer.crash(error)


def _tools(params: Mapping[str, Any], line: Line) -> Tools:
    docker, host = params["docker_cli"], params["docker_host"]
    token = secrets.token_hex(8)
    login = functools.partial(logins.logged_in, project.logins(params["registries"] or {}))
    tell, stop = functools.partial(line.tell, "build"), functools.partial(_asked, line)
    return Tools(Buildx(docker, host, login), Images(docker, host), folder, git, tell, stop, token, time.monotonic)


def _asked(line: Line) -> bool:
    """A build that nobody waits for is stopped, too: it has changed nothing yet."""
    return bool(line.stop_asked())


def wanted_of(params: Mapping[str, Any]) -> Wanted:
    """What the options ask for; empty strings, as surveys send them, count as absent."""
    given = {name: value for name, value in params.items() if value not in (None, "")}
    tag = given.get("image") or f"stackswap/{given['environment']}-{given['name']}"
    callbacks = {name: value for name, value in (params["callbacks"] or {}).items() if value}
    found = source.parse(params["source"])
    wanted = Wanted(
        service=given["name"],
        version=given["version"],
        tag=f"{tag}:{given['version']}",
        source=source.at(found, os.path.abspath),
        request=_request(params),
        dockerfile=given.get("dockerfile", "Dockerfile"),
        code_root=given.get("code_root"),
        runtime=given.get("runtime"),
        persistent=None if params["persistent"] is None else tuple(params["persistent"]),
        env=params["env"] or {},
        secrets=params["secrets"] or {},
        callbacks=callbacks,
        callbacks_folder=callbacks.get("folder", ".artifakt"),
        environment=given["environment"],
        criticality=given.get("criticality", "critical"),
        builder=os.uname().nodename,
        image_limit=given.get("image_limit", "10g"),
        cache_limit=given.get("cache_limit"),
        timeout=float(given.get("timeout", project.TIMEOUT)),
    )
    project.check(wanted)
    return wanted


def _request(params: Mapping[str, Any]) -> Request:
    contexts = {n: v if "://" in v else f"docker-image://{v}" for n, v in (params["base_images"] or {}).items()}
    return Request(
        folder="",
        dockerfile="",
        tags=(),
        args=params["args"] or {},
        contexts=contexts,
        labels=params["labels"] or {},
        target=params["target"] or None,
        platforms=tuple(params["platforms"] or ()),
        ssh=params["ssh"],
        pull=params["pull"],
        push=params["push"],
        no_cache=params["no_cache"],
        cache_from=tuple(params["cache_from"] or ()),
        cache_to=tuple(params["cache_to"] or ()),
    )


def _foretold(wanted: Wanted, tools: Tools) -> dict[str, Any]:
    """What check mode says: only a build can tell whether the image changes."""
    notes: tuple[str, ...] = ()
    if wanted.source.git:
        notes = (f"{wanted.source.ref or 'its default'} is commit {tools.git.resolve(wanted.source)}",)
    else:
        with project.project(wanted, tools) as found:
            notes = found.notes
    before = _seen(wanted.tag, tools)
    state = f"{before.image.id}" if before else "absent"
    return {
        "changed": True,
        "msg": f"would build {wanted.tag}",
        "notes": list(notes),
        "diff": {"before": f"{wanted.tag}: {state}\n", "after": f"{wanted.tag}: built\n"},
    }


def _seen(tag: str, tools: Tools) -> Any:
    """What has the tag; nothing where no engine answers yet."""
    try:
        return tools.images.look(tag)
    except StackswapError:
        return None


def _told(wanted: Wanted, result: Result) -> dict[str, Any]:
    before = result.before.id if result.before else "absent"
    repository = wanted.tag.rsplit(":", 1)[0]
    pushed = wanted.request.push and result.made.digest
    return {
        "changed": before != result.after.id,
        "image": {
            "id": result.after.id,
            "config": result.made.config,
            "digest": f"{repository}@{result.made.digest}" if pushed else result.made.config,
            "name": wanted.tag,
            "tags": [wanted.tag],
            "size": result.after.size,
        },
        "commit": result.code.commit,
        "revision": result.code.revision,
        "tree": result.code.tree,
        "build": dict(result.after.labels).get("stackswap.build", ""),
        "callbacks": {"build": result.choice.build, "entrypoint": result.choice.entrypoint},
        "steps": {"cached": result.made.cached, "ran": result.made.ran},
        "notes": list(result.notes),
        "diff": {
            "before": f"{wanted.tag}: {before}\n",
            "after": f"{wanted.tag}: {result.after.id}\n",
        },
    }
