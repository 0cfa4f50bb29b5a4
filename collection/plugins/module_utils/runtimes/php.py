# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both runtimes of PHP share: extensions, Composer, the folder that is served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.frameworks import (
    EXTENSIONS,
    FRAMEWORKS,
    PECL,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import (
    CODE_ROOT,
    PORT,
    USER,
    Framework,
    Tree,
    apt,
    cache,
    code,
    copy,
    health,
    known,
    run,
    secret,
    version_of,
)

MARKS = ("composer.json", "index.php", "public/index.php", "web/index.php", "wp-load.php")
VERSION = "8.3"
IGNORE = ("vendor",)
ROOTS = ("public", "web", "pub")
FAST = "opcache"
COMPOSER = "composer:2"
DOWNLOADS = cache("/tmp/composer")
ENVIRONMENT = "COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_CACHE_DIR=/tmp/composer"
QUIET = "--no-dev --no-interaction"
SETTINGS = (
    'if [ -f "$PHP_INI_DIR/php.ini-production" ]; then cp "$PHP_INI_DIR/php.ini-production" "$PHP_INI_DIR/php.ini"; fi'
)
ASK = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{PORT}/ | grep -q '^[1-4]'"


def framework_of(tree: Tree) -> Framework | None:
    """The framework, by what composer.json requires or by its files."""
    return known(FRAMEWORKS, tree, _required(tree))


def _required(tree: Tree) -> Mapping[str, Any]:
    found = tree.json("composer.json").get("require")
    return found if isinstance(found, dict) else {}


def version(tree: Tree) -> str:
    """The version of PHP that composer.json says it runs on, else the default."""
    config = tree.json("composer.json").get("config")
    platform = config.get("platform", {}) if isinstance(config, dict) else {}
    return version_of(str(platform.get("php", "")), r"^(\d\.\d)", VERSION)


def root(tree: Tree, framework: Framework | None) -> str:
    """The folder that is served, in the image."""
    below = framework.root if framework else ""
    if not framework:
        below = next((name for name in ROOTS if tree.has(f"{name}/index.php")), "")
    return f"{CODE_ROOT}/{below}" if below else CODE_ROOT


def extensions(tree: Tree, framework: Framework | None) -> list[str]:
    """Lines that add what is required and not in the base image."""
    required = [name.partition("ext-")[2].lower() for name in _required(tree) if name.startswith("ext-")]
    wanted = {FAST, *required, *(framework.extensions if framework else ())}
    compiled, pecl = sorted(wanted & set(EXTENSIONS)), sorted(wanted & set(PECL))
    packages = sorted({package for name in compiled for package in EXTENSIONS[name]})
    have = 'php -m | grep -qix -e "{0}" -e "zend {0}"'
    lines = [run(_added(compiled, have.format("$name"), packages))]
    made = "{{ {} || {{ pecl install {name} && docker-php-ext-enable {name}; }}; }}"
    return [*lines, *(run(made.format(have.format(name), name=name)) for name in pecl)]


def _added(names: list[str], have: str, packages: list[str]) -> str:
    """A command that compiles those of the extensions which the image lacks."""
    before = f"{apt(packages)}; " if packages else ""
    graphics = "docker-php-ext-configure gd --with-freetype --with-jpeg --with-webp; " if "gd" in names else ""
    return (
        f'missing=; for name in {" ".join(names)}; do {have} || missing="$missing $name"; done; '
        f'if [ -n "$missing" ]; then set -e; {before}{graphics}docker-php-ext-install $missing; fi'
    )


def needs(tree: Tree) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Lines before the code is copied and after it, by Composer; and what people are told."""
    if not tree.has("composer.json"):
        return [], [], ()
    tools = [f"COPY --from={COMPOSER} /usr/bin/composer /usr/bin/composer"]
    tools.append(run(apt(("git", "unzip"), "command -v unzip >/dev/null")))
    if _has_own_packages(tree):
        note = "composer.json names a folder of the code: all is installed anew when the code changes"
        return tools, [_composer(f"install {QUIET} --prefer-dist --optimize-autoloader")], (note,)
    files = [name for name in ("composer.json", "composer.lock") if tree.has(name)]
    install = _composer(f"install {QUIET} --prefer-dist --no-progress --no-scripts --no-autoloader")
    lines = [*tools, *copy(files), install]
    told = () if len(files) > 1 else ("there is no composer.lock: the newest fitting packages are installed",)
    return lines, [_composer(f"dump-autoload {QUIET} --optimize", *_scripts(tree))], told


def _has_own_packages(tree: Tree) -> bool:
    listed = tree.json("composer.json").get("repositories", ())
    found = listed.values() if isinstance(listed, dict) else listed
    return any(isinstance(one, dict) and one.get("type") == "path" for one in found)


def _scripts(tree: Tree) -> list[str]:
    """The scripts that Composer would have run, had the code been there."""
    scripts = tree.json("composer.json").get("scripts")
    named = scripts if isinstance(scripts, dict) else {}
    return [f"run-script {QUIET} {name}" for name in ("post-install-cmd",) if name in named]


def _composer(*commands: str) -> str:
    mounts, load = secret("COMPOSER_AUTH")
    return run(*load, *(f"{ENVIRONMENT} composer {command}" for command in commands), mounts=(DOWNLOADS, *mounts))


def application(tree: Tree, framework: Framework | None, after: list[str]) -> list[str]:
    """The code, what is done with it, and folders that the application may write to."""
    folders = " ".join(framework.writable) if framework else ""
    owned = run(f"mkdir -p {folders}", f"chown -R {USER}:{USER} {folders}") if folders else ""
    return [code(), *after, owned]


def check() -> str:
    """The health check, by what the official images have."""
    return health("/bin/sh", "-c", ASK)
