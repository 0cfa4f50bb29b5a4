"""Every verb of the engine against a real one: what was asked for is what is read back."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import (
    AddressTaken,
    ContainerMissing,
    CreateConflict,
    EngineFailed,
    EngineMissing,
    EnginePermission,
    EngineTooOld,
    EngineUnreachable,
    ImageMissing,
    LayersMissing,
    LoadFailed,
    NetworkMismatch,
    PullDenied,
    PullLimited,
    PullNoNetwork,
    PullNotFound,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Container
from tests.lab import images
from tests.lab.registry import Registry

pytestmark = pytest.mark.engine
SERVICE = f"test{os.getpid()}.engine"
NAME = f"stackswap-test-{os.getpid()}"
TEST = ("stackswap.test", "1")
SLEEP = (
    "sh",
    "-c",
    "trap 'echo bye; exit 3' TERM; echo out; echo err >&2; while :; do sleep 0.1; done",
)
SHOW = """env; id -u; pwd; hostname; cat /etc/hosts; ulimit -n
df /dev/shm /scratch; echo "$0" "$1"
"""
LABELS = (
    TEST,
    ("stackswap.service", SERVICE),
    ("stackswap.environment", SERVICE.split(".")[0]),
    ("stackswap.release", "abcdef123456-0a0b0c0d"),
    ("stackswap.version", "1.10"),
    ("stackswap.slot", "blue"),
    ("stackswap.replica", "2"),
    ("stackswap.digest", "sha256:" + "d" * 64),
)
numbers = itertools.count(1)


def docker(*words: str) -> str:
    """Ask the docker command, as another witness."""
    return images.docker(*words)


def inspected(name: str) -> dict:
    """What the docker command says of a container."""
    return json.loads(docker("inspect", name))[0]


def wait_for(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until it is true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def engine() -> Iterator[HostEngine]:
    """The engine of this machine; all containers of this run are gone after it."""
    yield HostEngine()
    left = docker("ps", "-aq", f"--filter=name={NAME}").split()
    images.discard(left, "rm", "--force", "--volumes")


@pytest.fixture(scope="module")
def image(engine: HostEngine) -> str:
    """The id of a small image."""
    found = engine.image(images.busybox())
    assert found
    return found.id


@pytest.fixture(scope="module")
def subnet() -> str:
    """A subnet that is this run's own, without its last part."""
    return f"10.213.{os.getpid() % 250}"


@pytest.fixture(scope="module")
def network(engine: HostEngine, subnet: str) -> Iterator[str]:
    """A network whose upper half is not for slots."""
    assert engine.network(NAME, f"{subnet}.0/24", f"{subnet}.128/25")
    yield NAME
    left = docker("ps", "-aq", f"--filter=network={NAME}").split()
    images.discard(left, "rm", "--force", "--volumes")
    docker("network", "rm", NAME)


@pytest.fixture
def spec(image: str, network: str, subnet: str) -> ReplicaSpec:
    """A container of its own name and address."""
    number = next(numbers)
    made = Container(image=image, command=SLEEP)
    return ReplicaSpec(f"{NAME}-{number}", made, LABELS, network, f"{subnet}.{number + 10}")


def other(spec: ReplicaSpec, **changes: object) -> ReplicaSpec:
    """The same with another container."""
    return replace(spec, container=replace(spec.container, **changes))


@pytest.fixture
def running(engine: HostEngine, spec: ReplicaSpec) -> Iterator[str]:
    """A started container; it says so before the test begins."""
    container = engine.create(spec)
    engine.start(container)
    wait_for(lambda: "err" in engine.logs(container, 10))
    yield container
    engine.kill(container)
    engine.remove(container)


def seen(engine: HostEngine, container: str):
    """The container among its service's replicas."""
    return next((one for one in engine.replicas(SERVICE) if one.id == container), None)


