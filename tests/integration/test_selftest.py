"""The selftest by its playbook, on a server like a user's: it proves what it should, and leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import selftest
from tests.integration.test_modules import of
from tests.integration.test_roles import LOCAL, Plays
from tests.lab.building import docker
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A server with its proxy."""
    with Stack.made() as made:
        yield made


def test_the_selftest_proves_every_promise_and_leaves_nothing(stack: Stack, tmp_path: Path) -> None:
    """With figures, one line a server; the sample, its route and its records are gone."""
    variables = {"stackswap_environment": {"name": stack.name}, "stackswap_proxy": of(stack)}
    plays = Plays(tmp_path, {"stackswap": {"hosts": {"web1": LOCAL}}}, **variables)
    code, said = plays("selftest.yml", ANSIBLE_SHOW_CUSTOM_STATS="1")
    assert code == 0, said
    assert f"web1: all {len(selftest.CHAPTERS)} promises are kept here, under " in said
    assert all(f'"name": "{chapter.name}"' in said for chapter in selftest.CHAPTERS)
    assert docker("ps", "--all", "--quiet", "--filter", f"label=stackswap.service={stack.name}.selftest") == ""
    left = [str(path) for path in Path(stack.settings.home).rglob("*") if "selftest" in path.name]
    assert [path for path in left if "/locks/" not in path] == [], "a lock's file stays: who waits for it has it open"
