# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between our nouns and the engine's documents: what to send, and how to read what it answers."""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.definition import FILES
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import (
    NetworkMismatch,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    NO,
    Container,
    Image,
    Replica,
)

SERVICE, ENVIRONMENT = "stackswap.service", "stackswap.environment"
RELEASE, VERSION, DIGEST = "stackswap.release", "stackswap.version", "stackswap.digest"
SLOT, NUMBER, OF = "stackswap.slot", "stackswap.replica", "stackswap.replicas"
PROCESS, SCHEDULE = "stackswap.process", "stackswap.schedule"  # of all but web's
CALLBACK, MOMENT = "stackswap.callback", "stackswap.moment"  # of one-off containers, in the place of SERVICE
NETWORK, CONFIG = "stackswap.network", "stackswap.config"
# A container of the proxy's host carries the hash of its configuration under CONFIG.
RESTORE = (
    "the engine ends all containers with its daemon, the proxy too: for some seconds of an upgrade or a crash of the "
    "daemon nobody is answered. "
    'With {"live-restore": true} in /etc/docker/daemon.json, and a reload of the daemon, they go on'
)
NEVER = "0001-01-01"
SNAPSHOTTER = "io.containerd.snapshotter.v1"  # how an engine calls its containerd's image store
NO_LAYER = re.compile(
    r"(?:.*#\(nop\)\s+)?(?:CMD|ENV|EXPOSE|LABEL|USER|ENTRYPOINT|ARG|VOLUME|STOPSIGNAL|HEALTHCHECK|SHELL|ONBUILD)\b"
)
PULSE = 2 * 10**9  # nanoseconds between two health checks by a command
UNITS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True)
class EngineInfo:
    """What an engine is: its version, its API, where it keeps data and how."""

    version: str
    api: str
    root: str
    storage: str
    live_restore: bool
    containerd: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works, and will not through everything."""
        return () if self.live_restore else (RESTORE,)


# -- what to send ---------------------------------------------------------------------------------


def create_payload(spec: ReplicaSpec) -> dict[str, Any]:
    """The document that makes this container; what the spec leaves open is the image's."""
    made = spec.container
    asked = {
        "Image": made.image,
        "Env": [
            f"{name}={value}"
            for name, value in {**dict(made.env), **dict(made.local_env), **dict(made.secrets)}.items()
        ],
        "Labels": {**dict(made.labels), **dict(spec.labels)},
        "Cmd": _listed(made.command),
        "Entrypoint": _listed(made.entrypoint),
        "User": made.user,
        "WorkingDir": made.working_dir,
        "Hostname": made.hostname,
        "StopSignal": made.stop_signal,
        "StopTimeout": made.stop_timeout,
        "Healthcheck": {"Test": list(spec.test), "Interval": PULSE, "Retries": 3} if spec.test else None,
        "HostConfig": _host(spec),
        "NetworkingConfig": {"EndpointsConfig": {spec.network: _endpoint(spec.address)}},
    }
    return {name: value for name, value in asked.items() if value is not None}


def once_payload(spec: ReplicaSpec, files: Iterable[str]) -> dict[str, Any]:
    """The same for one that runs to its end: nobody checks its health, and its files may come in.

    The files' folders are volumes of its own: they can be written where all else is read-only or in memory.
    """
    folders: dict[str, Any] = {posixpath.dirname(path): {} for path in files}
    return {**create_payload(spec), "Volumes": folders, "Healthcheck": {"Test": ["NONE"]}}


def archive_of(name: str, content: bytes) -> bytes:
    """The archive of one file, for everybody to read."""
    packed, member = io.BytesIO(), tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o444
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def network_payload(name: str, subnet: str, ip_range: str) -> dict[str, Any]:
    """What makes our network: fixed addresses are those of the subnet that are not in the range."""
    pool = {"Subnet": subnet, **({"IPRange": ip_range} if ip_range else {})}
    ipam = {"Driver": "default", "Config": [pool]}
    return {"name": name, "driver": "bridge", "ipam": ipam, "labels": {NETWORK: name}}


