# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PHP in Apache, as on the platform, but on port 8080: starts as root so that entrypoint.sh can, works as www-data."""

from __future__ import annotations

import json

from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes import php
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import (
    CODE_ROOT,
    PORT,
    Template,
    Tree,
    dockerfile,
    run,
    written,
)

NAME = "php-apache"
MARKS = php.MARKS
BASE = "php:{}-apache"
START = ("apache2-foreground",)
# Files and folders that begin with a dot are for nobody outside; behind the proxy https is known by its header.
SITE = """
<VirtualHost *:{port}>
    DocumentRoot {root}
    ErrorLog /proc/self/fd/2
    CustomLog /proc/self/fd/1 combined
    SetEnvIf X-Forwarded-Proto "^https$" HTTPS=on
</VirtualHost>
<Directory {code_root}>
    Options -Indexes +FollowSymLinks
    AllowOverride All
    Require all granted
    DirectoryIndex index.php index.html
</Directory>
<LocationMatch "/[.](?!well-known/)">
    Require all denied
</LocationMatch>
ServerName localhost
ServerTokens Prod
"""


def template(tree: Tree) -> Template:
    """The Dockerfile of a PHP application in Apache."""
    framework = php.framework_of(tree)
    before, after, notes = php.needs(tree)
    site = SITE.format(port=PORT, root=php.root(tree, framework), code_root=CODE_ROOT)
    text = dockerfile(
        f"FROM {BASE.format(php.version(tree))}",
        *php.extensions(tree, framework),
        run(
            php.SETTINGS,
            "a2enmod -q rewrite headers",
            f"echo 'Listen {PORT}' > /etc/apache2/ports.conf",
            written("/etc/apache2/sites-available/000-default.conf", site),
        ),
        f"WORKDIR {CODE_ROOT}",
        *before,
        *php.application(tree, framework, after),
        f"EXPOSE {PORT}",
        "STOPSIGNAL SIGWINCH",
        php.check(),
        f"CMD {json.dumps(START)}",
    )
    return Template(text, php.IGNORE if tree.has("composer.json") else (), framework, START[0], notes)
