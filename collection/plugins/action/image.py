# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ships an image from the builder, or a server that has it, to a server over the connections that Ansible has anyway.

A server is asked first, unless the job has heard from it already that it has just this image. What it lacks is saved
once for the whole job, carried in pieces, loaded. A tag of a registry is resolved once for all servers, which then pull
that digest.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.stackswap.bluegreen.plugins.module_utils import archive, presence, room
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import NoSpace
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.elsewhere import elsewhere
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.narrowed import narrowed
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.once import once
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.piped import piped

MODULE = "stackswap.bluegreen.image"
PRUNE = "stackswap.bluegreen.prune"
GROUP = "stackswap_builder"
CHUNK = 64 * 1024 * 1024
WHOLE_HELPS = ("layers_missing", "load_failed", "engine_failed", "image_differs")


class ActionModule(ActionBase):
    """Runs for each server; the shared part of it runs once."""

    variables: Any = None  # those of the host that this action was made for, if that is the builder
    _here: Any = None

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        began = time.monotonic()
        args = {name: value for name, value in self._task.args.items() if value not in (None, "")}
        pruning, self._here = args.pop("prune", None), args.pop("here", None)
        ways = {"builder": self._from_builder, "peer": self._from_peer}
        come = ways.get(args.get("from", ""), self._from_registry)
        try:
            told = come(args, task_vars)
        except StackswapError as error:
            told = {"failed": True, "msg": error.what, "cause": error.cause, "log": list(error.evidence), **error.facts}
        if told.get("cause") == room.NoRoom.cause and pruning:
            told = self._foreseen(told, pruning, task_vars)
        return {**told, "seconds": round(time.monotonic() - began, 2)}

    def _foreseen(self, told: dict[str, Any], pruning: Any, task_vars: Any) -> dict[str, Any]:
        """The refusal, with what users get, and what prune would free."""
        self._task.check_mode = True  # for the rest of a task that has failed
        found = self._execute_module(module_name=PRUNE, module_args=narrowed(pruning), task_vars=task_vars)
        entry: dict[str, Any] = next(iter(found.get("services") or ()), {})
        return {**told, "msg": room.refusal(told["msg"], pruning["name"], entry, told["short"])}

    # -- from a registry

    def _from_registry(self, args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """With several servers, a tag is resolved by the first of them for all."""
        told = presence.at_hand(args, self._here)
        if told:
            return told
        several = len(task_vars.get("ansible_play_hosts") or ()) > 1
        origin, name = args.get("from", "registry"), args["name"]
        tag = args.get("state", "present") == "present" and not args.get("digest") and "@" not in name
        if not (several and tag) or origin not in ("registry", "auto") or self._task.check_mode:
            return self._module(args, task_vars)
        if origin == "auto" and presence.registry_of(name) == presence.HUB:
            told = self._module({**args, "from": "server"}, task_vars)
            if told.get("cause") != "image_missing":
                return told
        asked = {**args, "state": "resolved", "from": "registry"}
        found = once(("resolved", self._task._uuid, name), lambda dummy: self._module(asked, task_vars))
        if found.get("failed"):
            return {key: value for key, value in found.items() if key != "path"}
        return self._module({**args, "from": "registry", "digest": found["image"]["digest"]}, task_vars)

    # -- from the builder

    def _from_builder(self, args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        builder = args.get("builder") or next(iter(task_vars["groups"].get(GROUP) or ()), "localhost")
        if not args.get("id"):
            args["id"] = (self._look(builder, args, task_vars).get("image") or {}).get("id") or None
        there = presence.at_hand(args, self._here) or self._module(args, task_vars)
        if there.get("failed") or there.get("how") != "missing":
            return there
        if self._task.check_mode:
            self._refuse_full(args, self._look(builder, args, task_vars).get("image") or {}, there)
            return {name: there[name] for name in there if name not in ("chains", "disk")}
        if builder == task_vars["inventory_hostname"]:
            raise presence.ImageAbsent(f"the image {args['name']} is not on its builder {builder}: build it first")
        return {**self._ship(args, builder, there, task_vars), "builder": builder}

    # -- from another server

    def _from_peer(self, args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """From the first of the peers that calls it by that digest; one that no engine calls it by is a registry's."""
        digest, peers = args.pop("digest"), args.pop("peers", ())
        mine, whys = {**args, "id": digest}, []
        there = self._module(mine, task_vars)
        if there.get("failed") or there.get("how") != "missing":
            return there
        for peer in () if self._task.check_mode else peers:
            if peer == task_vars["inventory_hostname"]:
                continue
            told = self._look(peer, mine, task_vars)
            if (told.get("image") or {}).get("id"):
                told = self._ship(mine, peer, there, task_vars)
                if not told.get("failed"):
                    return {**told, "peer": peer}
            whys += [f"from {peer}: {told['msg']}"] if told.get("failed") else []
        pinned = {**args, "digest": digest, "from": "server" if self._task.check_mode else "registry"}
        told = self._module(pinned, task_vars)
        if told.get("failed") and self._task.check_mode:
            return there
        return {**told, "msg": "; ".join([*whys, told["msg"]])} if told.get("failed") else told

    def _ship(self, args: dict[str, Any], builder: str, there: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """Without the layers that the server has; with them if it cannot do with that."""
        found = self._found(builder, args, task_vars)
        presence.refuse_platform(args["name"], found.get("platform", ""), there["platform"])
        self._refuse_full(args, found, there)
        omit = list(archive.spared(found.get("layers", ()), there["chains"]))
        told = self._carry(args, builder, there, omit, task_vars)
        if omit and told.get("cause") in WHOLE_HELPS:
            why = f"the whole image was sent: without the layers that are there, {told['msg']}"
            told = {**self._carry(args, builder, there, [], task_vars), "notes": [why]}
        return told

    def _refuse_full(self, args: dict[str, Any], found: dict[str, Any], there: dict[str, Any]) -> None:
        """Before a byte travels: the server's disk has room for the layers that it lacks."""
        needed = room.lacking(found.get("layers", ()), found.get("sizes", ()), there["chains"])
        disk = room.Disk(*there["disk"]) if there.get("disk") else None
        if found.get("layers"):
            room.refuse_full(args["name"], needed, disk, room.floors_of(args.get("room")))

    def _look(self, builder: str, args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """What has the image's name, or its id, on the builder: asked once in a task for all servers.

        Where nothing is known of it, the name alone counts, and the server may have it.
        """
        given = {"name": args["name"], "id": args.get("id"), "state": "found"}
        given |= {"docker_host": args.get("builder_host"), "docker_cli": args.get("docker_cli", "docker")}
        return once((self._task._uuid, builder, given), lambda dummy: self._on(builder, task_vars).asked(given))

    def _found(self, builder: str, args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """The image on the builder, from which it is to come."""
        told = self._look(builder, args, task_vars)
        if told.get("failed"):
            failed = StackswapError(told["msg"], tuple(told.get("log", ())))
            failed.cause = told.get("cause", "builder_failed")
            raise failed
        return dict(told["image"])

    def _on(self, host: str, task_vars: Any) -> Any:
        """This action for another host: never another user on a builder."""
        return elsewhere(self, host, task_vars, become=self._task.args.get("from") == "peer")

    def _carry(
        self, args: dict[str, Any], builder: str, there: dict[str, Any], omit: list[str], task_vars: Any
    ) -> dict[str, Any]:
        """The archive saved once in a job for all servers that lack the same, then sent and loaded."""
        given = {"name": args["name"], "id": args.get("id"), "state": "saved", "omit": omit}
        given |= {"docker_host": args.get("builder_host"), "docker_cli": args.get("docker_cli", "docker")}
        saved = once((builder, given), lambda path: self._on(builder, task_vars).save(given, path))
        if saved.get("failed"):
            return {key: value for key, value in saved.items() if key != "path"}
        told = self._send(args, saved, there, task_vars)
        if told.get("how") == "loaded":
            told["how"] = "delta" if saved["omitted"] else "whole"
        return told

    def asked(self, given: dict[str, Any]) -> dict[str, Any]:
        """On the builder: one call of the module."""
        try:
            return self._module(given, self.variables)
        except AnsibleConnectionFailure as error:
            return self._silent(error)
        finally:
            self._connection.close()

    def save(self, given: dict[str, Any], path: str) -> dict[str, Any]:
        """On the builder: save the image there, and have its archive here."""
        if self._connection.transport == "local":
            return self.asked({**given, "archive": path})
        folder = None
        try:
            folder = self._make_tmp_path()
            there = self._connection._shell.join_path(folder, "image.tar")
            told = self._module({**given, "archive": there}, self.variables)
            if not told.get("failed"):
                self._give(there, folder)
                self._connection.fetch_file(there, path)
            return told
        except AnsibleConnectionFailure as error:
            return self._silent(error)
        finally:
            if folder:
                self._remove_tmp_path(folder, force=True)
            self._connection.close()

    def _silent(self, error: Exception) -> dict[str, Any]:
        """Where it is cannot be reached: that is not this server's fault, so it is no unreachable one."""
        what = "it" if self._task.args.get("from") == "peer" else "the builder"
        return {"failed": True, "cause": "builder_unreachable", "msg": f"{what} does not answer: {error}"}

    def _give(self, there: str, folder: str) -> None:
        """Have the connection's own user, whose the folder is, read what another one wrote."""
        if self._connection.become:
            quoted = (self._connection._shell.quote(one) for one in (folder, there))
            self._low_level_execute_command("chown --reference={} {}".format(*quoted))

    # -- to the server

    def _send(
        self, args: dict[str, Any], saved: dict[str, Any], there: dict[str, Any], task_vars: Any
    ) -> dict[str, Any]:
        """Piece by piece, from where the server has it."""
        sent, told = 0, {"how": "received", "received": there["received"].get(saved["digest"], 0)}
        if there["room"] < saved["bytes"] - told["received"]:
            raise NoSpace(f"the image's archive has {saved['bytes']} bytes, and the server's disk {there['room']} free")
        whole = {**args, "part": {"digest": saved["digest"], "size": saved["bytes"]}}
        for dummy in range(2 * (saved["bytes"] // CHUNK + 2)):
            if told.get("failed") or told.get("how") != "received":
                return {**told, "bytes": sent}
            piece = _piece(saved["path"], told["received"], task_vars["inventory_hostname"])
            sent += os.path.getsize(piece)
            told = self._send_piece(whole, piece, told["received"], task_vars)
        return {"failed": True, "cause": "transfer_failed", "msg": "another job sends the same image: try again later"}

    def _send_piece(self, whole: dict[str, Any], piece: str, offset: int, task_vars: Any) -> dict[str, Any]:
        folder = self._make_tmp_path()
        try:
            there = self._connection._shell.join_path(folder, "part")
            self._transfer_file(piece, there)
            self._fixup_perms2((folder, there))
            return self._module({**whole, "archive": there, "part": {**whole["part"], "offset": offset}}, task_vars)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            return {"failed": True, "cause": "transfer_failed", "msg": f"the image could not be sent: {error}"}
        finally:
            self._remove_tmp_path(folder, force=True)

    # -- below

    def _module(self, args: dict[str, Any], variables: Any) -> dict[str, Any]:
        piped(self._connection, variables)
        return self._execute_module(module_name=MODULE, module_args=args, task_vars=variables)


def _piece(path: str, offset: int, server: str) -> str:
    """The next piece of the archive as a file; the archive itself if it is all one piece."""
    if not offset and os.path.getsize(path) <= CHUNK:
        return path
    piece = f"{path}.{hashlib.sha256(server.encode()).hexdigest()[:16]}"
    with open(path, "rb") as whole, open(piece, "wb") as file:
        whole.seek(offset)
        for dummy in range(CHUNK // archive.PIECE):
            file.write(whole.read(archive.PIECE))
    return piece