def test_the_variables_of_a_container_are_told_as_they_were_given(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Secrets, empty ones and such with an equals sign; a rollback makes its like from them."""
    env, hidden = (("A", ""), ("B", "b=c\nd")), (("KEY", "s'$\"\n"),)
    container = engine.create(other(spec, env=env, secrets=hidden))
    assert engine.variables(container).items() >= dict((*env, *hidden)).items()
    engine.remove(container)


def test_what_a_container_weighs_is_its_memory_now(engine: HostEngine, running: str) -> None:
    """Of one that runs, told at once; nothing of one that does not, or is not there."""
    began = time.monotonic()
    assert 0 < engine.weighs(running) < 1 << 30
    assert time.monotonic() - began < 0.9, "a second sample is not waited for"
    engine.kill(running)
    wait_for(lambda: not engine._state(running)["Running"])
    assert engine.weighs(running) == engine.weighs("none") == 0 and engine.local


# -- images


def test_an_image_is_found_by_tag_and_by_id(engine: HostEngine) -> None:
    """And both are the same image."""
    image = engine.image(images.busybox())
    assert image and image == engine.image(image.id)
    assert image.command == ("sh",) and image.entrypoint == ()
    assert dict(image.labels)["stackswap.test"] == "1"
    assert image.size > 1_000_000 and not image.healthcheck


@pytest.mark.parametrize(
    "reference",
    [
        "stackswap-test/none:1",
        "sha256:" + "0" * 64,
        "stackswap-test/busybox@sha256:" + "0" * 64,
        "stackswap-test/busybox:other",
    ],
)
def test_an_image_that_is_not_here_is_none(engine: HostEngine, reference: str) -> None:
    """Whatever it is asked by."""
    assert engine.image(reference) is None


def test_an_image_tells_its_user_folder_and_check(engine: HostEngine) -> None:
    """What generated layers and health need to know."""
    lines = 'FROM base\nUSER 1234\nWORKDIR /srv\nENTRYPOINT ["sh", "-c"]\nHEALTHCHECK CMD true\n'
    tag = f"stackswap-test/described:{os.getpid()}"
    images.build(tag, images.context({"Dockerfile": lines.encode()}), {"base": images.busybox()})
    found = engine.image(tag)
    docker("rmi", tag)
    assert found
    assert (found.user, found.working_dir, found.healthcheck) == ("1234", "/srv", True)
    assert found.entrypoint == ("sh", "-c")


def test_an_image_goes_out_and_comes_in_as_an_archive(engine: HostEngine, tmp_path: Path) -> None:
    """By path and as a stream without a length; the ids are told."""
    tag = f"stackswap-test/moved:{os.getpid()}"
    base = engine.image(images.busybox())
    assert base
    images.build(tag, images.context({"Dockerfile": b"FROM base\nENV A=1\n"}), {"base": images.busybox()})
    made = engine.image(tag)
    assert made
    path = tmp_path / "image.tar"
    path.write_bytes(b"".join(engine.save(tag)))
    docker("rmi", tag)
    assert engine.image(made.id) is None
    assert engine.load(str(path)) == (made.id,)
    engine.tag(made.id, "stackswap-test/moved", f"again-{os.getpid()}")
    docker("rmi", tag, f"stackswap-test/moved:again-{os.getpid()}")
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as pipe:
        assert pipe.stdout
        assert engine.load(pipe.stdout) == (made.id,)
    docker("rmi", tag)


def test_an_image_that_a_container_needs_is_not_dropped(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Not even by a container that stands stopped; without it the image goes, and what is gone already is fine."""
    tag = f"stackswap-test/dropped:{os.getpid()}"
    images.build(tag, images.context({"Dockerfile": b"FROM base\nRUN echo 1 >/one\n"}), {"base": images.busybox()})
    made = engine.image(tag)
    assert made and made.tags == (tag,) and made in engine.images()
    container = engine.create(other(spec, image=made.id))
    assert engine.users()[made.id] == (spec.name,)
    with pytest.raises(EngineFailed, match=f"could not remove image {tag}"):
        engine.drop(tag)
    engine.remove(container)
    for _ in range(2):
        engine.drop(tag)
    assert engine.image(made.id) is None


def test_layers_are_as_large_together_as_their_image(engine: HostEngine) -> None:
    """Those that are empty are counted in their places."""
    tag = f"stackswap-test/layered:{os.getpid()}"
    lines = 'FROM base\nENV A=1\nWORKDIR /new\nRUN dd if=/dev/zero of=/k bs=1k count=64\nCMD ["sh"]\n'
    images.build(tag, images.context({"Dockerfile": lines.encode()}), {"base": images.busybox()})
    made, base = engine.image(tag), engine.image(images.busybox())
    assert made and base
    sizes = engine.sizes(made)
    engine.drop(tag)
    assert len(sizes) == len(made.layers) and sum(sizes[: len(base.layers)]) == sum(engine.sizes(base))
    assert sizes[-1] >= 65536 > sizes[-2]


def test_saving_or_tagging_what_is_not_here_says_so(engine: HostEngine) -> None:
    """ImageMissing in both cases, with the name."""
    with pytest.raises(ImageMissing, match="stackswap-test/none:1"):
        list(engine.save("stackswap-test/none:1"))
    with pytest.raises(ImageMissing):
        engine.tag("stackswap-test/none:1", "stackswap-test/x", "1")


def test_an_archive_that_is_not_there_is_named(engine: HostEngine, tmp_path: Path) -> None:
    """And is not mistaken for one that lacks layers."""
    with pytest.raises(LoadFailed, match=r"could not open .*none\.tar") as told:
        engine.load(str(tmp_path / "none.tar"))
    assert told.value.cause == "load_failed"


def test_a_broken_archive_is_not_loaded(engine: HostEngine, tmp_path: Path) -> None:
    """And one that lacks layers tells that apart."""
    path = tmp_path / "broken.tar"
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(LoadFailed):
        engine.load(str(path))
    manifest = [{"Config": "c.json", "RepoTags": ["stackswap-test/bad:1"], "Layers": ["l/layer.tar"]}]
    config = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}, "os": "linux"}
    files = {"manifest.json": json.dumps(manifest), "c.json": json.dumps(config)}
    path.write_bytes(images.context({name: text.encode() for name, text in files.items()}))
    with pytest.raises(LayersMissing):
        engine.load(str(path))


