# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PHP-FPM behind nginx, both in one container, both as www-data, on port 8080."""

from __future__ import annotations

import json

from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes import nginx, php
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import (
    CODE_ROOT,
    PORT,
    USER,
    Template,
    Tree,
    apt,
    dockerfile,
    run,
    written,
)

NAME = "php-fpm"
MARKS = ("php-fpm.conf",)
BASE = "php:{}-fpm"
START = ("/usr/local/bin/php-fpm-nginx",)
SOCKET = "/tmp/php-fpm.sock"
POOL_PATH = "/etc/stackswap/php-fpm.conf"
POOL = f"""
[global]
error_log = /proc/self/fd/2
daemonize = no
process_control_timeout = 10s
[www]
listen = {SOCKET}
pm = dynamic
pm.max_children = 20
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 4
clear_env = no
catch_workers_output = yes
decorate_workers_output = no
"""
OWN = f"include = {CODE_ROOT}/{MARKS[0]}"
LOCATIONS = """
location = /php-fpm.conf {
    return 404;
}
location / {
    try_files $uri $uri/ /index.php?$args;
}
location ~ [.]php(/|$) {
    fastcgi_split_path_info ^(.+?[.]php)(/.*)$;
    try_files $fastcgi_script_name =404;
    include /etc/nginx/fastcgi_params;
    set $secure "";
    if ($http_x_forwarded_proto = https) {
        set $secure on;
    }
    fastcgi_param HTTPS $secure if_not_empty;
    fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
    fastcgi_param DOCUMENT_ROOT $realpath_root;
    fastcgi_param HTTP_PROXY "";
    fastcgi_read_timeout 600s;
    fastcgi_pass unix:SOCKET;
}
""".replace("SOCKET", SOCKET)
# Process 1 of the container. PHP comes before nginx and goes after it; if one of the two ends, so does the container.
SCRIPT = f"""
#!/bin/sh
rm -f {SOCKET}
php-fpm --nodaemonize --fpm-config {POOL_PATH} & fpm=$!
while [ ! -S {SOCKET} ] && kill -0 "$fpm"; do sleep 0.1; done
nginx -c {nginx.PATH} & web=$!
end() {{
  trap : TERM QUIT INT
  kill -QUIT "$web"; wait "$web"
  kill -QUIT "$fpm"; wait "$fpm"
  exit "$1"
}}
trap 'end 0' TERM QUIT INT
while kill -0 "$web" && kill -0 "$fpm"; do sleep 1 & wait $!; done
end 1
"""


def template(tree: Tree) -> Template:
    """The Dockerfile of a PHP application in PHP-FPM."""
    framework = php.framework_of(tree)
    before, after, notes = php.needs(tree)
    site = nginx.settings(php.root(tree, framework), "index.php index.html", LOCATIONS)
    text = dockerfile(
        f"FROM {BASE.format(php.version(tree))}",
        run(apt(("nginx-light",), "command -v nginx >/dev/null")),
        *php.extensions(tree, framework),
        run(
            php.SETTINGS,
            "mkdir -p /etc/stackswap",
            written(nginx.PATH, site),
            written(POOL_PATH, POOL + (OWN if tree.has(MARKS[0]) else "")),
            written(START[0], SCRIPT),
            f"chmod 755 {START[0]}",
        ),
        f"WORKDIR {CODE_ROOT}",
        *before,
        *php.application(tree, framework, after),
        f"USER {USER}",
        f"EXPOSE {PORT}",
        "STOPSIGNAL SIGTERM",
        php.check(),
        f"CMD {json.dumps(START)}",
    )
    return Template(text, php.IGNORE if tree.has("composer.json") else (), framework, "nginx and php-fpm", notes)
