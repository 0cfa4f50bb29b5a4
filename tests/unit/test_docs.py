"""What the documentation shows is what the code reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from ansible_collections.stackswap.bluegreen.plugins.module_utils import callbacks, options, service, source
from ansible_collections.stackswap.bluegreen.plugins.module_utils.barrier import BARRING
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Container, Health, Release, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "collection" / "README.md", *sorted((ROOT / "collection" / "docs").glob("*.md"))]
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


class Loader(yaml.SafeLoader):
    """Ansible's tags are text here."""


Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def blocks() -> Iterator[Any]:
    """Every YAML block of every page, by page and line."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text[: found.start()].count("\n") + 1
            yield pytest.param(yaml.load(dedent(found[2]), Loader), id=f"{page.parent.name}/{page.name}:{line}")


@pytest.mark.parametrize("shown", list(blocks()))
def test_every_inventory_shown_is_read(shown: Any) -> None:
    """Services and variables by our own check; what is below a service's key alone as part of one."""
    if not isinstance(shown, dict):
        return
    variables = {name: value for name, value in shown.items() if name in VARIABLES}
    service.parse_variables(variables)
    for name, given in shown.get("stackswap_services", {}).items():
        whole = {"image": "shop", **given}
        service.parse(name, {name: whole}, shown.get("stackswap_environment", {"name": "production"}))
    part = {name: value for name, value in shown.items() if name in options.OPTIONS}
    if part:
        service.parse("shop", {"shop": {"image": "shop", **part}}, {"name": "production"})


def test_the_readme_is_short() -> None:
    """Under 150 lines."""
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_lead_somewhere(page: Path) -> None:
    """Relative ones, to files that are there."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


# -- the page about callbacks, held to the code

CALLBACKS = (ROOT / "collection" / "docs" / "callbacks.md").read_text(encoding="utf-8")
SHOP, TOLD = Service("production", "shop"), callbacks.Told("1.0", "live", "http://192.0.2.1", "word")
RUN = callbacks.Callback("verify", 60.0, callbacks.ABORT)
RELEASE = Release("production/shop", "1.1", "sha256:1", Container("image"), 8080, Health())


def column(row: str) -> list[str]:
    """The cells of a row of the great table, by the name in its first cell."""
    found = next(line for line in CALLBACKS.splitlines() if line.startswith((f"| **{row}**", row)))
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_the_table_has_a_column_for_every_script_and_the_times_of_the_code() -> None:
    """Of those that run in a container of their own: the time, and who may say another."""
    scripts = [cell.strip("`") for cell in column("| | `build.sh`")]
    assert scripts == [f"{name}.sh" for name in source.SCRIPTS]
    times = dict(zip(source.SCRIPTS, column("time"), strict=True))
    for name, moment in callbacks.MOMENTS.items():
        assert times[name] == f"{moment.timeout:g} s, `timeout`"
    fails = dict(zip(source.SCRIPTS, column("if it fails"), strict=True))
    assert [name for name, moment in callbacks.MOMENTS.items() if moment.on_error == callbacks.WARN] == ["after"]
    assert fails["after"] == "told, nothing else"


def test_the_variables_and_the_file_of_a_callback_are_those_of_the_code() -> None:
    """Each by its name, and no other."""
    part = CALLBACKS.partition("## What the three of a job are given")[2].partition("\n## ")[0]
    variables, _, keys = part.partition("In that file")
    given = callbacks.environment(RUN, callbacks.Calling(), RELEASE, TOLD)
    first = [line.split("|")[1] for line in variables.splitlines() if line.startswith("| `STACKSWAP_")]
    assert set(re.findall(r"`(STACKSWAP_\w+)`", "".join(first))) == set(given)
    written = json.loads(callbacks.context(RUN, callbacks.Calling(), SHOP, RELEASE, TOLD))
    listed = [line.split("|")[1] for line in keys.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", "".join(listed))) == set(written)
    assert callbacks.PREVIEW_HEADER in keys and set(written["preview"]) == {"header", "value"}


def test_the_words_for_migrations_are_those_of_the_code() -> None:
    """What bars the way back, and what does not."""
    part = CALLBACKS.partition("## When data changes")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in part.splitlines() if line.startswith("| `") and "migrations:" not in line]
    refused = {word for row in rows if "refused" in row[3] for word in re.findall(r"`(\w+)`", row[1])}
    assert refused == set(BARRING)
    known = {word for row in rows for word in re.findall(r"`(\w+)`", row[1])}
    assert known == set(options.OPTIONS["migrations"].choices)