# -- containers


def test_what_was_asked_for_is_read_back(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Labels, address, policy: all that the planner sees; it was never started."""
    container = engine.create(spec)
    found = seen(engine, container)
    assert found
    assert (found.name, found.state, found.started) == (spec.name, "created", "")
    assert (found.release, found.version) == ("abcdef123456-0a0b0c0d", "1.10")
    assert (found.slot, found.number) == ("blue", 2)
    assert found.digest == "sha256:" + "d" * 64
    assert (found.address, found.policy, found.health) == (spec.address, "no", "")
    assert (found.restarts, found.exit_code, found.oom_killed) == (0, 0, False)
    engine.start(container)
    engine.start(container)
    found = seen(engine, container)
    assert found and found.running and found.started.startswith("20")
    assert found.address == spec.address
    engine.kill(container)
    engine.remove(container)


def test_every_limit_reaches_the_container(engine: HostEngine, spec: ReplicaSpec, tmp_path: Path) -> None:
    """As the docker command reads it, and as the processes inside see it."""
    asked = other(
        spec,
        command=(
            "sh",
            "-c",
            SHOW,
            "a b",
            "c",
        ),
        env=(("A", "1=2"), ("B", "")),
        secrets=(("TOKEN", 's3 "cret"'),),
        volumes=(f"{tmp_path}:/data:ro",),
        user="1234:5678",
        working_dir="/tmp",
        hostname="shop-1",
        memory="64m",
        cpus="0.5",
        shm_size="16m",
        read_only=True,
        capabilities=("NET_ADMIN",),
        cap_drop=("CHOWN",),
        security_opts=("no-new-privileges",),
        extra_hosts=(("db", "192.0.2.7"),),
        tmpfs=("/scratch:size=8m", "/plain"),
        ulimits=("nofile:512:1024",),
        labels=(("team", "a"), ("stackswap.slot", "green")),
        log_options=(("max-file", "2"), ("max-size", "1m")),
        stop_signal="SIGUSR1",
        stop_timeout=7,
    )
    container = engine.create(asked)
    told = inspected(container)
    host, config = told["HostConfig"], told["Config"]
    assert (host["Memory"], host["NanoCpus"], host["ShmSize"]) == (64 << 20, 500_000_000, 16 << 20)
    assert (host["ReadonlyRootfs"], host["Init"]) == (True, True)
    assert host["CapAdd"] == ["CAP_NET_ADMIN"] or host["CapAdd"] == ["NET_ADMIN"]
    assert [name.removeprefix("CAP_") for name in host["CapDrop"]] == ["CHOWN"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "2", "max-size": "1m"}}
    assert (config["StopSignal"], config["StopTimeout"]) == ("SIGUSR1", 7)
    assert config["Labels"]["team"] == "a" and config["Labels"]["stackswap.slot"] == "blue"
    engine.start(container)
    wait_for(lambda: not seen(engine, container).running)
    said = engine.logs(container, 100)
    lines = said.splitlines()
    for line in ("A=1=2", "B=", 'TOKEN=s3 "cret"', "1234", "/tmp", "shop-1", "512", "a b c"):
        assert line in lines, said
    assert "192.0.2.7\tdb" in lines
    assert [line.split()[1] for line in lines if line.endswith(("/dev/shm", "/scratch"))] == [
        "16384",
        "8192",
    ]
    assert seen(engine, container).exit_code == 0
    engine.remove(container)


def test_a_name_that_is_taken_is_a_conflict(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Which means: observe anew."""
    container = engine.create(spec)
    with pytest.raises(CreateConflict, match=spec.name) as told:
        engine.create(spec)
    assert told.value.cause == "create_conflict"
    engine.remove(container)


def test_without_its_image_nothing_is_made(engine: HostEngine, spec: ReplicaSpec) -> None:
    """The ladder never fetches."""
    with pytest.raises(ImageMissing):
        engine.create(other(spec, image="sha256:" + "0" * 64))
    assert engine.container(spec.name) is None


def test_an_address_that_is_taken_shows_at_the_start(engine: HostEngine, spec: ReplicaSpec, running: str) -> None:
    """A container made for it does not start; it was never started then."""
    taken = next(one.address for one in engine.replicas(SERVICE) if one.id == running)
    container = engine.create(replace(spec, name=spec.name + "-b", address=taken))
    with pytest.raises(AddressTaken):
        engine.start(container)
    found = seen(engine, container)
    assert found and (found.state, found.started) == ("created", "")
    engine.remove(container)


def test_a_stop_gives_time_and_its_exit_code_is_told(engine: HostEngine, running: str) -> None:
    """Stopped twice is stopped; the address stays its own."""
    engine.stop(running, 5)
    engine.stop(running, 5)
    found = seen(engine, running)
    assert found
    assert (found.state, found.exit_code, found.restarts) == ("exited", 3, 0)
    assert found.address and found.started
    assert "bye" in engine.logs(running, 10)


def test_a_stop_that_is_not_heard_ends_by_its_seconds(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Also where they are more than the library would wait for any other answer."""
    deaf = other(spec, command=("sh", "-c", "trap '' TERM; echo up; sleep 60"), init=False)
    patient = DockerEngine(timeout=1)
    container = patient.create(deaf)
    patient.start(container)
    wait_for(lambda: "up" in patient.logs(container, 1))
    began = time.monotonic()
    patient.stop(container, 2)
    assert 1.9 < time.monotonic() - began < 20
    assert seen(engine, container).exit_code == 137
    engine.remove(container)


def test_a_kill_is_at_once_and_twice_is_fine(engine: HostEngine, running: str) -> None:
    """137, as the kernel says it."""
    engine.kill(running)
    engine.kill(running)
    found = seen(engine, running)
    assert found and (found.state, found.exit_code) == ("exited", 137)


def test_removing_takes_anonymous_volumes_and_twice_is_fine(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Nothing stays behind."""
    asked = other(spec, volumes=())
    tag = f"stackswap-test/volume:{os.getpid()}"
    lines = b"FROM base\nVOLUME /var/spool\n"
    images.build(tag, images.context({"Dockerfile": lines}), {"base": images.busybox()})
    container = engine.create(other(asked, image=tag))
    volume = inspected(container)["Mounts"][0]["Name"]
    engine.remove(container)
    engine.remove(container)
    assert seen(engine, container) is None
    assert volume not in docker("volume", "ls", "-q").split()
    docker("rmi", tag)


def test_what_runs_is_not_removed(engine: HostEngine, running: str) -> None:
    """Stop is a verb of its own."""
    with pytest.raises(EngineFailed, match="remove container"):
        engine.remove(running)
    assert seen(engine, running).running


def test_keep_changes_the_restart_policy_and_nothing_else(engine: HostEngine, running: str) -> None:
    """While it runs; and back."""
    before = seen(engine, running)
    for policy in ("always", "no"):
        engine.keep(running, policy)
        assert seen(engine, running) == replace(before, policy=policy)


def test_keep_tells_one_that_ends_and_starts_again_and_again(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Also at the moment of an end, of which the engine has yet to hear."""
    for turn in range(3):
        asked = other(spec, command=("sh", "-c", f"sleep 0.0{turn + 1}"))
        container = engine.create(replace(asked, name=f"{asked.name}-{turn}", policy="always"))
        engine.start(container)
        last = time.monotonic() + 0.6
        while time.monotonic() < last:
            engine.keep(container, "always")
        engine.keep(container, "no")
        assert seen(engine, container).policy == "no"
        engine.stop(container, 1)


def test_restarts_are_counted(engine: HostEngine, spec: ReplicaSpec) -> None:
    """A container that ends at once under a policy."""
    asked = replace(other(spec, command=("sh", "-c", "exit 9")), policy="always")
    container = engine.create(asked)
    engine.start(container)
    wait_for(lambda: seen(engine, container).restarts >= 2)
    assert seen(engine, container).exit_code in (0, 9)
    engine.stop(container, 1)
    engine.remove(container)


def test_out_of_memory_is_told(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Apart from any other 137."""
    hungry = ("sh", "-c", "head -c 200m /dev/zero | tail -c 199m | wc -c; sleep 1; exit 1")
    container = engine.create(other(spec, command=hungry, memory="16m", init=False))
    engine.start(container)
    wait_for(lambda: not seen(engine, container).running, 30)
    assert seen(engine, container).oom_killed
    engine.remove(container)


def test_the_images_own_check_is_told(engine: HostEngine, spec: ReplicaSpec) -> None:
    """starting, then healthy."""
    lines = b"FROM base\nHEALTHCHECK --interval=1s CMD test -e /ok\n"
    tag = f"stackswap-test/checked:{os.getpid()}"
    images.build(tag, images.context({"Dockerfile": lines}), {"base": images.busybox()})
    container = engine.create(other(spec, image=tag))
    assert seen(engine, container).health in ("", "starting")
    engine.start(container)
    assert seen(engine, container).health == "starting"
    engine.exec(container, ["touch", "/ok"])
    wait_for(lambda: seen(engine, container).health == "healthy")
    engine.kill(container)
    engine.remove(container)
    docker("rmi", tag)


def test_logs_are_the_last_lines_of_both_streams_whatever_bytes(engine: HostEngine, spec: ReplicaSpec) -> None:
    """What is not text is replaced."""
    asked = other(spec, command=("sh", "-c", "seq 50; sleep 0.3; printf 'x\\377y\\n' >&2; sleep 0.3; echo last"))
    container = engine.create(asked)
    assert engine.logs(container, 5) == ""
    engine.start(container)
    wait_for(lambda: not seen(engine, container).running)
    assert engine.logs(container, 3).splitlines() == ["50", "x\ufffdy", "last"]
    engine.remove(container)


def test_a_log_that_cannot_be_read_is_empty(engine: HostEngine, spec: ReplicaSpec) -> None:
    """The driver is the user's choice."""
    asked = other(spec, log_driver="none", log_options=())
    container = engine.create(asked)
    engine.start(container)
    assert engine.logs(container, 5) == ""
    engine.kill(container)
    engine.remove(container)


@pytest.mark.parametrize("verb", ["start", "kill", "stop", "keep", "logs"])
def test_a_container_that_is_gone_is_told(engine: HostEngine, verb: str) -> None:
    """By name, with what was asked."""
    more = {"stop": (1,), "keep": ("no",), "logs": (1,)}.get(verb, ())
    with pytest.raises(ContainerMissing, match=f"{NAME}-gone"):
        getattr(engine, verb)(f"{NAME}-gone", *more)


def test_a_program_that_is_not_there_fails_at_the_start(engine: HostEngine, spec: ReplicaSpec) -> None:
    """In the engine's words."""
    container = engine.create(other(spec, command=("/no/such/program",)))
    engine.start(container)  # under an init process the engine does not know
    wait_for(lambda: not seen(engine, container).running)
    assert seen(engine, container).exit_code == 127
    assert "/no/such/program" in engine.logs(container, 5)
    engine.remove(container)
    container = engine.create(other(spec, command=("/no/such/program",), init=False))
    with pytest.raises(EngineFailed, match="no such file or directory"):
        engine.start(container)
    assert seen(engine, container).started == ""
    engine.remove(container)


def test_a_one_off_container_gives_its_output_and_code_and_is_gone(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Without an address of its own."""
    asked = replace(other(spec, command=("sh", "-c", "echo $A; exit 4"), env=(("A", "b"),)), address="")
    ran = engine.run_once(asked, seconds=10)
    assert (ran.code, ran.output, ran.ended) == (4, "b\n", "")
    assert engine.container(spec.name) is None


def test_a_one_off_container_ends_by_its_time_or_when_asked(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Killed and gone either way."""
    asked = replace(spec, address="")
    assert engine.run_once(asked, seconds=1).ended == "timeout"
    answers = iter(["", "asked"])
    ran = engine.run_once(asked, seconds=30, asked=lambda: next(answers))
    assert (ran.ended, ran.code) == ("asked", 137)
    assert engine.container(spec.name) is None


@pytest.mark.parametrize("read_only", [False, True])
def test_a_one_off_container_finds_the_files_it_is_given(
    engine: DockerEngine, spec: ReplicaSpec, read_only: bool
) -> None:
    """Where all is read-only, and below a folder in memory, too; their volume goes with it."""
    command = ("sh", "-c", "cat /run/of/it/context; id -u; touch /x 2>/dev/null || echo sealed; sleep 1")
    asked = replace(other(spec, command=command, read_only=read_only, tmpfs=("/run",), user="33"), address="")
    mounts: list[str] = []

    def look() -> str:
        mounts.extend(docker("inspect", "--format={{range .Mounts}}{{.Name}} {{end}}", spec.name).split())
        return ""

    ran = engine.run_once(asked, seconds=30, asked=look, files={"/run/of/it/context": b"told\n"})
    assert (ran.code, ran.output) == (0, "told\n33\nsealed\n")
    assert mounts and not set(mounts) & set(docker("volume", "ls", "-q").split())


def test_containers_are_cleared_by_their_labels_whatever_they_do(engine: HostEngine, spec: ReplicaSpec) -> None:
    """Those that have all of them."""
    marks = {"stackswap.test": "1", "stackswap.test.clear": spec.name}
    mine = engine.create(replace(other(spec), labels=tuple(marks.items())))
    engine.start(mine)
    engine.clear({**marks, "stackswap.test.other": "1"})
    assert engine.container(spec.name) is not None
    engine.clear(marks)
    assert engine.container(spec.name) is None
    engine.clear(marks)


# -- the proxy's host


def test_a_network_is_made_once(engine: HostEngine, network: str, subnet: str) -> None:
    """Asked for again it is as wanted."""
    assert engine.network(network, f"{subnet}.0/24", f"{subnet}.128/25") is False
    told = json.loads(docker("network", "inspect", network))[0]
    assert told["Driver"] == "bridge"
    assert told["Labels"] == {"stackswap.network": network}


@pytest.mark.parametrize(
    ("of", "span"),
    [("10.214.1.0/24", ""), ("{subnet}.0/24", ""), ("{subnet}.0/24", "{subnet}.64/26")],
)
def test_a_network_with_other_addresses_is_refused(
    engine: DockerEngine, network: str, subnet: str, of: str, span: str
) -> None:
    """Both are named."""
    with pytest.raises(NetworkMismatch) as told:
        engine.network(network, of.format(subnet=subnet), span.format(subnet=subnet))
    assert f"{subnet}.0/24 and range {subnet}.128/25" in str(told.value)
    assert of.format(subnet=subnet) in str(told.value)


def test_a_subnet_of_another_network_is_refused(engine: HostEngine, network: str, subnet: str) -> None:
    """The engine tells that it overlaps."""
    with pytest.raises(NetworkMismatch, match=f"{subnet}.0/25"):
        engine.network(f"{NAME}-b", f"{subnet}.0/25", "")


def test_a_service_of_the_host_runs_from_the_engines_own_document(engine: HostEngine, image: str) -> None:
    """Seen by its exact name; commands run in it."""
    labels = {"stackswap.test": "1", "stackswap.config": "c0ffee"}
    payload = {
        "name": f"{NAME}-host",
        "Image": image,
        "Cmd": ["sleep", "60"],
        "Labels": labels,
        "HostConfig": {"NetworkMode": "none", "Init": True},
    }
    container = engine.run_service(payload)
    found = engine.container(f"{NAME}-host")
    assert found and found["started"].startswith("20")
    assert {name: told for name, told in found.items() if name != "started"} == {
        "id": container,
        "name": f"{NAME}-host",
        "state": "running",
        "image": image,
        "labels": labels,
        "config": "c0ffee",
        "policy": "no",
        "address": "",
        "restarts": 0,
        "exit_code": 0,
        "oom_killed": False,
        "health": "",
    }
    assert engine.container(container[:12]) is None
    asked = ["sh", "-c", "echo out; echo err >&2; exit 5"]
    code, text = engine.exec(f"{NAME}-host", asked)
    assert code == 5 and sorted(text.split()) == ["err", "out"]
    with pytest.raises(CreateConflict):
        engine.run_service(payload)
    assert engine.container(f"{NAME}-host") == found
    engine.kill(container)
    with pytest.raises(EngineFailed, match="not running"):
        engine.exec(container, ["true"])
    engine.remove(container)


def test_containers_are_found_by_a_label_with_any_value_and_in_one_network(
    engine: HostEngine, spec: ReplicaSpec, network: str
) -> None:
    """In all states, each with how its run goes or has ended."""
    label = f"stackswap.test.{NAME}"
    one = engine.create(replace(other(spec, command=("sh", "-c", "exit 5")), labels=(TEST, (label, "one"))))
    two = engine.run_service(
        {
            "name": f"{spec.name}-two",
            "Image": spec.container.image,
            "Cmd": ["sleep", "60"],
            "Labels": {**dict([TEST]), label: "two"},
            "HostConfig": {"NetworkMode": "none"},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**9},
        }
    )
    assert {box["id"] for box in engine.labelled(label)} == {one, two}
    assert [box["id"] for box in engine.labelled(label, "two")] == [two]
    assert [box["id"] for box in engine.labelled(label, network=network)] == [one]
    assert engine.labelled(label, "two", network) == ()
    assert [(box["state"], box["started"]) for box in engine.labelled(label, "one")] == [("created", "")]
    engine.start(one)
    wait_for(lambda: engine.labelled(label, "one")[0]["state"] == "exited")
    assert engine.labelled(label, "one")[0]["exit_code"] == 5
    wait_for(lambda: engine.labelled(label, "two")[0]["health"] == "healthy")


def test_a_service_of_the_host_that_does_not_start_leaves_nothing(engine: HostEngine, image: str) -> None:
    """The next attempt finds its name free."""
    with pytest.raises(EngineFailed, match="start container"):
        engine.run_service({"name": f"{NAME}-bad", "Image": image, "Cmd": ["/no/such"], "Labels": dict([TEST])})
    assert engine.container(f"{NAME}-bad") is None


def test_foreign_holders_of_slot_addresses_are_named(
    engine: DockerEngine, spec: ReplicaSpec, running: str, subnet: str, image: str
) -> None:
    """Those that run and those that would take it at their start; never our own."""
    words = ["--label=stackswap.test=1", f"--network={NAME}"]
    docker("run", "-d", *words, f"--ip={subnet}.90", f"--name={NAME}-runs", image, "sleep", "60")
    docker("create", *words, f"--ip={subnet}.91", f"--name={NAME}-waits", image)
    docker("run", "-d", *words, f"--name={NAME}-any", image, "sleep", "60")
    dynamic = inspected(f"{NAME}-any")["NetworkSettings"]["Networks"][NAME]["IPAddress"]
    ours = seen(engine, running).address
    asked = [f"{subnet}.{part}" for part in (90, 91, 92)] + [dynamic, ours]
    found = engine.holders(NAME, asked)
    docker("rm", "-f", f"{NAME}-runs", f"{NAME}-waits", f"{NAME}-any")
    assert found == {
        f"{subnet}.90": f"{NAME}-runs",
        f"{subnet}.91": f"{NAME}-waits",
        dynamic: f"{NAME}-any",
    }
    assert int(dynamic.split(".")[3]) >= 128
    assert engine.holders(NAME, asked) == {}


def test_services_are_told_by_the_addresses_that_their_containers_have(
    engine: DockerEngine, spec: ReplicaSpec, running: str
) -> None:
    """Running or stopped; nobody else's."""
    ours, key = seen(engine, running).address, dict(spec.labels)["stackswap.service"]
    assert engine.tenants(NAME)[ours] == key
    engine.stop(running, 0)
    assert engine.tenants(NAME)[ours] == key
    assert set(engine.tenants(NAME).values()) == {key}


def test_the_engine_tells_what_it_is(engine: HostEngine) -> None:
    """As the docker command does."""
    info = engine.info()
    wanted = "{{.ServerVersion}} {{.DockerRootDir}} {{.Driver}} {{.LiveRestoreEnabled}}"
    told = f"{info.version} {info.root} {info.storage} {str(info.live_restore).lower()}"
    assert told == docker("info", f"--format={wanted}")
    assert tuple(map(int, info.api.split("."))) >= (1, 41)


# -- fetching


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry on this machine that holds the small image, or answers as it is told."""
    with Registry() as one:
        yield one


def test_an_image_is_fetched_by_tag_and_by_digest(engine: HostEngine, registry: Registry) -> None:
    """Its repository digest names it."""
    digest = registry.hold("shop", images.busybox())
    found = engine.pull(f"{registry.address}/shop:1")
    assert f"{registry.address}/shop@{digest}" in found.digests
    assert engine.image(f"{registry.address}/shop@{digest}") == found
    docker("rmi", f"{registry.address}/shop:1")
    assert engine.pull(f"{registry.address}/shop@{digest}").id == found.id
    docker("rmi", f"{registry.address}/shop@{digest}")


def test_credentials_go_to_the_registry(engine: HostEngine, registry: Registry) -> None:
    """Wrong ones are denied, and are not in the message."""
    registry.hold("shop", images.busybox())
    registry.login = ("ci", "s3cret")
    for auth in (None, {"username": "ci", "password": "wr0ng"}):
        with pytest.raises(PullDenied, match="check the login") as told:
            engine.pull(f"{registry.address}/shop:1", auth)
        assert "wr0ng" not in str(told.value)
    assert engine.pull(f"{registry.address}/shop:1", {"username": "ci", "password": "s3cret"})
    docker("rmi", f"{registry.address}/shop:1")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "MANIFEST_UNKNOWN", PullNotFound),
        (404, "NAME_UNKNOWN", PullNotFound),
        (403, "DENIED", PullDenied),
        (429, "TOOMANYREQUESTS", PullLimited),
    ],
)
def test_what_the_registry_refuses_is_told_apart(
    engine: DockerEngine, registry: Registry, status: int, code: str, error: type
) -> None:
    """Each asks for something else from people."""
    registry.refuse(status, code)
    with pytest.raises(error, match=f"{registry.address}/shop:9"):
        engine.pull(f"{registry.address}/shop:9")


def test_a_registry_that_is_not_reached_is_the_network(engine: HostEngine) -> None:
    """Nobody listens there, and nobody has the name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for address in (f"127.0.0.1:{port}", "registry.invalid"):
        with pytest.raises(PullNoNetwork):
            engine.pull(f"{address}/shop:1")


# -- no engine


def test_nobody_at_the_socket(tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(EngineUnreachable, match="is Docker installed and running") as told:
        DockerEngine(f"unix://{tmp_path}/none.sock")
    assert told.value.cause == "engine_unreachable"


def test_an_engine_that_stops_answering(tmp_path: Path) -> None:
    """In the middle of a session."""
    with Registry.socket(tmp_path / "engine.sock", api="1.45") as path:
        engine = DockerEngine(f"unix://{path}", timeout=1)
    with pytest.raises(EngineUnreachable, match="stopped answering: could not list"):
        engine.replicas(SERVICE)


def test_an_engine_that_is_too_old(tmp_path: Path) -> None:
    """Its API and the oldest that will do."""
    with (
        Registry.socket(tmp_path / "engine.sock", api="1.40") as path,
        pytest.raises(EngineTooOld, match=r"speaks API 1\.40: stackswap needs 1\.41"),
    ):
        DockerEngine(f"unix://{path}")


def test_a_user_who_may_not(tmp_path: Path) -> None:
    """In a process that has left root."""
    child = os.fork()
    if not child:
        try:
            DockerEngine()  # the library is imported while that is allowed
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            DockerEngine()
        except EnginePermission as error:
            os._exit(0 if "docker group" in str(error) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_the_library_the_file_is_imported_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where docker is missing, and where something else has its name."""
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(EngineMissing, match="python3-docker"):
        DockerEngine()
    monkeypatch.delitem(sys.modules, "docker")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineMissing, match="not Docker's"):
        DockerEngine()
    monkeypatch.delitem(sys.modules, "docker")


def test_importing_the_file_does_not_import_the_library() -> None:
    """It costs nothing where it is not used."""
    module = DockerEngine.__module__
    code = f"import sys, {module}; sys.exit('docker' in sys.modules or 'requests' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == 0
