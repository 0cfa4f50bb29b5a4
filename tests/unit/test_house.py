"""The house's measures: files and functions stay short, tables of contents too, one version."""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.stackswap.bluegreen.plugins.action import preflight
from tests.unit.test_imports import (
    COLLECTION,
    PLUGINS,
    WRAPPER,
    files,
)

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
LONGEST_README = 150
MOST_TASKS = 8
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
SILENT |= {tokenize.ENCODING, tokenize.ENDMARKER}

OURS = [*files(PLUGINS), *files(WRAPPER)]


def code_lines(source: str) -> set[int]:
    """The lines that hold code: no blank ones, comments or documentation."""
    texts = {line for node in ast.walk(ast.parse(source)) for line in documentation(node)}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    spans = (range(t.start[0], t.end[0] + 1) for t in tokens if t.type not in SILENT)
    return {line for span in spans for line in span} - texts


def documentation(node: ast.AST) -> range:
    """The lines of a docstring, or of Ansible's DOCUMENTATION, EXAMPLES and RETURN."""
    value = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        named = isinstance(node, ast.Expr) or ast.unparse(node.targets[0]).isupper()
        if named and value.end_lineno:
            return range(node.lineno, value.end_lineno + 1)
    return range(0)


def functions(source: str) -> list[tuple[str, int]]:
    """Each function with its lines of code, its signature left out."""
    lines = code_lines(source)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    bodies = [(f.name, range(f.body[0].lineno, (f.end_lineno or f.lineno) + 1)) for f in found]
    return [(name, len(lines.intersection(body))) for name, body in bodies]


def test_files_are_short() -> None:
    """No file has 300 lines of code."""
    sizes = {path.relative_to(ROOT): len(code_lines(path.read_text())) for path in OURS}
    assert not {str(path): size for path, size in sizes.items() if size >= LONGEST_FILE}


def test_functions_are_short() -> None:
    """No function has more than 40 lines of code."""
    sizes = [(path, *found) for path in OURS for found in functions(path.read_text())]
    long = [f"{p.relative_to(ROOT)}: {name}: {size}" for p, name, size in sizes if size > LONGEST_FUNCTION]
    assert not long


def test_lines_are_counted_without_documentation() -> None:
    """Docstrings, comments, blank lines and Ansible's documentation are not code."""
    source = 'DOCUMENTATION = r"""\na: b\n"""\n\n# why\n'
    source += 'def f(\n    a,\n):\n    """What."""\n    b = 1\n    return b\n'
    assert len(code_lines(source)) == 5
    assert functions(source) == [("f", 2)]


def test_wheel_and_collection_have_one_version() -> None:
    """The installed package, galaxy.yml and the wheel's source of its version agree."""
    galaxy = yaml.safe_load((ROOT / "collection" / "galaxy.yml").read_text())
    assert f"{galaxy['namespace']}.{galaxy['name']}" == COLLECTION.removeprefix("ansible_collections.")
    assert re.fullmatch(r"\d+\.\d+\.\d+", galaxy["version"])
    assert galaxy["version"] == metadata.version("stackswap"), "make venv again"


def test_the_roles_tables_of_contents_are_short() -> None:
    """No file of tasks has more of them than one takes in at a glance."""
    tasks = (ROOT / "collection" / "roles" / "stackswap" / "tasks").glob("*.yml")
    counts = {path.name: len(yaml.safe_load(path.read_text())) for path in tasks}
    assert len(counts) > 10
    assert not {name: count for name, count in counts.items() if count > MOST_TASKS}


def test_what_the_role_sets_itself_is_not_taken_for_a_users_variable() -> None:
    """Preflight refuses variables that it does not know; one play may have it read them again."""
    tasks = (ROOT / "collection" / "roles" / "stackswap" / "tasks").glob("*.yml")
    own = {
        name for path in tasks for name in _set_in(yaml.safe_load(path.read_text())) if name.startswith("stackswap_")
    }
    assert len(own) > 30
    assert own == preflight.OWN, own ^ preflight.OWN


def _set_in(told: Any) -> Iterator[str]:
    """The variables that tasks register, set and loop over, and those of blocks and imports: other tasks meet them."""
    if isinstance(told, list):
        yield from (name for one in told for name in _set_in(one))
    elif isinstance(told, dict):
        yield from [told["register"]] if "register" in told else []
        yield from [told["loop_control"]["loop_var"]] if "loop_var" in told.get("loop_control", {}) else []
        yield from told.get("ansible.builtin.set_fact", {})
        yield from told.get("vars", {}) if {"block", "ansible.builtin.import_tasks"} & set(told) else {}
        yield from (name for one in told.values() for name in _set_in(one))


def test_every_plugin_names_its_license() -> None:
    """Each file under plugins has the lines that Ansible's own checks want in modules."""
    wanted = ("GNU General Public License v3.0+", "SPDX-License-Identifier: GPL-3.0-or-later")
    heads = {path: path.read_text()[:600] for path in files(PLUGINS) if path.stat().st_size}
    bare = [str(p.relative_to(ROOT)) for p, head in heads.items() if not all(w in head for w in wanted)]
    assert not bare


def test_what_takes_secrets_reads_them_from_a_pipe() -> None:
    """Ansible would else write a module's options to the disks of both sides for a moment."""
    secretive = [path.name for path in (PLUGINS / "modules").glob("*.py") if '"no_log": True' in path.read_text()]
    actions = {name: (PLUGINS / "action" / name).read_text() for name in secretive}
    assert len(actions) > 2
    assert not [name for name, text in actions.items() if "piped(" not in text and "release.ActionModule" not in text]


def test_the_readme_is_short() -> None:
    """What it is and how to begin fit in 150 lines."""
    readme = ROOT / "README.md"
    assert len(readme.read_text().splitlines()) < LONGEST_README


def test_the_collection_needs_no_galaxy() -> None:
    """It depends on no other collection: an Ansible Galaxy out of reach stops nobody."""
    galaxy = yaml.safe_load((ROOT / "collection" / "galaxy.yml").read_text())
    assert galaxy["dependencies"] == {}
    assert not list(ROOT.glob("*requirements.yml")) + list(ROOT.glob("collections/requirements.yml"))


def test_the_playbooks_find_the_collection_by_a_relative_link() -> None:
    """A clone anywhere works as it is, with no configuration."""
    link = ROOT / "playbooks" / "collections" / "ansible_collections" / "stackswap" / "bluegreen"
    assert link.is_symlink()
    assert os.readlink(link) == "../../../../collection"
    assert link.resolve() == ROOT / "collection"
