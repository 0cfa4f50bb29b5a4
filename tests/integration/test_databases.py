"""Real databases as backing services: who is attached to one finds what was written, whatever has come meanwhile."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.test_roles import PLACE, SHOP, Plays, asked, this_machine
from tests.lab import databases
from tests.lab.building import docker
from tests.lab.stack import free_port

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PASSWORD = "it's a $ecret"
TOLD = {"user": "shop", "password": PASSWORD, "database": "shop"}
POSTGRESQL = {
    **TOLD,
    "env": {"POSTGRES_USER": "shop", "POSTGRES_DB": "shop", "POSTGRES_PASSWORD_FILE": "/run/secrets/password"},
    "secret_files": {"password": PASSWORD},
    "volumes": [f"{PLACE}-postgresql:/var/lib/postgresql/data"],
    "health": {"command": ["pg_isready", "--username=shop"], "min_healthy_time": 0.5},
}
SHOPDB = {
    **TOLD,
    "kind": "mysql",
    "env": {"MYSQL_DATABASE": "shop", "MYSQL_USER": "shop", "MARIADB_ROOT_PASSWORD_FILE": "/run/secrets/root"},
    "secrets": {"MYSQL_PASSWORD": PASSWORD},
    "secret_files": {"root": "of-root-alone"},
    "volumes": [f"{PLACE}-shopdb:/var/lib/mysql"],
    "health": {"command": ["mysqladmin", "ping"], "min_healthy_time": 0.5},
}
KINDS = {"postgresql": "POSTGRESQL", "shopdb": "MYSQL"}
CLIENTS = {
    "postgresql": 'PGPASSWORD="$PASSWORD" exec psql -qAt -h "$HOST" -p "$PORT" -U "$USER" "$DATABASE_NAME" -c "$1"',
    "shopdb": 'MYSQL_PWD="$PASSWORD" exec mariadb -N -h "$HOST" -P "$PORT" -u "$USER" "$DATABASE_NAME" -e "$1"',
}
FILL = "CREATE TABLE basket (what varchar(9)); INSERT INTO basket VALUES ('full')"
LOOK = "SELECT what FROM basket"
SETTING = {"postgresql": "SHOW max_connections", "shopdb": "SELECT @@max_connections"}
WAIT = {"postgresql": "SELECT pg_sleep(300)", "shopdb": "SELECT sleep(300)"}
FEW = {"postgresql": ["postgres", "-c", "max_connections=33"], "shopdb": ["mariadbd", "--max-connections=33"]}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plays]:
    """A stack of this machine; what the databases have written goes with it."""
    with this_machine(tmp_path_factory.mktemp("databases")) as plays:
        yield plays
    docker("volume", "rm", "--force", *(f"{PLACE}-{name}" for name in ("redis", *KINDS)))


def play(here: Plays, name: str, *words: str, **commands: list[str]) -> tuple[int, str]:
    """A play with both databases, these commands for them, and an application that is attached to both."""
    given: dict[str, dict[str, Any]] = {
        "postgresql": {**POSTGRESQL, "image": databases.server("postgresql")},
        "shopdb": {**SHOPDB, "image": databases.server("mysql")},
    }
    for one, command in commands.items():
        given[one]["command"] = command
    shop = {**SHOP, "image": databases.base(), "command": ["python3", "-m", "http.server", "8080"]}
    services = {"shop": {**shop, "attach": list(given)}}
    extra = {"stackswap_backing": given, "stackswap_services": services}
    code, said = here(name, "-e", json.dumps(extra), *words)
    assert not [word for word in ("$ecret", "of-root-alone") if word in said]
    return code, said


def ask(name: str, sql: str, *flags: str) -> str:
    """What the application's client answers, which knows of the database what the application is told."""
    (live,) = docker("ps", "-q", f"--filter=label=stackswap.service={PLACE}.shop").split()
    parts = ("HOST", "PORT", "USER", "PASSWORD", "DATABASE_NAME")
    script = "; ".join([*(f'{part}="$ARTIFAKT_{KINDS[name]}_{part}"' for part in parts), CLIENTS[name]])
    return docker("exec", *flags, live, "sh", "-c", script, "sh", sql)


