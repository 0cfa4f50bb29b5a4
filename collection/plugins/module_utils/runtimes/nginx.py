# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of nginx for a user who is not root: nothing is written but below /tmp, and to the container's own log."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import PORT

PATH = "/etc/stackswap/nginx.conf"
SETTINGS = """
worker_processes auto;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
daemon off;
events {{
    worker_connections 1024;
}}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    client_body_temp_path /tmp/nginx-body;
    proxy_temp_path /tmp/nginx-proxy;
    fastcgi_temp_path /tmp/nginx-fastcgi;
    uwsgi_temp_path /tmp/nginx-uwsgi;
    scgi_temp_path /tmp/nginx-scgi;
    client_max_body_size 0;
    sendfile on;
    server_tokens off;
    absolute_redirect off;
    gzip on;
    gzip_types text/css application/javascript application/json image/svg+xml;
    server {{
        listen {port};
        root {root};
        index {index};
        location ~ /[.](?!well-known/) {{
            return 404;
        }}
{locations}
    }}
}}
"""


def settings(root: str, index: str, locations: str) -> str:
    """The text of the settings, for the one site of a container."""
    lines = "\n".join(f"        {line}" if line else "" for line in locations.strip().splitlines())
    return SETTINGS.format(port=PORT, root=root, index=index, locations=lines)
