# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file artifakt-custom-build-args, which Dockerfiles of the platform mount from their build context.

No context holds it. So the text that the builder gets mounts a secret there instead, and beside it
what makes the step run again when a value has changed. The user's own file is never changed.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_detection import HERE, instructions
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_scripts import ENV_SECRET

FILE = "artifakt-custom-build-args"
CONTEXT = "stackswap-inputs"  # the named build context that holds the fingerprint of env and secrets
CODE_ROOT = "CODE_ROOT"
TARGETS = ("target", "dst", "destination")
RUN = re.compile(r"\s*RUN\s+", re.IGNORECASE)
ESCAPE = re.compile(r"(?:\s*#[ \t]*\w+[ \t]*=.*\n)*?\s*#[ \t]*escape[ \t]*=[ \t]*`", re.IGNORECASE)
Place = tuple[int, str]  # a character, and where in the text it is


def provide(text: str) -> str:
    """The Dockerfile with such mounts replaced, on the same lines; as it is where there are none."""
    mark = "`" if ESCAPE.match(text) else "\\"
    edits = [edit for places in _instructions(text, mark) for edit in _edits(places)]
    for begin, end, mounts in reversed(edits):
        lines = text.count("\n", begin, end)
        text = text[:begin] + mounts + f" {mark}\n" * lines + text[end:]
    return text


def declares(text: str, name: str) -> bool:
    """Whether the Dockerfile has this build argument."""
    words = (word for verb, rest in instructions(text) if verb == "ARG" for word in rest.split())
    return any(word.partition("=")[0] == name for word in words)


def _instructions(text: str, mark: str) -> Iterator[list[Place]]:
    """The characters of each instruction, continued lines joined; here documents are left out."""
    found: list[Place] = []
    ends: list[str] = []
    at = 0
    for line in text.split("\n"):
        begin, at = at, at + len(line) + 1
        bare = line.rstrip()
        if ends:
            ends = ends[1:] if bare.lstrip("\t") == ends[0] else ends
        elif bare and not bare.lstrip().startswith("#"):
            goes_on = bare.endswith(mark) and not bare.endswith(mark * 2)
            found += ((begin + n, one) for n, one in enumerate(bare[:-1] if goes_on else bare))
            if not goes_on:
                yield found
                ends, found = HERE.findall(_text(found)), []
    if found:
        yield found


def _edits(places: list[Place]) -> Iterator[tuple[int, int, str]]:
    """Which parts of the text, from and to, become what."""
    for begin, end, word in _flags(_text(places)):
        mounts = _mounts(word)
        if mounts:
            yield places[begin][0], places[end - 1][0] + 1, mounts


def _text(places: list[Place]) -> str:
    return "".join(one for dummy, one in places)


def _flags(text: str) -> Iterator[tuple[int, int, str]]:
    """The flags of a RUN as the builder reads them: quotes and backslashes as in a shell."""
    run = RUN.match(text)
    at = run.end() if run else len(text)
    while text.startswith("--", at):
        begin, word, quote = at, "", ""
        while at < len(text) and (quote or not text[at].isspace()):
            one = text[at]
            if one == "\\" and at + 1 < len(text):
                at += 1
                word += text[at]
            elif quote and one == quote:
                quote = ""
            elif not quote and one in "\"'":
                quote = one
            else:
                word += one
            at += 1
        yield begin, at, word
        while at < len(text) and text[at].isspace():
            at += 1


def _mounts(flag: str) -> str:
    """What stands for this flag; '' for one that stays."""
    if not flag.startswith("--mount="):
        return ""
    fields = next(csv.reader([flag[len("--mount=") :]]), [])
    options = {name.strip().lower(): value for name, dummy, value in (field.partition("=") for field in fields)}
    source = options.get("source") or options.get("src") or ""
    target = next((options[name] for name in TARGETS if options.get(name)), "")
    bound = options.get("type", "bind").lower() == "bind" and not options.get("from")
    if not bound or posixpath.basename(source) != FILE or not target:
        return ""
    secret = ("type=secret", f"id={ENV_SECRET}", f"target={target}", "required=true", "mode=0444")
    inputs = ("type=bind", f"from={CONTEXT}", "target=/.stackswap/inputs")
    return f"{_flag(secret)} {_flag(inputs)}"


def _flag(fields: tuple[str, ...]) -> str:
    """A mount as a flag, quoted where it must be."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    text = line.getvalue()
    if any(one in text for one in " \t\"'\\"):
        text = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"--mount={text}"
