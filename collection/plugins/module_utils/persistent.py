# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Persistent folders: parts of the code root that live in /data, where releases and servers share them.

Each becomes a link when the image is built, so that any user can start it; what the image had there
is kept as its seed. A container that starts copies a seed to /data once, if nothing is there yet.
Nothing is ever overwritten and no tree is ever walked for its owner.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

SHELL = "/bin/sh"
LINKER = "/.stackswap/persist/run"

LINK = """\
#!/bin/sh
# Moves persistent folders of the code root $1 to the seeds and leaves links into /data there.
set -eu
data=/data seeds=/.stackswap/seed list=/.stackswap/persistent
cd "$1" || { echo "stackswap: the code root $1 is not in the image" >&2; exit 71; }
root=$(pwd -P)
root=${root%/}
shift

remember() {
    known=$(cat "$list" 2>/dev/null || :)
    case "
$known
" in *"
$1
"*) ;; *) printf '%s\\n' "$1" >>"$list" ;; esac
}

above() {  # the nearest folder over $1 that is there
    up=${1%/*}
    while [ -n "$up" ] && [ ! -d "$up" ]; do up=${up%/*}; done
    echo "${up:-/}"
}

seed() {  # what the image has at $1, or an empty folder of its surroundings' owner, becomes the seed $2
    mkdir -p "${2%/*}"
    if [ -e "$1" ]; then
        rm -rf "$2"
        mv "$1" "$2"
    elif [ ! -e "$2" ]; then
        mkdir "$2"
        owner=$(stat -c %u:%g "$(above "$1")" 2>/dev/null) && chown "$owner" "$2" || :
    fi
}

for path; do
    place=$root/$path
    over=$(above "$place")
    over=$(cd -P "$over" && pwd -P)
    if [ -L "$place" ]; then
        target=$(readlink "$place")
        case $target in
        "$data"/?*) ;;
        *)
            echo "stackswap: the persistent folder $path is a link to $target in the code:" \\
                "take the link away, or do not name it" >&2
            exit 66
            ;;
        esac
        seed "$target" "$seeds${target#"$data"}"
        target=${target#"$data"/}
    elif case $over/ in "$data"/*) true ;; *) false ;; esac; then
        inside=$(above "$place")
        target=$over${place#"$inside"}
        seed "$target" "$seeds${target#"$data"}"
        target=${target#"$data"/}
    else
        seed "$place" "$seeds/$path"
        mkdir -p "${place%/*}"
        ln -s "$data/$path" "$place"
        target=$path
    fi
    remember "$target"
done
"""

START = """\
_sw_data=/data _sw_seeds=/.stackswap/seed _sw_list=/.stackswap/persistent

_sw_share() {
    while IFS= read -r _sw_line || [ -n "$_sw_line" ]; do
        if [ ! -e "$_sw_data/$_sw_line" ]; then _sw_seed "$_sw_line"; fi
    done <"$_sw_list"
}

_sw_seed() {
    _sw_place=$_sw_data/$1 _sw_from=$_sw_seeds/$1
    read -r _sw_id </proc/sys/kernel/random/uuid || _sw_id=$$
    _sw_new=$_sw_place.stackswap-$_sw_id
    trap 'kill "$_sw_child" 2>/dev/null; wait "$_sw_child"; rm -rf "$_sw_new"; exit 143' TERM INT
    _sw_copy &
    _sw_child=$!
    if wait "$_sw_child"; then _sw_move; fi
    trap - TERM INT
    rm -rf "$_sw_new" 2>/dev/null
    if [ ! -e "$_sw_place" ]; then
        echo "stackswap: the persistent folder $_sw_place cannot be made:" \\
            "is there a $_sw_data that user $(id -u) may write to?" >&2
        exit 73
    fi
}

_sw_copy() {
    _sw_how=-RP
    if [ "$(id -u)" = 0 ]; then _sw_how=-a; fi
    mkdir -p "${_sw_place%/*}" || return 1
    if [ -e "$_sw_from" ]; then cp "$_sw_how" "$_sw_from" "$_sw_new"; else mkdir "$_sw_new"; fi
}

# Two containers may start at once: the second finds the place taken and drops its copy.
_sw_move() {
    if [ ! -d "$_sw_new" ]; then
        ln "$_sw_new" "$_sw_place" 2>/dev/null
    elif ! mv -T "$_sw_new" "$_sw_place" 2>/dev/null && [ ! -e "$_sw_place" ]; then
        mv "$_sw_new" "$_sw_place" 2>/dev/null # a mv that knows no -T
        rm -rf "$_sw_place/${_sw_new##*/}"
    fi
}
"""


def kept(asked: Iterable[str] | None, runtime: Iterable[str] = ()) -> tuple[str, ...]:
    """The persistent folders below the code root: as asked, else as the runtime has them.

    One that lies in another is part of it.
    """
    paths = sorted({_path(path) for path in (runtime if asked is None else asked)})
    return tuple(path for path in paths if not any(path.startswith(f"{other}/") for other in paths))


def _path(path: str) -> str:
    plain = posixpath.normpath(path) if isinstance(path, str) and path.strip("/") else "."
    strange = any(not mark.isprintable() or mark in "<\\" for mark in plain)
    if plain in (".", "..") or plain.startswith(("/", "../", "-")) or strange:
        raise BadInput(f"persistent: {path!r} is not a folder below the code root")
    return plain


def link(code_root: str, folders: tuple[str, ...]) -> str:
    """The step of the last layers that makes the links."""
    if code_root == "/":
        raise BadInput(
            "persistent: the image has no working directory that these folders could be in: "
            "add a WORKDIR to the Dockerfile, or say build.code_root"
        )
    mount = f"--mount=type=bind,source=persist,target={posixpath.dirname(LINKER)}"
    return f"RUN {mount} {json.dumps([SHELL, LINKER, code_root, *folders])}"
