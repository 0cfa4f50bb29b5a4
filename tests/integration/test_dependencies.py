"""Tools that lock what an application needs: each is run in a real build, and what it has locked is in the image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

from tests.lab import bases
from tests.lab.building import docker
from tests.lab.built import Code

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PYTHON, NODE = "python:3.12-slim", "node:24-slim"
APP = "import itsdangerous\napp = print\n"
PROJECT = '[project]\nname = "x"\nversion = "0.1.0"\nrequires-python = ">=3.10"\ndependencies = ["itsdangerous"]\n'
INDEX, FILES = PyPI.simple_url, f"https://{PyPI.file_storage_domain}/packages"  # as lock files name them
PIPFILE = f'[[source]]\nurl = "{INDEX}"\nverify_ssl = true\nname = "pypi"\n\n[packages]\nitsdangerous = "*"\n'
SOURCES = [{"name": "pypi", "url": INDEX, "verify_ssl": True}]
PIPFILE_LOCK = {
    "_meta": {"hash": {"sha256": "0" * 64}, "pipfile-spec": 6, "requires": {}, "sources": SOURCES},
    "default": {"itsdangerous": {"version": "==2.1.2"}},
    "develop": {"flask": {"version": "==3.1.3"}},
}
HASH = f"sha256:{'0' * 64}"
UV_LOCK = f"""version = 1
requires-python = ">=3.10"

[[package]]
name = "itsdangerous"
version = "2.1.2"
source = {{ registry = "{INDEX}" }}
wheels = [
    {{ url = "{FILES}/itsdangerous-2.1.2-py3-none-any.whl", hash = "{HASH}" }},
]

[[package]]
name = "x"
version = "0.1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "itsdangerous" }}]

[package.metadata]
requires-dist = [{{ name = "itsdangerous" }}]
"""
PACKAGE = {
    "name": "x",
    "version": "1.0.0",
    "scripts": {"build": "node -e \"require('is-odd')\"", "start": "node server.js"},
    "dependencies": {"is-number": "7.0.0"},
    "devDependencies": {"is-odd": "3.0.1"},
}
DEVELOPMENT = ("flask", "is-odd", "pipenv", "uv=")
CASES: dict[str, tuple[str, Mapping[str, str], str, str]] = {
    "pipenv": (
        PYTHON,
        {"app.py": APP, "Pipfile": PIPFILE, "Pipfile.lock": json.dumps(PIPFILE_LOCK)},
        "python -m pip list --format=freeze",
        "itsdangerous==2.1.2",
    ),
    "uv": (
        PYTHON,
        {"app.py": APP, "pyproject.toml": PROJECT, "uv.lock": UV_LOCK},
        "python -m pip list --format=freeze",
        "itsdangerous==2.1.2",
    ),
    "npm": (
        NODE,
        {"package.json": json.dumps(PACKAGE), "server.js": "require('is-number')"},
        "ls node_modules",
        "is-number",
    ),
}


@pytest.mark.parametrize(("base", "files", "listing", "locked"), CASES.values(), ids=CASES)
def test_what_a_tool_has_locked_is_what_is_there(
    tmp_path: Path, base: str, files: Mapping[str, str], listing: str, locked: str
) -> None:
    """In that version, without what is for development alone, and without the tool itself."""
    code = Code(tmp_path, bases.contexts([base]))
    code.write(files)
    try:
        code.build()
        found = docker("run", "--rm", "--network=none", "--label=stackswap.test=1", code.tag, *listing.split())
        assert locked in found.split()
        assert not [word for word in DEVELOPMENT if word in found.lower()]
    finally:
        code.remove()