def size(text: str) -> int:
    """Bytes of a size as Docker writes it: ``512m``, ``1.5g``, ``64MiB``, ``1024``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:(?<=[kmgt])i?b)?", text.strip().lower())
    if not found:
        raise BadInput(f"{text!r} is not a size: write it as 512m or 1.5g")
    return int(Decimal(found[1]) * 1024 ** UNITS[found[2]])


def nano_cpus(text: str) -> int:
    """Billionths of a processor: ``1.5`` is one and a half."""
    try:
        return int(Decimal(text) * 10**9)
    except InvalidOperation:
        raise BadInput(f"{text!r} is not a number of processors: write it as 1.5") from None


def ulimit(text: str) -> dict[str, Any]:
    """A limit written ``name:soft`` or ``name:soft:hard``; ``name=soft:hard`` is the same."""
    name, dummy, limits = text.replace("=", ":", 1).partition(":")
    found = re.fullmatch(r"(-?\d+)(?::(-?\d+))?", limits)
    if not found:
        raise BadInput(f"{text!r} is not a limit: write it as nofile:1024:2048")
    return {"Name": name, "Soft": int(found[1]), "Hard": int(found[2] or found[1])}


def _host(spec: ReplicaSpec) -> dict[str, Any]:
    made = spec.container
    mounts = {"Mounts": [_secrets(spec.secrets)]} if made.secret_files else {}
    return {
        "NetworkMode": spec.network,
        "RestartPolicy": restart_policy(spec.policy),
        "Binds": list(made.volumes),
        "Tmpfs": {path: options for path, dummy, options in (text.partition(":") for text in made.tmpfs)},
        "CapAdd": list(made.capabilities),
        "CapDrop": list(made.cap_drop),
        "SecurityOpt": list(made.security_opts),
        "ExtraHosts": [f"{name}:{address}" for name, address in made.extra_hosts],
        "Ulimits": [ulimit(text) for text in made.ulimits],
        "LogConfig": {"Type": made.log_driver, "Config": dict(made.log_options)},
        "Init": made.init,
        "ReadonlyRootfs": made.read_only,
        **mounts,
        **_limits(made),
    }


def _secrets(folder: str) -> dict[str, Any]:
    """The folder of its secret files, as a mount: a bind would make an empty folder where none is."""
    return {"Type": "bind", "Source": folder, "Target": FILES, "ReadOnly": True}


def _limits(made: Container) -> dict[str, int]:
    asked = {
        "Memory": size(made.memory) if made.memory else 0,
        "ShmSize": size(made.shm_size) if made.shm_size else 0,
        "NanoCpus": nano_cpus(made.cpus) if made.cpus else 0,
    }
    return {name: value for name, value in asked.items() if value}


def restart_policy(name: str) -> dict[str, Any]:
    """A restart policy as the engine writes it."""
    return {"Name": name, "MaximumRetryCount": 0}


def _endpoint(address: str) -> dict[str, Any]:
    return {"IPAMConfig": {"IPv4Address": address}} if address else {}


def _listed(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


# -- how to read ----------------------------------------------------------------------------------


def replica_of(document: Mapping[str, Any]) -> Replica:
    """A container as the engine inspects it."""
    labels, state = document["Config"].get("Labels") or {}, document["State"]
    return Replica(
        id=document["Id"],
        name=document["Name"].lstrip("/"),
        release=labels.get(RELEASE, ""),
        version=labels.get(VERSION, ""),
        slot=labels.get(SLOT, ""),
        process=labels.get(PROCESS, ""),
        schedule=labels.get(SCHEDULE, ""),
        number=_number(labels, NUMBER, 0),
        of=_number(labels, OF, 1),
        state=state["Status"],
        restarts=document.get("RestartCount") or 0,
        address=_address(document["NetworkSettings"].get("Networks") or {}),
        policy=document["HostConfig"]["RestartPolicy"].get("Name") or NO,
        digest=labels.get(DIGEST, ""),
        **_run_of(state),
    )


def _number(labels: Mapping[str, str], name: str, otherwise: int) -> int:
    text = labels.get(name, "")
    return int(text) if text.isdigit() else otherwise


def image_of(document: Mapping[str, Any]) -> Image:
    """An image as the engine inspects it."""
    config = document.get("Config") or {}
    check = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    return Image(
        id=document["Id"],
        digests=tuple(document.get("RepoDigests") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User") or "",
        working_dir=config.get("WorkingDir") or "",
        healthcheck=check[0] != "NONE",
        labels=tuple(sorted((config.get("Labels") or {}).items())),
        size=document.get("Size") or 0,
        platform=platform_of(document),
        tags=tuple(document.get("RepoTags") or ()),
        layers=layers_of(document),
        made=document.get("Created") or "",
        volumes=tuple(sorted(config.get("Volumes") or ())),
    )


def platform_of(document: Mapping[str, Any]) -> str:
    """What an image is made for, ``linux/amd64``; '' where it does not say."""
    told = [document.get(name) for name in ("Os", "Architecture", "Variant")]
    return "/".join(filter(None, told)) if all(told[:2]) else ""


def layers_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The layers of an image from the bottom, each by the digest of its content."""
    return tuple((document.get("RootFS") or {}).get("Layers") or ())


def layer_sizes(history: Iterable[Mapping[str, Any]], count: int) -> tuple[int, ...]:
    """How large each of so many layers is, from the bottom, by the image's history, whose newest entry comes first.

    Entries that made no layer are not marked as such: they are empty, and most of them say so by their instruction.
    """
    entries = [(one.get("Size") or 0, str(one.get("CreatedBy") or "")) for one in history][::-1]
    empty = count - sum(size > 0 for size, dummy in entries)
    sizes = []
    for size, made_by in entries:
        if size > 0 or (empty > 0 and not NO_LAYER.match(made_by)):
            empty -= size == 0
            sizes.append(size)
    return tuple((*sizes, *[0] * count)[:count])