def container(name: str) -> tuple[str, str]:
    """The one that runs, and since when."""
    (found,) = docker("ps", "-q", f"--filter=label=stackswap.backing={PLACE}.{name}").split()
    return found, docker("inspect", "--format={{.State.StartedAt}}", found)


def every(of: Any, *words: str) -> dict[str, Any]:
    """This of each database."""
    return {name: of(name, *words) for name in KINDS}


def test_a_deploy_leaves_databases_alone_and_another_setting_leaves_what_is_in_them(here: Plays) -> None:
    """The first start fills the volume, by its own variables and files; a later one takes it as it was left.

    Clients that are connected do not keep them from ending in order.
    """
    code, said = play(here, "backing.yml")
    assert code == 0, said
    first = every(container)
    code, said = play(here, "deploy.yml", *asked("shop", "1.0.0"))
    assert code == 0 and every(container) == first, said
    every(ask, FILL)
    for name in KINDS:
        ask(name, WAIT[name], "--detach")
    code, said = play(here, "backing.yml", **FEW)
    assert code == 0 and not {*every(container).values()} & {*first.values()}, said
    assert every(ask, LOOK) == dict.fromkeys(KINDS, "full")
    assert {name: ask(name, SETTING[name]) for name in KINDS} == dict.fromkeys(KINDS, "33")
    told = {name: docker("logs", container(name)[0], errors=True) for name in KINDS}
    assert "database system was shut down at" in told["postgresql"] and "recovery" not in told["shopdb"], told


def test_a_database_that_does_not_take_a_setting_runs_as_it_did(here: Plays) -> None:
    """With all that is in it; the job says what the new one has said, and the other one has nothing done to it."""
    before = container("shopdb")
    code, said = play(here, "backing.yml", **{**FEW, "postgresql": ["postgres", "-c", "max_connections=none"]})
    assert code != 0 and 'invalid value for parameter "max_connections": "none"' in said, said
    assert "Now: what ran before runs again, its volumes are as it left them" in said, said
    assert every(ask, LOOK) == dict.fromkeys(KINDS, "full") and container("shopdb") == before


def test_a_database_that_runs_no_more_is_told_by_the_job_and_by_the_next(here: Plays) -> None:
    """What was to be the new one has changed the data, as another version may, to what the one before does not read."""
    spoils = ["sh", "-c", "echo 9 >/var/lib/postgresql/data/PG_VERSION; exit 1"]
    code, said = play(here, "backing.yml", **{**FEW, "postgresql": spoils})
    assert code != 0 and re.search(r"does not come up \(.* not compatible with this version", said), said
    code, said = play(here, "backing.yml", **FEW)
    assert code != 0 and re.search(r"not compatible with this version .* Now: it is left as it is", said), said


def test_a_cache_keeps_what_it_was_told_over_another_setting(here: Plays) -> None:
    """Debian's Redis, its check its own command, its port open at an address of the server."""
    port = free_port()
    serve = f"redis-server --port {port} --bind 0.0.0.0 --protected-mode no --dir /data --appendonly yes".split()
    redis = {"image": databases.server("redis"), "command": serve, "volumes": [f"{PLACE}-redis:/data"]}
    check = {"command": ["redis-cli", "-p", str(port), "ping"], "min_healthy_time": 0.5}
    redis.update(listen="127.0.0.1", port=port, health=check)

    def run(**changed: Any) -> str:
        code, said = here("backing.yml", "-e", json.dumps({"stackswap_backing": {"redis": {**redis, **changed}}}))
        assert code == 0, said
        return said

    def ask(*words: str) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.sendall(" ".join(words).encode() + b"\r\n")
            return link.recv(100).decode().strip()

    assert "redis runs on web1" in run()
    assert ask("SET", "basket", "full") == "+OK" and ask("CONFIG", "GET", "maxmemory").endswith("\r\n0")
    run(command=[*serve, "--maxmemory", "64mb"])
    assert ask("CONFIG", "GET", "maxmemory").endswith("\r\n67108864")
    assert ask("GET", "basket") == "$4\r\nfull", "its data are the volume's"
