# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node: dependencies by the tool whose lock file is there; what package.json starts, on port 8080 as www-data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import (
    CODE_ROOT,
    PORT,
    USER,
    Framework,
    Template,
    Tree,
    cache,
    code,
    copy,
    dockerfile,
    environment,
    health,
    known,
    procfile,
    run,
    secret,
    version_of,
    words_of,
)

NAME = "node"
MARKS = ("package.json",)
BASE, VERSION = "node:{}-slim", "24"
IGNORE = ("**/node_modules", "npm-debug.log*")
MAINS = ("server.js", "index.js", "app.js", "main.js")
# lock file: what installs by it, what takes away what was needed to build, and where it keeps downloads
TOOLS = {
    "package-lock.json": ("npm ci", "npm prune --omit=dev", "/root/.npm"),
    "npm-shrinkwrap.json": ("npm ci", "npm prune --omit=dev", "/root/.npm"),
    "yarn.lock": (
        "yarn install --frozen-lockfile",
        "yarn install --frozen-lockfile --production",
        "/usr/local/share/.cache",
    ),
    "pnpm-lock.yaml": (
        "pnpm install --frozen-lockfile",
        "CI=true pnpm prune --prod",
        "/root/.local/share/pnpm/store",
    ),
    "": ("npm install --no-package-lock", "npm prune --omit=dev", "/root/.npm"),
}
# corepack brings the version that package.json names
BY_COREPACK = ("yarn.lock", "pnpm-lock.yaml")
CONFIGS = (".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml")
FRAMEWORKS = (
    Framework("Strapi", ("@strapi/strapi",), persistent=("public/uploads",)),
    Framework("Ghost", ("ghost",), persistent=("content/images", "content/media", "content/files")),
    Framework("Nuxt", ("nuxt", "nuxt3")),
    Framework("Next", ("next",)),
    Framework("NestJS", ("@nestjs/core",)),
    Framework("Express", ("express",)),
)
CHECK = (
    "require('http').get({host: '127.0.0.1', port: process.env.PORT || 8080, timeout: 4000}, "
    "answer => process.exit(answer.statusCode < 500 ? 0 : 1)).on('error', () => process.exit(1))"
)


def template(tree: Tree) -> Template:
    """The Dockerfile of a Node application."""
    package = tree.json("package.json")
    lock = tree.first(name for name in TOOLS if name)
    install, prune, store = TOOLS[lock]
    builds = "build" in _section(package, "scripts")
    start = start_of(tree, package)
    mounts, load = secret("NPM_TOKEN")
    mounts = [cache(store), *mounts]
    wanted = tree.text(".nvmrc") or tree.text(".node-version")
    text = dockerfile(
        "FROM " + BASE.format(version_of(wanted, r"^\s*v?(\d+)", VERSION)),
        environment({"PORT": str(PORT), "HOST": "0.0.0.0"}),
        environment({"COREPACK_HOME": "/usr/local/share/corepack"}) if lock in BY_COREPACK else "",
        f"WORKDIR {CODE_ROOT}",
        *copy(name for name in ("package.json", lock, *CONFIGS) if name and tree.has(name)),
        run(*load, *["corepack enable"] * (lock in BY_COREPACK), _install(install, builds), mounts=mounts),
        code(),
        run(f"{install.split()[0]} run build", *load, prune, mounts=mounts) if builds else "",
        environment({"NODE_ENV": "production", "PATH": f"{CODE_ROOT}/node_modules/.bin:$PATH"}),
        f"USER {USER}",
        f"EXPOSE {PORT}",
        health("node", "-e", CHECK),
        "CMD " + json.dumps(start) if start else "",
    )
    framework = known(FRAMEWORKS, tree, _section(package, "dependencies"))
    return Template(text, IGNORE, framework, " ".join(start), _told(lock))


def _section(package: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = package.get(name)
    return found if isinstance(found, dict) else {}


def _install(install: str, builds: bool) -> str:
    """All that a build needs; else only what the application needs when it runs."""
    if builds:
        return install
    flag = {"npm": "--omit=dev", "yarn": "--production", "pnpm": "--prod"}[install.split()[0]]
    return f"{install} {flag}"


def _told(lock: str) -> tuple[str, ...]:
    return () if lock else ("there is no lock file beside package.json: the newest fitting packages are installed",)


def start_of(tree: Tree, package: Mapping[str, Any]) -> tuple[str, ...]:
    """How the application is started, without npm as process 1, which would keep signals to itself."""
    scripts = _section(package, "scripts")
    line = procfile(tree)
    if not line and isinstance(scripts.get("start"), str):
        before = ["npm run prestart"] if "prestart" in scripts else []
        line = " && ".join([*before, scripts["start"]])
    if line:
        return words_of(line)
    main = tree.first([*filter(None, [package.get("main")]), *MAINS])
    return ("node", main) if main else ()
