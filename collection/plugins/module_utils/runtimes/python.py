# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python: dependencies by pip or as the lock file asks; gunicorn or uvicorn serves on port 8080 as www-data."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import (
    CODE_ROOT,
    PORT,
    USER,
    Framework,
    Template,
    Tree,
    apt,
    cache,
    code,
    copy,
    dockerfile,
    environment,
    health,
    procfile,
    run,
    secret,
    version_of,
    words_of,
)

NAME = "python"
MARKS = ("requirements.txt", "pyproject.toml", "Pipfile", "setup.py", "manage.py")
BASE, VERSION = "python:{}-slim", "3.12"
IGNORE = ("**/__pycache__", "**/*.pyc", ".venv", "venv")
# The servers that are installed when the code does not ask for them itself, and the tools that read lock files.
GUNICORN, UVICORN = "gunicorn==27.0.1", "uvicorn==0.54.0"
POETRY, PIPENV, UV = "poetry==2.5.1 poetry-plugin-export==1.10.1", "pipenv==2026.10.3", "uv==0.13.8"
PIP = "pip install --root-user-action=ignore"
DOWNLOADS = cache("/root/.cache/pip")
SECRETS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
LIST = "/tmp/requirements.txt"
DEPENDENCIES = (
    "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; "
    "print(*project.get('dependencies', []), sep=chr(10))"
)
# What packages without a ready-made wheel need to be compiled.
COMPILED = {
    "psycopg2": ("gcc", "libc6-dev", "libpq-dev"),
    "mysqlclient": ("gcc", "libc6-dev", "pkg-config", "default-libmysqlclient-dev"),
    "python-ldap": ("gcc", "libc6-dev", "libldap2-dev", "libsasl2-dev"),
    "uwsgi": ("gcc", "libc6-dev"),
}
DJANGO = Framework("Django")
DJANGO_MEDIA = replace(DJANGO, persistent=("media",))  # only where settings have it: a folder that is kept needs /data
OTHERS = {"FastAPI": "fastapi", "Starlette": "starlette", "Quart": "quart", "Flask": "flask", "Bottle": "bottle"}
ASYNC = ("FastAPI", "Starlette", "Quart")
CHECK = (
    "import http.client, os; "
    "asked = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT', '8080')), timeout=4); "
    "asked.request('GET', '/'); raise SystemExit(asked.getresponse().status >= 500)"
)


@dataclass(frozen=True)
class Needs:
    """The files that say what is needed, the commands that install it, those after the code, and what is told."""

    files: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Start:
    """How the application is started, and what serves it."""

    words: tuple[str, ...] = ()
    framework: Framework | None = None
    server: str = GUNICORN


def template(tree: Tree) -> Template:
    """The Dockerfile of a Python application."""
    start, needs = start_of(tree), needs_of(tree)
    served = f"{{ command -v {start.server.partition('==')[0]} >/dev/null || {PIP} {start.server}; }}"
    asked = "\n".join(map(tree.text, (*needs.files, *MARKS[:4])))
    compiled = sorted({package for name in COMPILED if names(asked, name) for package in COMPILED[name]})
    wanted = tree.text(".python-version") or tree.text("runtime.txt")
    text = dockerfile(
        "FROM " + BASE.format(version_of(wanted, r"(?:^|python-)(3\.\d+)", VERSION)),
        environment({"PYTHONUNBUFFERED": "1", "PORT": str(PORT), "FORWARDED_ALLOW_IPS": "*"}),
        f"WORKDIR {CODE_ROOT}",
        run(apt(compiled)) if compiled else "",
        *copy(needs.files),
        _install(*needs.before, "" if needs.after else served),
        code(),
        _install(*needs.after, served if needs.after else ""),
        f"USER {USER}",
        f"EXPOSE {PORT}",
        health("python", "-c", CHECK),
        "CMD " + json.dumps(start.words) if start.words else "",
    )
    return Template(text, IGNORE, start.framework, " ".join(start.words), needs.notes)


def _install(*commands: str) -> str:
    mounts, load = secret(*SECRETS)
    given = [command for command in commands if command]
    return run(*load, *given, mounts=(DOWNLOADS, *mounts)) if given else ""


