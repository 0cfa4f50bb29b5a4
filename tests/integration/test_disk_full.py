"""A small server, for real: its engine has 300 MB for everything, the machine some memory. What serves goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import images
from tests.lab.building import build, context
from tests.lab.engines import Engine
from tests.lab.host import Host, hosts
from tests.lab.registry import Registry

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SMALL = "--mount=type=tmpfs,dst=/var/lib/docker,tmpfs-size=300m"
PAGE = """FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -p /www; echo ok >/www/health; echo page >/www/index.html"]
{more}
CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
"""
SOME = 'RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/some", "bs=1M", "count={size}"]'
GREEDY = 'RUN ["/bin/busybox", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=400"]'

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def server() -> Iterator[Host]:
    """A bare server with a small disk, and the parts of an application on it."""
    with hosts(1, "", SMALL) as (one,):
        one.run("apt-get update -q && apt-get install -qy --no-install-recommends busybox-static curl")
        one.run("mkdir -p /root/app && cp /bin/busybox /root/app/")
        write(one, SOME.format(size=19))
        yield one


def write(server: Host, more: str) -> None:
    """Put the application's Dockerfile there."""
    server.run(f"cat >/root/app/Dockerfile <<'END'\n{PAGE.format(more=more)}\nEND")


@pytest.fixture(scope="module")
def job(server: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A job on the server, which builds for itself."""
    page = {"source": {"path": "/root/app"}, "routes": [{"host": "page.test"}], "bake": 0}
    page["health"] = {"path": "/health", "min_healthy_time": 0}
    told = {"stackswap_environment": {"name": "small"}, "stackswap_services": {"page": page}}
    told["stackswap_engine_source"] = "trixie"
    groups = {name: {"hosts": {"server1": {}}} for name in ("stackswap", "stackswap_builder")}
    known = {"hosts": {"server1": server.hostvars}, "children": groups, "vars": told}
    inventories = {name: tmp_path_factory.mktemp("small") / f"{name}.json" for name in ("small", "large")}
    inventories["small"].write_text(json.dumps({"all": known}))
    known["children"] = {"stackswap": {"hosts": {"server1": {}}}}  # it is built on this machine
    inventories["large"].write_text(json.dumps({"all": known}))

    def run(kind: str, *flags: str, builder: str = "small", **variables: object) -> subprocess.CompletedProcess[str]:
        command = [PLAYBOOK, "-i", inventories[builder], f"playbooks/{kind}.yml", "-e", json.dumps(variables), *flags]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    done = run("setup")
    assert done.returncode == 0, done.stdout[-3000:]
    done = run("build_and_deploy", stackswap_service="page", stackswap_version="1.0")
    assert done.returncode == 0, done.stdout[-3000:]
    return run


def serves(server: Host) -> bool:
    """Whether users get the page."""
    return server.run("curl -s -H 'Host: page.test' http://127.0.0.1/", check=False) == "page"


def test_a_build_that_fills_the_disk_says_so(server: Host, job: Run) -> None:
    """The builder's own words, and what serves goes on."""
    assert serves(server)
    write(server, GREEDY)
    done = job("build_and_deploy", stackswap_service="page", stackswap_version="2.0")
    write(server, "")
    assert done.returncode != 0
    assert "o space left" in done.stdout and "NOT switched" in done.stdout
    assert serves(server)


def test_a_candidate_that_finds_no_room_leaves_the_live_one_alone(server: Host, job: Run) -> None:
    """Nothing is stopped to make room; with room again, the same job ends well."""
    over = {"page": {"env": {"CHANGED": "yes"}}}
    server.run("dd if=/dev/zero of=/var/lib/docker/full bs=1M 2>/dev/null", check=False)
    full = job("deploy", stackswap_service="page", stackswap_overrides=over)
    kept = serves(server)
    server.run("rm /var/lib/docker/full")
    assert full.returncode != 0 and kept
    assert "o space left" in full.stdout and "NOT switched" in full.stdout
    again = job("deploy", stackswap_service="page", stackswap_overrides=over)
    assert again.returncode == 0, again.stdout[-3000:]
    assert serves(server)


LARGE, OLD, NEXT = "stackswap/small-page:9.0", "stackswap/small-page:0.1", ("1.1", "1.2")


@pytest.fixture(scope="module")
def built() -> Iterator[None]:
    """A version on this machine that the server has no room for, and one of long ago that it has never had."""
    build(OLD, context({"Dockerfile": b"FROM base\nLABEL stackswap.built=page\n"}), {"base": images.busybox()})
    file = "FROM base\nRUN dd if=/dev/zero of=/big bs=1M count=400\n"
    build(LARGE, context({"Dockerfile": file.encode()}), {"base": images.busybox()})
    yield
    images.discard([LARGE, OLD], "rmi", "--force")


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What a play said, on one line."""
    return " ".join(done.stdout.split())


def test_an_image_without_room_is_refused_before_a_byte_of_it_travels(server: Host, job: Run, built: None) -> None:
    """With what prune would free, by what the service keeps; a check says the same."""
    for number, version in enumerate(NEXT):
        write(server, SOME.format(size=20 + number))
        done = job("build_and_deploy", stackswap_service="page", stackswap_version=version)
        assert done.returncode == 0, done.stdout[-3000:]
    over = {"stackswap_overrides": {"page": {"keep": 1}}}
    asked = {"builder": "large", "stackswap_service": "page", "stackswap_version": "9.0", **over}
    began = server.run("df --output=used /var/lib/docker | tail -1")
    for flags in ((), ("--check",)):
        done = job("deploy", *flags, **asked)
        said = told(done)
        assert done.returncode != 0 and serves(server), said[-3000:]
        assert "the disk of /var/lib/docker has" in said, said[-3000:]
        assert "stackswap/small-page:9.0 needs 40" in said, "megabytes"
        assert "Users get page 1.2, as before" in said and "Nothing was changed" in said
        assert "stackswap prune page would free 19.0 MB (1 image," in said, said[-3000:]
        assert "stackswap_room: {check: false}" in said and "NOT switched" in said
    assert abs(int(server.run("df --output=used /var/lib/docker | tail -1")) - int(began)) < 1000, "kilobytes"
    unasked = job("deploy", **asked, stackswap_room={"check": False})
    assert unasked.returncode != 0 and "small-page:9.0 needs" not in told(unasked) and serves(server)
    assert "o space left" in told(unasked), told(unasked)[-3000:]


def test_an_image_of_unknown_size_needs_the_floor(server: Host, job: Run) -> None:
    """As one from a registry; with a lower floor it is fetched, and once it is here it needs none."""
    with Registry() as registry, Engine(server, Path()).reaching(int(registry.address.rpartition(":")[2])):
        registry.hold("page", images.busybox())
        name = f"{registry.address}/page"
        over = {"page": {"image": name, "source": None}}
        asked = {"stackswap_service": "page", "stackswap_version": "1", "stackswap_overrides": over}
        done = job("deploy", **asked)
        assert done.returncode != 0 and "needs 1.0 GB, of which nobody knows the size" in told(done)
        assert not server.run(f"docker images -q {name}") and serves(server)
        job("deploy", **asked, stackswap_room={"disk": "1m"})
        assert server.run(f"docker images -q {name}") and serves(server), "it has no page, and never goes live"
        assert "nobody knows the size" not in told(job("deploy", "--check", **asked))


def test_a_limit_beyond_the_memory_is_refused_before_anything_begins(server: Host, job: Run) -> None:
    """Nothing is started beside what serves, and no claim is left; a check says the same, and no is an answer."""
    over, stand = {"page": {"container": {"memory": "4t"}}}, "docker ps -aq --filter label=stackswap.service=small.page"
    before = server.run(stand)
    for flags in ((), ("--check",)):
        done = job("deploy", *flags, stackswap_service="page", stackswap_overrides=over)
        assert done.returncode != 0 and serves(server)
        assert "of memory are available on this server, and page may use 4096.0 GB" in told(done)
        assert "users get page 1.2, as before" in told(done) and "lower container.memory or replicas" in told(done)
    assert before and server.run(stand) == before
    assert '"claim": null' in server.run("cat /var/lib/stackswap/services/small/page/record.json")
    off = {"check": False}
    done = job("deploy", "--check", stackswap_service="page", stackswap_overrides=over, stackswap_room=off)
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_builder_of_its_own_is_pruned_of_what_no_server_keeps(server: Host, job: Run, built: None) -> None:
    """An old build of the service goes from this machine, and nothing that no build has labelled; a check says so."""
    asked = {"builder": "large", "stackswap_service": "page"}
    for flags, verb, stays in (((), "removed", [LARGE]), (("--check",), "would remove", [OLD, LARGE]))[::-1]:
        done = job("prune", *flags, **asked)
        assert done.returncode == 0, done.stdout[-3000:]
        assert f"page on builder localhost: {verb} 1 image" in done.stdout
        assert [name for name in (OLD, LARGE) if images.exists(name)] == stays
    assert serves(server) and "on builder localhost: nothing to prune" in job("prune", **asked).stdout
