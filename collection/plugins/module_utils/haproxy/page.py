# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a service in maintenance: the one that it brings, or a plain one."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

LARGEST = 12_000  # bytes: HAProxy answers from one buffer of 16,384, heads included
PLAIN = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="60">
<title>Back soon</title>
<style>
:root { color-scheme: light dark }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1.125rem/1.5 system-ui, sans-serif }
main { max-width: 32rem; padding: 2rem; text-align: center }
h1 { font-size: 2rem; margin: 0 0 .5rem }
p { margin: 0; opacity: .8 }
</style>
</head>
<body>
<main>
<h1>Back soon</h1>
<p>We are working on this site. This page looks again by itself, and nothing you have done is lost.</p>
</main>
</body>
</html>
"""


def page_of(text: str | None) -> str:
    """The page that is shown for this text, the plain one for none; or why it cannot be shown."""
    if not text or not text.strip():
        return PLAIN
    size = len(text.encode())
    if size > LARGEST:
        raise BadInput(
            f"the maintenance page has {size} bytes, and {LARGEST} can be shown: have images come from elsewhere"
        )
    return text if text.endswith("\n") else text + "\n"