def names(text: str, package: str) -> bool:
    """Whether a text of requirements names a package."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(package)}(?![\w.-]*[\w-])(?!-)", text, re.IGNORECASE))


def needs_of(tree: Tree) -> Needs:
    """What is installed and by which tool; the lock file decides where there is one."""
    for mark, ways in (("poetry.lock", _poetry), ("uv.lock", _uv), ("Pipfile", _pipenv)):
        if tree.has(mark):
            return ways(tree)
    if tree.has("requirements.txt"):
        return _requirements(tree)
    if tree.has("pyproject.toml"):
        return _project(tree)
    if tree.has("setup.py"):
        note = "setup.py cannot tell what it needs without the code: it is installed anew when the code changes"
        return Needs(after=(f"{PIP} .",), notes=(note,))
    return Needs()


def _requirements(tree: Tree) -> Needs:
    install = f"{PIP} -r requirements.txt"
    found, local = ["requirements.txt"], False
    for path in found:
        text, folder = tree.text(path), path.rpartition("/")[0]
        also = re.findall(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]*([^\s#]+)", text, re.MULTILINE)
        places = [f"{folder}/{name}" if folder else name for name in also]
        found += [place for place in places if tree.has(place) and place not in found]
        local |= bool(re.search(r"^\s*(?:(?:-e|--editable)[ =]*)?(?:\.{1,2}(?:[/\[\s]|$)|file:)", text, re.MULTILINE))
    if not local:
        return Needs(tuple(found), (install,))
    note = "requirements.txt names a folder of the code: all is installed anew when the code changes"
    return Needs(after=(install,), notes=(note,))


def _poetry(tree: Tree) -> Needs:
    export = f"poetry export --only main --without-hashes --format requirements.txt --output {LIST}"
    return _exported(("pyproject.toml", "poetry.lock"), POETRY, export, _own_package(tree))


def _uv(tree: Tree) -> Needs:
    export = f"uv export --frozen --no-dev --no-emit-project --no-hashes --output-file {LIST} --quiet"
    return _exported(("pyproject.toml", "uv.lock"), UV, export, _own_package(tree))


def _pipenv(tree: Tree) -> Needs:
    if tree.has("Pipfile.lock"):
        return _exported(("Pipfile", "Pipfile.lock"), PIPENV, f"pipenv requirements > {LIST}")
    note = "there is no Pipfile.lock: the newest fitting packages are installed"
    return replace(_exported(("Pipfile",), PIPENV, f"pipenv lock && pipenv requirements > {LIST}"), notes=(note,))


def _exported(files: tuple[str, ...], tool: str, export: str, after: tuple[str, ...] = ()) -> Needs:
    """What a tool has locked, installed by pip: the tool stays in an environment of its own, which goes again."""
    away = "/tmp/tool"
    made = f"python -m venv {away} && {away}/bin/{PIP} {tool}"
    return Needs(
        files, (f"{made} && export PATH={away}/bin:$PATH && {export} && rm -rf {away}", f"{PIP} -r {LIST}"), after
    )


def _project(tree: Tree) -> Needs:
    if not re.search(r"^\[project\]", tree.text("pyproject.toml"), re.MULTILINE):
        return Needs(after=_own_package(tree, ""))
    listed = f'python -c "{DEPENDENCIES}" > {LIST}'
    return Needs(("pyproject.toml",), (listed, f"{PIP} -r {LIST}"), _own_package(tree))


def _own_package(tree: Tree, how: str = "--no-deps") -> tuple[str, ...]:
    """The command that installs the code itself, where it can be built as a package."""
    buildable = re.search(r"^\[build-system\]", tree.text("pyproject.toml"), re.MULTILINE)
    application = re.search(r"^package-mode\s*=\s*false", tree.text("pyproject.toml"), re.MULTILINE)
    return (f"{PIP} {how} .".replace("  ", " "),) if buildable and not application else ()


def start_of(tree: Tree) -> Start:
    """How the application is started: as its Procfile says, as its framework does, or as a file of it tells."""
    line, django = procfile(tree), _django(tree) if tree.has("manage.py") else None
    if line:
        words = words_of(line)
        return Start(words, django, UVICORN if "uvicorn" in line else GUNICORN)
    if django:
        return Start(_gunicorn(_wsgi(tree)), django)
    for name in ("wsgi", "asgi", "app", "main", "application", "server"):
        start = _module(name, tree.text(f"{name}.py"))
        if start:
            return start
    return Start()


def _settings(tree: Tree) -> list[str]:
    """The module of a Django project's settings, in parts."""
    text = tree.text("manage.py")
    return version_of(text, r"""DJANGO_SETTINGS_MODULE["'],\s*["']([\w.]+)["']""", "config.settings").split(".")


def _django(tree: Tree) -> Framework:
    """Django, with the folder of its media if the settings speak of one."""
    path = "/".join(_settings(tree))
    texts = (f"{path}.py", f"{path}/__init__.py", f"{path}/base.py", f"{path.rpartition('/')[0]}/base.py")
    return DJANGO_MEDIA if any("MEDIA_ROOT" in tree.text(text) for text in texts) else DJANGO


def _wsgi(tree: Tree) -> str:
    """The module of a Django project with its WSGI application, beside its settings."""
    settings = _settings(tree)
    places = [settings[:length] for length in range(len(settings) - 1, 0, -1)]
    fits = next((place for place in places if tree.has("/".join([*place, "wsgi.py"]))), settings[:-1])
    return ".".join([*fits, "wsgi"])


def _module(name: str, text: str) -> Start | None:
    """How a module is served that has an application of a kind that is known."""
    kind = next((kind for kind, word in OTHERS.items() if re.search(rf"\b{word}\b", text, re.IGNORECASE)), "")
    found = re.search(r"^(app|application)\s*(?::[^=\n]+)?=", text, re.MULTILINE)
    factory = re.search(r"^def create_app\(", text, re.MULTILINE)
    if not (found or factory) or not (kind or factory or name in ("wsgi", "asgi")):
        return None
    target = f"{name}:{found.group(1) if found else 'create_app()'}"
    framework = Framework(kind) if kind else None
    if kind in ASYNC or name == "asgi":
        target, how = (target, ()) if found else (f"{name}:create_app", ("--factory",))
        return Start(("uvicorn", "--host", "0.0.0.0", "--port", str(PORT), *how, target), framework, UVICORN)
    return Start(_gunicorn(target), framework)


def _gunicorn(target: str) -> tuple[str, ...]:
    """gunicorn listens on the port that the variable PORT has."""
    return ("gunicorn", "--worker-tmp-dir", "/dev/shm", target)
