# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files by nginx, on port 8080 as its own user without rights."""

from __future__ import annotations

import json

from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes import nginx
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import (
    CODE_ROOT,
    PORT,
    Template,
    Tree,
    dockerfile,
    health,
    run,
    written,
)

NAME = "static"
MARKS = ("index.html", "public/index.html", "dist/index.html")
BASE = "nginxinc/nginx-unprivileged:stable-alpine"
USER = "101:101"  # nginx, in that image
START = ("nginx", "-c", nginx.PATH)
LOCATIONS = """
location / {
    try_files $uri $uri/ $uri.html =404;
}
"""


def template(tree: Tree) -> Template:
    """The Dockerfile of static files."""
    below = tree.first(MARKS).rpartition("/")[0]
    site = nginx.settings(f"{CODE_ROOT}/{below}" if below else CODE_ROOT, "index.html", LOCATIONS)
    text = dockerfile(
        f"FROM {BASE}",
        "USER 0:0",
        run("mkdir -p /etc/stackswap", written(nginx.PATH, site)),
        f"WORKDIR {CODE_ROOT}",
        "COPY . .",
        f"USER {USER}",
        f"EXPOSE {PORT}",
        "STOPSIGNAL SIGQUIT",
        health("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{PORT}/"),
        f"CMD {json.dumps(START)}",
    )
    return Template(text, starts="nginx")