def users_of(listed: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The images that listed containers are made from, by id, and the containers' names."""
    found: dict[str, tuple[str, ...]] = {}
    for one in listed:
        name = next(iter(one.get("Names") or ()), one["Id"]).lstrip("/")
        found[one["ImageID"]] = (*found.get(one["ImageID"], ()), name)
    return found


def foreign(listed: Iterable[Mapping[str, Any]], network: str, addresses: Iterable[str]) -> dict[str, str]:
    """Which of these addresses a listed container that is not ours has, and its name."""
    wanted = set(addresses)
    strangers = [one for one in listed if SERVICE not in (one.get("Labels") or {})]
    found = {_address(_only(one, network)): one["Names"][0].lstrip("/") for one in strangers}
    return {address: name for address, name in sorted(found.items()) if address in wanted}


def tenants(listed: Iterable[Mapping[str, Any]], network: str) -> dict[str, str]:
    """The addresses of listed containers that are a service's, and its key."""
    fixed = [one for one in listed if PROCESS not in (one.get("Labels") or {})]
    ours = [(one, (one.get("Labels") or {}).get(SERVICE)) for one in fixed]
    return {_address(_only(one, network)): key for one, key in ours if key and _address(_only(one, network))}


def host_container_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked of the proxy's container."""
    labels = document["Config"].get("Labels") or {}
    return {
        "id": document["Id"],
        "name": document["Name"].lstrip("/"),
        "state": document["State"]["Status"],
        "policy": document["HostConfig"]["RestartPolicy"].get("Name") or NO,
        "image": document["Image"],
        "labels": labels,
        "config": labels.get(CONFIG, ""),
        "address": _address(document["NetworkSettings"].get("Networks") or {}),
        "restarts": document.get("RestartCount") or 0,
        **_run_of(document["State"]),
    }


def _run_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """How a container's run goes, or has ended."""
    started = state.get("StartedAt") or ""
    return {
        "started": "" if started.startswith(NEVER) else started,
        "exit_code": state.get("ExitCode") or 0,
        "oom_killed": bool(state.get("OOMKilled")),
        "health": (state.get("Health") or {}).get("Status", ""),
    }


def info_of(told: Mapping[str, Any], api: str) -> EngineInfo:
    """An engine as it describes itself."""
    return EngineInfo(
        version=told["ServerVersion"],
        api=api,
        root=told["DockerRootDir"],
        storage=told["Driver"],
        live_restore=bool(told.get("LiveRestoreEnabled")),
        containerd=["driver-type", SNAPSHOTTER] in (told.get("DriverStatus") or []),
    )


def memory_of(told: Mapping[str, Any]) -> int:
    """What a container uses of memory, by its figures: the pages of files that nobody needs are left out."""
    memory = told.get("memory_stats") or {}
    stats = memory.get("stats") or {}
    idle = stats.get("inactive_file", stats.get("total_inactive_file", 0))
    return max(0, int(memory.get("usage") or 0) - int(idle))


def loaded_names(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names, or ids, that the engine tells after it has loaded an archive."""
    told = "".join(line.get("stream", "") for line in lines).splitlines()
    return [line.split(": ", 1)[1].strip() for line in told if line.startswith("Loaded image")]


def refuse_other_network(found: Mapping[str, Any], subnet: str, ip_range: str) -> None:
    """Raise unless the network has these addresses; both are named."""
    pools = (found.get("IPAM") or {}).get("Config") or [{}]
    has = (pools[0].get("Subnet", ""), pools[0].get("IPRange", ""))
    if has != (subnet, ip_range):
        raise NetworkMismatch(
            f"network {found['Name']} exists with {_span(*has)}, and {_span(subnet, ip_range)} is "
            "asked for: ask for what it has, or remove it while nothing uses it"
        )


def _span(subnet: str, ip_range: str) -> str:
    return f"subnet {subnet or 'none'}" + (f" and range {ip_range}" if ip_range else "")


def _only(listed: Mapping[str, Any], network: str) -> dict[str, Any]:
    networks = (listed.get("NetworkSettings") or {}).get("Networks") or {}
    return {network: networks.get(network) or {}}


def _address(networks: Mapping[str, Any]) -> str:
    """The fixed address, which a stopped container keeps; else the one that it was given."""
    ends = [end or {} for end in networks.values()]
    fixed = [(end.get("IPAMConfig") or {}).get("IPv4Address") for end in ends]
    return next(filter(None, [*fixed, *(end.get("IPAddress") for end in ends)]), "")
