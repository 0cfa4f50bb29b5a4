"""Which runtime is chosen by what is in the code, and what its Dockerfile says: from trees to texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import folder, project, runtimes
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_detection import built_by
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Tools, Wanted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes import python
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.frameworks import EXTENSIONS, FRAMEWORKS
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import Tree, words_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Code, Source

MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")'
FLASK = "from flask import Flask\napp = Flask(__name__)\n"
EMPTY = ""


def tree(files: Mapping[str, str]) -> Tree:
    """Code with these files, and the folders above them."""
    above = {"/".join(name.split("/")[:end]) for name in files for end in range(1, name.count("/") + 1)}
    return Tree(lambda path: path in files or path in above, lambda path: files.get(path, ""))


def text(files: Mapping[str, str], asked: str | None = None) -> str:
    """The Dockerfile made for these files."""
    return runtimes.of(tree(files).has, tree(files).text, asked).template.text


def composer(*packages: str, **more: object) -> str:
    """A composer.json that requires these."""
    return json.dumps({"require": dict.fromkeys(packages, "*"), **more})


CHOSEN: Mapping[str, tuple[tuple[str, ...], str]] = {
    "requirements": (("requirements.txt",), "python"),
    "pyproject": (("pyproject.toml",), "python"),
    "pipenv": (("Pipfile",), "python"),
    "setup": (("setup.py",), "python"),
    "package.json": (("package.json",), "node"),
    "composer.json": (("composer.json",), "php-apache"),
    "index.php": (("index.php",), "php-apache"),
    "index.php below public": (("public/index.php", "README.md"), "php-apache"),
    "a pool of PHP-FPM": (("php-fpm.conf", "composer.json"), "php-fpm"),
    "index.html alone": (("index.html",), "static"),
    "built files": (("dist/index.html",), "static"),
    "PHP with assets": (("composer.json", "package.json"), "php-apache"),
    "Django with assets": (("manage.py", "package.json"), "python"),
    "Python with assets": (("requirements.txt", "package.json", "index.html"), "python"),
    "a page of Node's": (("package.json", "index.html"), "node"),
    "PHP with a page": (("index.php", "index.html"), "php-apache"),
}


@pytest.mark.parametrize(("names", "runtime"), CHOSEN.values(), ids=CHOSEN)
def test_the_runtime_is_chosen_by_what_is_in_the_code(names: tuple[str, ...], runtime: str) -> None:
    """Several marks: PHP, then Python, then Node, then what is just served."""
    files = {name: "{}" if name.endswith(".json") else EMPTY for name in names}
    chosen = runtimes.choose(tree(files))
    assert chosen and chosen.name == runtime
    assert chosen.mark in names
    assert f"the runtime {runtime}" in chosen.notes[0] and chosen.mark in chosen.notes[0]


def test_the_service_may_name_another() -> None:
    """By its name; whatever is in the code."""
    files = {"composer.json": "{}", "index.html": EMPTY}
    for name in runtimes.RUNTIMES:
        chosen = runtimes.choose(tree(files), name)
        assert chosen and chosen.name == name and "as the service says" in chosen.notes[0]
    with pytest.raises(BadInput, match=r"'ruby' is none of node, php-apache, php-fpm, python, static"):
        runtimes.choose(tree(files), "ruby")


def test_code_that_tells_nothing_is_refused_with_the_names_of_all() -> None:
    """What can be done is said."""
    with pytest.raises(BadInput, match=r"no Dockerfile.*build\.runtime: node, php-apache, php-fpm, python, static"):
        text({"README.md": EMPTY})


STARTS: Mapping[str, tuple[dict[str, str], list[str] | None]] = {
    "Django": (
        {"manage.py": MANAGE, "shop/wsgi.py": EMPTY},
        ["gunicorn", "--worker-tmp-dir", "/dev/shm", "shop.wsgi"],
    ),
    "Django with its settings deeper": (
        {"manage.py": MANAGE.replace("shop.settings", "config.settings.live"), "config/wsgi.py": EMPTY},
        ["gunicorn", "--worker-tmp-dir", "/dev/shm", "config.wsgi"],
    ),
    "Flask": (
        {"requirements.txt": "flask", "app.py": FLASK},
        ["gunicorn", "--worker-tmp-dir", "/dev/shm", "app:app"],
    ),
    "a factory": (
        {"requirements.txt": "flask", "app.py": "def create_app():\n"},
        ["gunicorn", "--worker-tmp-dir", "/dev/shm", "app:create_app()"],
    ),
    "wsgi.py before app.py": (
        {"requirements.txt": "x", "wsgi.py": "application = f()", "app.py": FLASK},
        ["gunicorn", "--worker-tmp-dir", "/dev/shm", "wsgi:application"],
    ),
    "FastAPI": (
        {"requirements.txt": "fastapi", "main.py": "from fastapi import FastAPI\napp: FastAPI = FastAPI()\n"},
        ["uvicorn", "--host", "0.0.0.0", "--port", "8080", "main:app"],
    ),
    "a Procfile of Python": (
        {"requirements.txt": "x", "app.py": FLASK, "Procfile": "worker: x\nweb: gunicorn -w 3 'a b:c'\n"},
        ["gunicorn", "-w", "3", "a b:c"],
    ),
    "a Procfile with a variable": (
        {"package.json": "{}", "Procfile": "web: node x.js --port $PORT"},
        ["/bin/sh", "-c", "exec node x.js --port $PORT"],
    ),
    "a script that is no application": ({"requirements.txt": "x", "app.py": "app = 1\n"}, None),
    "npm start": ({"package.json": '{"scripts": {"start": "node ./bin/www"}}'}, ["node", "./bin/www"]),
    "npm start with more": (
        {"package.json": '{"scripts": {"start": "A=1 next start", "prestart": "x"}}'},
        ["/bin/sh", "-c", "npm run prestart && exec env A=1 next start"],
    ),
    "main": ({"package.json": '{"main": "lib/x.js"}', "lib/x.js": EMPTY}, ["node", "lib/x.js"]),
    "a usual name": ({"package.json": '{"main": "gone.js"}', "server.js": EMPTY}, ["node", "server.js"]),
    "nothing of Node's": ({"package.json": "{}"}, None),
    "PHP": ({"index.php": EMPTY}, ["apache2-foreground"]),
    "static": ({"index.html": EMPTY}, ["nginx", "-c", "/etc/stackswap/nginx.conf"]),
}


@pytest.mark.parametrize(("files", "words"), STARTS.values(), ids=STARTS)
def test_the_command_is_found_and_gets_the_signals(files: dict[str, str], words: list[str] | None) -> None:
    """In exec form; where none is found, the service has to give it, and is told so."""
    found = [line for line in text(files).splitlines() if line.startswith("CMD ")]
    assert [json.loads(line[4:]) for line in found] == ([words] if words else [])
    notes = " ".join(runtimes.of(tree(files).has, tree(files).text).notes)
    assert ("say command" in notes) is (words is None)


INSTALLS: Mapping[str, tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]] = {
    "requirements and what they name": (
        {
            "requirements.txt": "-r requirements/live.txt\nx",
            "requirements/live.txt": "-c pins.txt",
            "requirements/pins.txt": "",
        },
        (
            'COPY ["requirements.txt", "./"]',
            'COPY ["requirements/live.txt", "requirements/pins.txt", "./requirements/"]',
        ),
        (),
    ),
    "poetry": ({"pyproject.toml": EMPTY, "poetry.lock": EMPTY}, ("poetry export --only main",), ()),
    "uv": ({"pyproject.toml": EMPTY, "uv.lock": EMPTY}, ("uv export --frozen --no-dev",), ()),
    "pipenv": ({"Pipfile": EMPTY, "Pipfile.lock": EMPTY}, ("pipenv requirements >",), ()),
    "a project that is a package": (
        {"pyproject.toml": "[build-system]\n[project]\n"},
        ('COPY ["pyproject.toml", "./"]', "pip install --root-user-action=ignore -r /tmp/requirements.txt"),
        ("--no-deps .",),
    ),
    "setup.py": ({"setup.py": EMPTY}, (), ("pip install --root-user-action=ignore .",)),
    "requirements with a folder": ({"requirements.txt": "-e ./lib\n"}, (), ("-r requirements.txt",)),
    "npm": (
        {"package.json": "{}", "package-lock.json": "{}"},
        ('COPY ["package.json", "package-lock.json", "./"]', "npm ci --omit=dev"),
        (),
    ),
    "npm that builds": (
        {"package.json": '{"scripts": {"build": "x"}}', "package-lock.json": "{}"},
        ("npm ci",),
        ("npm run build", "npm prune --omit=dev"),
    ),
    "yarn": (
        {"package.json": "{}", "yarn.lock": EMPTY},
        ("corepack enable", "yarn install --frozen-lockfile --production"),
        (),
    ),
    "pnpm": (
        {"package.json": "{}", "pnpm-lock.yaml": EMPTY},
        ("corepack enable", "pnpm install --frozen-lockfile --prod"),
        (),
    ),
    "npm without a lock file": ({"package.json": "{}"}, ("npm install --no-package-lock --omit=dev",), ()),
    "Composer": (
        {"composer.json": composer(scripts={"post-install-cmd": []}), "composer.lock": "{}"},
        ('COPY ["composer.json", "composer.lock", "./"]', "composer install --no-dev", "COPY --from=composer:2"),
        ("composer dump-autoload", "composer run-script --no-dev --no-interaction post-install-cmd"),
    ),
    "Composer with a package of the code": (
        {"composer.json": composer(repositories=[{"type": "path", "url": "lib"}])},
        (),
        ("composer install --no-dev",),
    ),
}


@pytest.mark.parametrize(("files", "before", "after"), INSTALLS.values(), ids=INSTALLS)
def test_dependencies_are_a_layer_of_their_own(
    files: dict[str, str], before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """Installed before the code is there, by what the lock file asks for, with a cache; else after it."""
    first, dummy, second = text(files).partition(" . .\n")
    assert [part for part in before if part not in first] == []
    assert [part for part in after if part not in second] == []
    if not before:
        assert all(part not in first for part in after)
    for line in (line for line in (first + second).splitlines() if line.startswith("RUN --mount")):
        assert "type=cache" in line


@pytest.mark.parametrize("name", runtimes.RUNTIMES)
def test_every_template_keeps_the_contract(name: str) -> None:
    """Port 8080, the code root, a health check, no ARG, official names after FROM, no secret in the image."""
    files = {
        "composer.json": "{}",
        "package.json": "{}",
        "requirements.txt": "x",
        "index.html": EMPTY,
        "server.js": EMPTY,
    }
    made = text(files, name)
    lines = made.splitlines()
    assert "EXPOSE 8080" in lines and "WORKDIR /var/www/html" in lines
    assert sum(line.startswith("HEALTHCHECK ") for line in lines) == 1
    assert lines[0].startswith(("FROM python:", "FROM node:", "FROM php:", "FROM nginxinc/nginx-unprivileged:"))
    assert not any(line.startswith("ARG ") for line in lines)
    users = [line for line in lines if line.startswith("USER ")]
    assert users[-1:] == {"php-apache": [], "static": ["USER 101:101"]}.get(name, ["USER www-data"])
    assert all(len(line) < 500 for line in lines if line.startswith("RUN"))
    assert built_by(made, Image("sha256:1")) in ("", None)


def test_versions_that_the_code_names_are_the_bases() -> None:
    """And the default where it names none."""
    wanted = {
        "FROM python:3.11-slim": {"requirements.txt": "x", "runtime.txt": "python-3.11.4"},
        "FROM python:3.13-slim": {"requirements.txt": "x", ".python-version": "3.13\n"},
        "FROM python:3.12-slim": {"requirements.txt": "x"},
        "FROM node:22-slim": {"package.json": "{}", ".nvmrc": "v22.1.0"},
        "FROM node:24-slim": {"package.json": "{}", ".nvmrc": "lts/*"},
        "FROM php:8.4-apache": {"composer.json": composer(config={"platform": {"php": "8.4.1"}})},
        "FROM php:8.3-apache": {"composer.json": "{}"},
    }
    assert {text(files).splitlines()[0] for files in wanted.values()} == set(wanted)


def test_a_server_is_installed_where_the_code_has_none() -> None:
    """In a documented version, and not where it is there already."""
    made = text({"requirements.txt": "flask", "app.py": FLASK})
    assert f"command -v gunicorn >/dev/null || pip install --root-user-action=ignore {python.GUNICORN}" in made


def test_packages_that_have_to_be_compiled_get_their_tools() -> None:
    """By name, and psycopg2-binary is not psycopg2."""
    assert "libpq-dev" in text({"requirements.txt": "psycopg2>=2.9"})
    assert "libpq-dev" not in text({"requirements.txt": "psycopg2-binary>=2.9"})


KEPT = {
    "symfony/framework-bundle": ("Symfony", "public", "public/uploads"),
    "sylius/sylius": ("Sylius", "public", "config/jwt"),
    "shopware/core": ("Shopware", "public", "public/media"),
    "akeneo/pim-community-dev": ("Akeneo", "public", "public/uploads"),
    "magento/product-community-edition": ("Magento", "pub", "pub/media"),
    "laravel/framework": ("Laravel", "public", "storage/app"),
    "drupal/core-recommended": ("Drupal", "web", "web/sites/default/files"),
    "prestashop/prestashop": ("PrestaShop", "", "img"),
    "roots/wordpress": ("Bedrock", "web", "web/app/uploads"),
}


@pytest.mark.parametrize(("package", "known"), KEPT.items(), ids=KEPT)
def test_frameworks_are_known_by_what_they_require(package: str, known: tuple[str, str, str]) -> None:
    """With the folder that is served and those that are kept; what stands on Symfony is not taken for it."""
    files = {"composer.json": composer(package, "symfony/framework-bundle")}
    name, root, folder = known
    chosen = runtimes.of(tree(files).has, tree(files).text)
    assert f"({name})" in chosen.notes[0]
    assert folder in chosen.template.persistent
    assert f"DocumentRoot /var/www/html/{root}".rstrip("/") + "'" in chosen.template.text


def test_frameworks_without_composer_are_known_by_their_files() -> None:
    """WordPress, Drupal and Laravel as they are unpacked."""
    for files, name in (({"wp-load.php": EMPTY}, "WordPress"), ({"core/lib/Drupal.php": EMPTY}, "Drupal")):
        chosen = runtimes.of(tree({**files, "index.php": EMPTY}).has, tree(files).text)
        assert f"({name})" in chosen.notes[0]
        assert chosen.template.persistent


def test_django_keeps_its_media_only_where_its_settings_have_any() -> None:
    """A folder that is kept needs /data, which not every service has."""
    files = {"manage.py": MANAGE, "shop/settings.py": "MEDIA_ROOT = 1"}
    assert runtimes.of(tree(files).has, tree(files).text).template.persistent == ("media",)
    files["shop/settings.py"] = EMPTY
    assert runtimes.of(tree(files).has, tree(files).text).template.persistent == ()


def test_the_table_of_frameworks_holds_together() -> None:
    """Each has a mark; folders are below the code root; extensions are known how to be made."""
    for one in FRAMEWORKS:
        assert one.packages or one.files, one.name
        assert all(not path.startswith("/") and ".." not in path for path in (*one.persistent, *one.writable))
        assert set(one.extensions) <= set(EXTENSIONS), one.name


def test_extensions_that_are_required_are_added() -> None:
    """Only those that the base lacks, with what they are compiled with."""
    made = text({"composer.json": composer("ext-intl", "ext-json", "ext-redis")})
    assert "for name in intl opcache; do" in made and "libicu-dev" in made
    assert "pecl install redis" in made


LINES = {
    "plain": ("a  'b c'", ("a", "b c")),
    "a variable": ("a $B", ("/bin/sh", "-c", "exec a $B")),
    "two commands": ("a && b && c", ("/bin/sh", "-c", "a && b && exec c")),
    "an assignment": ("A=1 b", ("/bin/sh", "-c", "exec env A=1 b")),
}


@pytest.mark.parametrize(("line", "words"), LINES.values(), ids=LINES)
def test_a_shell_gives_way_to_the_application(line: str, words: tuple[str, ...]) -> None:
    """So that it is process 1 and gets the signals."""
    assert words_of(line) == words


def test_what_cannot_be_read_is_refused() -> None:
    """With the name of the file."""
    with pytest.raises(BadInput, match=r"package\.json cannot be read as JSON"):
        text({"package.json": "{"})


class Git:
    """A git that knows nothing."""

    def known(self, path: str, *rest: object) -> Code:
        """The folder itself."""
        return Code(path)


def found(path: Path, **other: Any) -> AbstractContextManager[project.Project]:
    """The project in a folder."""
    wanted = Wanted("shop", "1", "shop:1", Source(path=str(path)), None, **other)
    return project.project(wanted, Tools(None, None, folder, Git()))  # type: ignore[arg-type]


def test_code_without_a_dockerfile_gets_one_beside_it(tmp_path: Path) -> None:
    """Not in it; and what stays out of the image is what the user's own file says, besides the usual."""
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / ".dockerignore").write_text("drafts\n")
    with found(tmp_path) as one:
        made = Path(one.dockerfile)
        assert not made.is_relative_to(tmp_path) and made.read_text() == one.text
        assert one.text.startswith("FROM node:")
        ignored = made.with_name("Dockerfile.dockerignore").read_text().splitlines()
        assert {".git", "**/node_modules", "drafts"} <= set(ignored) and ignored[-1] == "drafts"
    assert not made.exists()
    assert "the runtime node" in " ".join(one.notes)


def test_the_users_own_dockerfile_always_wins(tmp_path: Path) -> None:
    """A runtime that was named is told to have nothing to do; a file that was named is missed."""
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(BadInput, match="there is no Other"), found(tmp_path, dockerfile="Other"):
        pass
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    with found(tmp_path, runtime="python") as one:
        assert one.text == "FROM x\n" and one.persistent == ()
    assert "the runtime python has nothing to do" in " ".join(one.notes)
