"""stackswap init: an ops repository that is good as it is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from stackswap.cli import main
from stackswap.spec import parse

INVENTORY = "ops/inventories/production"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_an_inventory_that_ansible_and_the_collection_read(capsys: pytest.CaptureFixture[str]) -> None:
    """One server in the stack, one service that parses; what to type next stands below."""
    assert main(["init", "ops"]) == 0
    assert capsys.readouterr().out.endswith(f"\n  stackswap setup -i {INVENTORY}\n")
    tool = Path(sys.executable).with_name("ansible-inventory")
    told = json.loads(subprocess.run([tool, "-i", INVENTORY, "--list"], check=True, capture_output=True).stdout)
    assert told["stackswap"]["children"] == ["web"] and told["web"]["hosts"] == ["web1"]
    given = yaml.safe_load(Path(INVENTORY, "group_vars/all/services.yml").read_text())
    (name,) = given["stackswap_services"]
    definition = services.parse(name, given["stackswap_services"], given["stackswap_environment"])
    assert definition.service.key == "production.shop"


def test_its_readme_names_only_commands_that_there_are() -> None:
    """Each of them is parsed as it stands."""
    main(["init", "ops"])
    lines = Path("ops/README.md").read_text().splitlines()
    commands = [line.partition("#")[0].split() for line in lines if line.startswith("stackswap ")]
    assert len(commands) == 6
    for command in commands:
        assert parse(command[1:]).options[:2] == ("-i", "inventories/production")


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    """Not one of the files, and the others are not written then either."""
    Path("ops").mkdir()
    Path("ops/README.md").write_text("mine")
    assert main(["init", "ops"]) == 2
    assert "ops/README.md would be overwritten" in capsys.readouterr().err
    assert [path.name for path in Path("ops").iterdir()] == ["README.md"]
    assert Path("ops/README.md").read_text() == "mine"


def test_without_a_folder_it_is_this_one() -> None:
    """A repository that was made already."""
    assert main(["init"]) == 0
    assert Path(".gitignore").exists() and Path("inventories/production/hosts.yml").exists()
