# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's Docker engine, one verb a call."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, BinaryIO

from ansible_collections.stackswap.bluegreen.plugins.module_utils import payload
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Ran, ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.library import library, transport
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import (
    ContainerMissing,
    EngineTooOld,
    EngineUnreachable,
    LoadFailed,
    load_refusal,
    pull_refusal,
    refusal,
    unreachable,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image, Replica

OLDEST_API = (1, 41)
LONG = 600  # seconds without a byte from the engine, where it unpacks or copies an image
SOCKET = "unix:///var/run/docker.sock"
ENDING = "annot update container"  # of one that has ended, and the engine has yet to hear of it
TRIES, MOMENT = 20, 0.05  # how often it is asked again, and after how many seconds


class DockerEngine:
    """The engine at this address; without one, where DOCKER_HOST says, else the server's own."""

    def __init__(self, base_url: str | None = None, timeout: int = 60) -> None:
        docker = library()
        self._refused = docker.errors.APIError
        self._needs_length = int(docker.__version__.split(".")[0]) < 7
        self._broken = (docker.errors.DockerException, OSError, *transport())
        asked = {"base_url": base_url} if base_url else docker.utils.kwargs_from_env()
        self._address = asked.get("base_url") or os.environ.get("DOCKER_HOST") or SOCKET
        try:
            self._client = docker.APIClient(version="auto", timeout=timeout, **asked)
        except self._broken as error:
            raise unreachable(self._address, str(error)) from error
        self._client.trust_env = not self.local  # no proxy of the environment leads to a socket: none is looked for
        self._refuse_old(self._client.api_version)

    # -- images

    def image(self, reference: str) -> Image | None:
        """The image by id, tag or repository@digest; None if it is not here."""
        document = self._inspected(self._client.inspect_image, reference, "look at image")
        return payload.image_of(document) if document else None

    def pull(self, reference: str, auth: Mapping[str, str] | None = None) -> Image:
        """Fetch the image; auth: username and password; else the server's own login."""
        with self._asking(f"fetch image {reference}", partial(pull_refusal, reference)):
            credentials = dict(auth) if auth else None
            lines = self._client.pull(reference, stream=True, decode=True, auth_config=credentials)
            faults = [line["error"] for line in lines if "error" in line]
        found = None if faults else self.image(reference)
        if not found:
            raise pull_refusal(reference, " ".join(faults) or "the engine has no such image after it")
        return found

    def resolve(self, reference: str, auth: Mapping[str, str] | None = None) -> str:
        """The digest that the registry has for this name now; nothing is fetched."""
        told: dict[str, Any] = {}
        with self._asking(f"look up image {reference}", partial(pull_refusal, reference)):
            told = self._client.inspect_distribution(reference, auth_config=dict(auth) if auth else None)
        return str(told["Descriptor"]["digest"])

    def images(self) -> tuple[Image, ...]:
        """Every image that is here."""
        with self._asking("list the images"):
            ids = {one["Id"] for one in self._client.images()}
        found = [self.image(one) for one in sorted(ids)]
        return tuple(image for image in found if image)

    def layers(self) -> list[tuple[str, ...]]:
        """The layers of each image that is here, from the bottom."""
        return [image.layers for image in self.images()]

    def sizes(self, image: Image) -> tuple[int, ...]:
        """How many bytes each layer of the image has on the disk, from the bottom."""
        told: list[dict[str, Any]] = []
        with self._asking(f"read the history of image {image.id}"):
            told = self._client.history(image.id)
        return payload.layer_sizes(told, len(image.layers))

    def users(self) -> dict[str, tuple[str, ...]]:
        """The images that containers in any state are made from, anybody's, and the names of those."""
        listed: list[dict[str, Any]] = []
        with self._asking("list the containers"):
            listed = self._client.containers(all=True)
        return payload.users_of(listed)

    def drop(self, reference: str) -> None:
        """Take a name from an image, which goes with its last one; one that a container needs is refused."""
        with self._asking(f"remove image {reference}", passing="o such image"):
            self._client.remove_image(reference)

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, whose memory and disks are its own."""
        return str(self._address).startswith(("unix://", "http+unix://"))

    def platform(self) -> str:
        """What it runs, as ``linux/amd64``."""
        with self._asking("ask for its platform"):
            told = self._client.version()
        return f"{told['Os']}/{told['Arch']}"

    def load(self, archive: str | BinaryIO) -> tuple[str, ...]:
        """Load the images of an archive, by path or as a stream, and answer their ids."""
        with ExitStack() as opened, self._asking("load the image archive", load_refusal):
            stream = opened.enter_context(_stream(archive, spooled=self._needs_length))
            opened.enter_context(self._patience())
            lines = list(self._client.load_image(stream))
        faults = [line["error"] for line in lines if "error" in line]
        if faults:
            raise load_refusal(" ".join(faults))
        found = [self.image(name) for name in payload.loaded_names(lines)]
        return tuple(dict.fromkeys(image.id for image in found if image))

    def save(self, reference: str) -> Iterator[bytes]:
        """The archive of an image, piece by piece."""
        with self._asking(f"save image {reference}"), self._patience():
            yield from self._client.get_image(reference)

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give the image this name."""
        with self._asking(f"tag image {image} as {repository}:{tag}"):
            self._client.tag(image, repository, tag, force=True)

    # -- replicas

    def replicas(self, service: str, release: str = "") -> tuple[Replica, ...]:
        """The containers of a service, or of one release of it, in all states, by name."""
        wanted = [f"{payload.SERVICE}={service}", *([f"{payload.RELEASE}={release}"] if release else [])]
        with self._asking(f"list the containers of {service}"):
            listed = self._client.containers(all=True, filters={"label": wanted})
        look = self._client.inspect_container
        documents = [self._inspected(look, one["Id"], "look at container") for one in listed]
        found = [payload.replica_of(document) for document in documents if document]
        return tuple(sorted(found, key=lambda replica: replica.name))

    def create(self, spec: ReplicaSpec) -> str:
        """Make the container, not started, and answer its id."""
        return self._created(spec.name, payload.create_payload(spec))

    def start(self, container: str) -> None:
        """Start it; one that runs is left as it is."""
        with self._asking(f"start container {container}"):
            self._client.start(container)

    def stop(self, container: str, seconds: int) -> None:
        """Ask it to end, and make it after so many seconds; one that has ended is left as it is."""
        with self._asking(f"stop container {container}"):
            self._client.stop(container, timeout=seconds)

    def kill(self, container: str) -> None:
        """End it at once; one that has ended is left as it is."""
        with self._asking(f"kill container {container}", passing="is not running"):
            self._client.kill(container)

    def remove(self, container: str) -> None:
        """Remove it, unless it runs, with its anonymous volumes; one that is gone is fine."""
        doing = f"remove container {container}"
        with suppress(ContainerMissing), self._asking(doing, passing="already in progress"):
            self._client.remove_container(container, v=True)

    def keep(self, container: str, policy: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """Set whether it comes back after a reboot: its restart policy. Of one that is ending, a moment later."""
        told: dict[str, Any] | None = None
        for left in reversed(range(TRIES)):
            with self._asking(f"set the restart policy of container {container}", passing=ENDING if left else ""):
                told = self._client.update_container(container, restart_policy=payload.restart_policy(policy))
            if told is not None:
                return
            sleep(MOMENT)

    def logs(self, container: str, lines: int) -> str:
        """Its last lines, both streams; '' where its log driver cannot be read."""
        doing, unreadable = f"read the log of container {container}", "does not support reading"
        said = b""
        with self._asking(doing, passing=unreadable):
            said = self._client.logs(container, stdout=True, stderr=True, tail=lines)
        return said.decode("utf-8", "replace")

    def variables(self, container: str) -> dict[str, str]:
        """The environment that it was made with, secrets among it: for making its like, and never to be told."""
        found: dict[str, Any] = {}
        with self._asking(f"look at container {container}"):
            found = self._client.inspect_container(container)
        return dict(line.partition("=")[::2] for line in found["Config"].get("Env") or ())

    def weighs(self, container: str) -> int:
        """How many bytes of memory it uses now, without the files that it has read; 0 when it does not run."""
        told: dict[str, Any] = {}
        with self._asking(f"ask what container {container} uses", passing="o such container"):
            address = self._client._url("/containers/{0}/stats", container)  # its own call waits for a second sample
            asked = self._client._get(address, params={"stream": False, "one-shot": True})
            told = self._client._result(asked, json=True)
        return payload.memory_of(told)

    def run_once(
        self,
        spec: ReplicaSpec,
        seconds: float,
        asked: Callable[[], str] = lambda: "",
        files: Mapping[str, bytes] | None = None,
        lines: int = 200,
        clock: Callable[[], float] = time.monotonic,
    ) -> Ran:
        """Run a container to its end and remove it; out of time or asked to stop, it is killed.

        files: what it finds at these paths, each in a folder of its own that goes with the container.
        """
        container = self._created(spec.name, payload.once_payload(spec, files or {}))
        try:
            self._put(container, files or {})
            self.start(container)
            until = clock() + seconds
            ended = ""
            while self._state(container)["Running"] and not ended:
                with suppress(OSError):
                    self._client.wait(container, timeout=1)
                ended = asked() or ("timeout" if clock() >= until else "")
            self.kill(container)
            code = self._state(container)["ExitCode"]
            return Ran(code, self.logs(container, lines), ended)
        finally:
            self._discard(container)

    def clear(self, labels: Mapping[str, str]) -> None:
        """Remove the containers that have all of these labels, whatever they do."""
        wanted = {"label": [f"{name}={text}" for name, text in labels.items()]}
        with self._asking("list the containers to remove"):
            listed = self._client.containers(all=True, filters=wanted)
        for one in listed:
            self._discard(one["Id"])

    # -- the proxy's host

    def network(self, name: str, subnet: str, ip_range: str = "") -> bool:
        """Make our bridge network unless it is here; one with other addresses is refused."""
        found = self._network(name)
        if found is not None:
            payload.refuse_other_network(found, subnet, ip_range)
            return False
        made = False
        with self._asking(f"make network {name} with subnet {subnet}", passing="already exists"):
            self._client.create_network(**payload.network_payload(name, subnet, ip_range))
            made = True
        return made or self.network(name, subnet, ip_range)

    def container(self, name: str) -> dict[str, Any] | None:
        """A container by its name: id, state, image id, labels, hash of its configuration."""
        document = self._inspected(self._client.inspect_container, name, "look at container")
        return payload.host_container_of(document) if document and document["Name"] == f"/{name}" else None

    def exec(self, container: str, argv: Sequence[str]) -> tuple[int, str]:
        """Run a command in the container: its exit code and what it said on both streams."""
        with self._asking(f"run {argv[0]} in container {container}"):
            run = self._client.exec_create(container, list(argv))["Id"]
            said = self._client.exec_start(run)
            code = self._client.exec_inspect(run)["ExitCode"]
        return int(code or 0), said.decode("utf-8", "replace")

    def holders(self, network: str, addresses: Iterable[str]) -> dict[str, str]:
        """The addresses that containers not ours hold, or would on their start, and their names."""
        with self._asking(f"list the containers in network {network}"):
            listed = self._client.containers(all=True, filters={"network": network})
        return payload.foreign(listed, network, addresses)

    def tenants(self, network: str) -> dict[str, str]:
        """The addresses that containers of services have, running or not, and the services' keys."""
        with self._asking(f"list the containers in network {network}"):
            listed = self._client.containers(all=True, filters={"network": network})
        return payload.tenants(listed, network)

    def info(self) -> payload.EngineInfo:
        """What this engine is."""
        with self._asking("ask what it is"):
            told = self._client.info()
        return payload.info_of(told, self._client.api_version)

    # -- below the verbs

    @contextmanager
    def _asking(
        self,
        doing: str,
        told: Callable[[str], Exception] | None = None,
        passing: str = "",
    ) -> Iterator[None]:
        """Tell the library's errors in our own, but for the answer that says it is as wanted."""
        try:
            yield
        except self._refused as error:
            answer = str(error.explanation or error)
            if not passing or passing not in answer:
                raise (told or partial(refusal, doing))(answer) from error
        except self._broken as error:
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise refusal(doing, str(error)) from error
            raise EngineUnreachable(
                f"the Docker engine at {self._address} stopped answering: could not {doing}",
                (str(error),),
            ) from error

    def _inspected(self, look: Callable[[str], Any], name: str, doing: str) -> dict[str, Any] | None:
        document: dict[str, Any] | None = None
        with self._asking(f"{doing} {name}", passing="o such "):
            document = look(name)
        return document  # noqa: RET504 - the block may end before it is set

    def _created(self, name: str, document: Mapping[str, Any]) -> str:
        with self._asking(f"create container {name}"):
            container: str = self._client.create_container_from_config(dict(document), name)["Id"]
        return container

    def _put(self, container: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            folder, name = os.path.split(path)
            with self._asking(f"put {path} into container {container}"):
                self._client.put_archive(container, folder, payload.archive_of(name, content))

    def _discard(self, container: str) -> None:
        doing = f"remove container {container}"
        with suppress(ContainerMissing), self._asking(doing, passing="already in progress"):
            self._client.remove_container(container, v=True, force=True)

    def _state(self, container: str) -> dict[str, Any]:
        with self._asking(f"look at container {container}"):
            state: dict[str, Any] = self._client.inspect_container(container)["State"]
        return state

    def _network(self, name: str) -> dict[str, Any] | None:
        with self._asking(f"look at network {name}"):
            listed = self._client.networks(names=[name])
        return next((one for one in listed if one["Name"] == name), None)

    def _refuse_old(self, api: str) -> None:
        if tuple(int(part) for part in api.split(".")) < OLDEST_API:
            oldest = ".".join(map(str, OLDEST_API))
            raise EngineTooOld(
                f"the Docker engine at {self._address} speaks API {api}: "
                f"stackswap needs {oldest}, Docker Engine 20.10 or newer"
            )

    @contextmanager
    def _patience(self) -> Iterator[None]:
        usual, self._client.timeout = self._client.timeout, LONG
        try:
            yield
        finally:
            self._client.timeout = usual


@contextmanager
def _stream(archive: str | BinaryIO, spooled: bool) -> Iterator[BinaryIO]:
    """The archive to read from; older libraries cannot send what has no length, such as a pipe."""
    with ExitStack() as opened:
        if isinstance(archive, str):
            try:
                archive = opened.enter_context(open(archive, "rb"))
            except OSError as error:
                raise LoadFailed(f"could not open {archive}: {error.strerror}") from error
        elif spooled and not archive.seekable():
            pipe, archive = archive, opened.enter_context(tempfile.TemporaryFile(dir="/var/tmp"))
            shutil.copyfileobj(pipe, archive)
            archive.seek(0)
        yield archive
