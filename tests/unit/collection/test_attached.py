"""What an application is told of its attached services, and what is refused about them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.attached import Told, told
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import Definition

PASSWORD = "hunter2hunter2"
DATABASE = {"host": "db.test", "user": "shop", "password": PASSWORD, "database": "shop", "prefix": "s_"}
TOLD: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = {
    "mysql": (
        DATABASE,
        {"HOST": "db.test", "PORT": "3306", "USER": "shop", "DATABASE_NAME": "shop", "DATABASE_PREFIX": "s_"},
        {"PASSWORD": PASSWORD},
    ),
    "postgresql": (
        {**DATABASE, "port": 6432},
        {"HOST": "db.test", "PORT": "6432", "USER": "shop", "DATABASE_NAME": "shop", "DATABASE_PREFIX": "s_"},
        {"PASSWORD": PASSWORD},
    ),
    "redis": ({"host": "a", "password": PASSWORD}, {"HOST": "a", "PORT": "6379"}, {"PASSWORD": PASSWORD}),
    "es": ({"host": "es.test"}, {"HOST": "es.test", "PORT": "9200"}, {}),
}  # fmt: skip


def named(kind: str, short: dict[str, str]) -> dict[str, str]:
    """The names as the platform has them."""
    return {f"ARTIFAKT_{kind.upper()}_{name}": text for name, text in short.items()}


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("name", ["", "main"])
def test_each_kind_has_its_variables_and_its_port(kind: str, name: str) -> None:
    """One that is named as its kind need not say it; a password is a secret."""
    given, env, secrets = TOLD[kind]
    known = {name: {**given, "kind": kind}} if name else {kind: given}
    assert told([name or kind], known) == Told(named(kind, env), named(kind, secrets))


REFUSED: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "unknown": (["mysqll"], {"mysql": DATABASE}, r"shop\.attach\[0\] mysqll is not .* did you mean mysql\?"),
    "none at all": (["db"], {}, r"shop\.attach\[0\] db is not a known attached service: stackswap_attached has none"),
    "no kind": (["db"], {"db": {"host": "a"}}, r"stackswap_attached\.db\.kind is missing: name one of mysql, postg"),
    "no host": (["mysql"], {"mysql": {"user": "a"}}, r"stackswap_attached\.mysql\.host is missing"),
    "two of a kind": (
        ["mysql", "old"],
        {"mysql": DATABASE, "old": {"kind": "mysql", "host": "a"}},
        r"shop\.attach has mysql and old, both of kind mysql",
    ),
    "not of this kind": (["es"], {"es": {"host": "a", "user": "u"}}, r"stackswap_attached\.es\.user is not an option"),
    "misspelt": (["es"], {"es": {"hots": "a"}}, r"stackswap_attached\.es\.hots is not known: did you mean host\?"),
    "another's fault": ([], {"es": {"port": "x"}}, r"stackswap_attached\.es\.port must be a whole number"),
    "no text": (["redis"], {"redis": {"host": "a", "password": 1}}, r"redis\.password must be text, not a number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_told_is_refused_by_its_path(case: str) -> None:
    """And no password is told in the refusal."""
    attach, known, sentence = REFUSED[case]
    with pytest.raises(BadInput, match=sentence) as refused:
        equipped({"attach": attach}, None, known)
    assert PASSWORD not in str(refused.value)


# -- laid into a service


def equipped(given: dict[str, Any], job: Any = None, known: Any = None, env: Any = None) -> Definition:
    """The shop of an environment with these variables, with what a job adds."""
    environment = {"name": "production", "env": env}
    return service.equipped(service.parse("shop", {"shop": {"image": "shop", **given}}, environment), job, known)


def test_a_password_goes_the_way_of_secrets() -> None:
    """It is in no identity, manifest or text, and another one is another candidate."""
    made = equipped({"attach": ["mysql"]}, None, {"mysql": DATABASE}).container
    assert dict(made.secrets) == made.sealed == {"ARTIFAKT_MYSQL_PASSWORD": PASSWORD}
    assert PASSWORD not in repr(made) + str(made.canonical())
    assert dict(made.env)["ARTIFAKT_MYSQL_HOST"] == "db.test"


def test_only_what_the_service_names_is_told() -> None:
    """Others' passwords are not its affair."""
    made = equipped({"attach": ["redis"]}, None, {"redis": {"host": "a"}, "mysql": DATABASE}).container
    assert dict(made.env) == {"ARTIFAKT_REDIS_HOST": "a", "ARTIFAKT_REDIS_PORT": "6379"}
    assert not made.secrets


@pytest.mark.parametrize("own", ["env", "secrets", "environment", "job"])
def test_a_services_own_word_wins_over_what_is_attached(own: str) -> None:
    """The platform tells what nobody else has said."""
    word = {"ARTIFAKT_MYSQL_PASSWORD": "own"}
    given = {"attach": ["mysql"], **({own: word} if own in ("env", "secrets") else {})}
    job, env = (word if own == place else None for place in ("job", "environment"))
    made = equipped(given, job, {"mysql": DATABASE}, env).container
    told_openly, secret = word.items() <= dict(made.env).items(), dict(made.secrets) == word
    assert (told_openly, secret) == (own != "secrets", own == "secrets")


def test_each_level_of_variables_wins_over_the_one_before() -> None:
    """Service, environment, job."""
    env = {"A": "service", "B": "service", "C": "service"}
    made = equipped({"env": env}, {"C": "job", "D": "job"}, env={"B": "environment", "C": "environment"}).container
    assert dict(made.env) == {"A": "service", "B": "environment", "C": "job", "D": "job"}


@pytest.mark.parametrize("job", [None, "", {}, {"A": ""}])
def test_a_job_without_variables_changes_nothing(job: Any) -> None:
    """A survey sends an empty text for what was left open."""
    assert equipped({"env": {"A": "1"}}, job).container.env == (("A", "1"),)


def test_a_jobs_variables_make_another_release() -> None:
    """Told to the containers, they are part of what they are."""
    image = service.Image("sha256:" + "a" * 64)
    ids = {service.release_of(equipped({}, job), "1", image, image.id).id for job in (None, {"A": "1"}, {"A": "2"})}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("place", "given", "job", "env"),
    [
        ("env", {"env": {"KEY": "open"}}, None, None),
        (r"stackswap_environment\.env", {}, None, {"KEY": "open"}),
        ("stackswap_env", {}, {"KEY": "open"}, None),
    ],
)
def test_a_name_stands_among_variables_or_secrets(place: str, given: Any, job: Any, env: Any) -> None:
    """On whatever level: else one of the two would silently not be told."""
    with pytest.raises(BadInput, match=rf"stackswap_services\.shop\.secrets\.KEY is in {place} too"):
        equipped({"secrets": {"KEY": "s"}, **given}, job, None, env)
