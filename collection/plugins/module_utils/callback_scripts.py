# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two small scripts around an application's own callbacks, and what the first is given.

`RUN` runs build.sh inside the image build; `ENTRYPOINT` runs entrypoint.sh before the default
process and then becomes that process. Both keep to what dash and busybox understand.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shlex
from collections.abc import Mapping

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.persistent import START

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENV_SECRET = "stackswap-env"  # the id under which BuildKit knows the environment of build.sh
LARGEST_VALUE = 120_000  # one variable of a process may not be longer than 128 KiB
LARGEST_ENV = 500_000  # BuildKit takes no larger secret

RUN = """\
#!/bin/sh
# Gives build.sh its environment, which is mounted for this step only, and runs it in the code root.
. /run/secrets/stackswap-env || exit 70
cd "$1" || { echo "stackswap: the code root $1 is not in the image" >&2; exit 71; }
exec /.artifakt/build.sh
"""

CALLBACK = "_sw_callback=/.artifakt/entrypoint.sh\n"

BEGIN = (
    """\
#!/bin/sh
# Makes what persistent folders lack, runs the application's own entrypoint.sh, loads what it left in
# $STACKSWAP_ENV_FILE, then becomes the default process.
# Its variables begin with _sw_ so that none of the application's is touched.
"""
    + CALLBACK
)

# The lock file is never removed: whoever waits for it and whoever comes then mean the same file.
# Only the wrapper has it open, so it is free when the callback ends or the container dies.
LOCK = """
_sw_take() {
    _sw_lock=${ARTIFAKT_ENTRYPOINT_LOCK:-}
    _sw_seconds=${STACKSWAP_ENTRYPOINT_LOCK_SECONDS:-}
    if [ -n "$_sw_seconds" ]; then _sw_lock=${_sw_lock:-/data/.stackswap/entrypoint.lock}; fi
    if [ -z "$_sw_lock" ]; then return; fi
    _sw_seconds=${_sw_seconds:-${ARTIFAKT_TIMEOUT_LOCK:-600}}
    _sw_seconds=${_sw_seconds%%.*}
    case $_sw_seconds in
    '' | *[!0-9]*)
        echo "stackswap: the time to wait for the entrypoint lock is not a number of seconds" >&2
        exit 64
        ;;
    esac
    if ! command -v flock >/dev/null 2>&1; then
        echo "stackswap: the entrypoint lock needs the command flock, which the image does not have:" \\
            "install util-linux in it, or switch the lock off" >&2
        exit 69
    fi
    mkdir -p "${_sw_lock%/*}" 2>/dev/null
    if ! (umask 0 && : >>"$_sw_lock") 2>/dev/null; then
        echo "stackswap: the entrypoint lock $_sw_lock cannot be written by user $(id -u)" >&2
        exit 73
    fi
    exec 9>>"$_sw_lock"
    trap 'exit 143' TERM
    trap 'exit 130' INT
    _sw_wait
    trap - TERM INT
    read -r _sw_host </proc/sys/kernel/hostname
    echo "${STACKSWAP_SERVER:+$STACKSWAP_SERVER, container }$_sw_host" \\
        "since $(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$_sw_lock"
}

_sw_wait() {
    _sw_until=$(($(date +%s) + _sw_seconds)) _sw_told=
    until flock -n 9; do
        if [ $? -gt 1 ]; then
            echo "stackswap: the entrypoint lock $_sw_lock cannot be locked: see the words above" >&2
            exit 73
        fi
        _sw_holder=
        read -r _sw_holder <"$_sw_lock"
        _sw_holder=${_sw_holder:-another container}
        if [ "$(date +%s)" -ge "$_sw_until" ]; then
            echo "stackswap: gave up after $_sw_seconds s: .artifakt/entrypoint.sh is still run by" \\
                "$_sw_holder, which holds the lock $_sw_lock; the application is not started" >&2
            exit 75
        fi
        if [ "$_sw_holder" != "$_sw_told" ]; then
            _sw_told=$_sw_holder
            echo "stackswap: .artifakt/entrypoint.sh waits up to $_sw_seconds s" \\
                "for its lock, which is held by $_sw_holder" >&2
        fi
        sleep 1
    done
}

_sw_free() {
    if [ -n "$_sw_lock" ]; then
        : >"$_sw_lock"
        exec 9>&-
    fi
}
"""

CALL = """
_sw_run() {
    _sw_ended=
    trap '_sw_ended=143; kill -TERM "$_sw_child" 2>/dev/null' TERM
    trap '_sw_ended=130; kill -TERM "$_sw_child" 2>/dev/null' INT
    "$_sw_callback" <&0 9>&- &
    _sw_child=$!
    wait "$_sw_child"
    _sw_code=$?
    while [ -n "$_sw_ended" ] && kill -0 "$_sw_child" 2>/dev/null; do wait "$_sw_child"; done
    trap - TERM INT
    _sw_free
    if [ -n "$_sw_ended" ]; then exit "$_sw_ended"; fi
    if [ "$_sw_code" -ne 0 ]; then
        echo "stackswap: .artifakt/entrypoint.sh failed with exit code $_sw_code," \\
            "the application is not started" >&2
        exit "$_sw_code"
    fi
}

_sw_place() {
    read -r _sw_id </proc/sys/kernel/random/uuid || _sw_id=$$
    for _sw_folder in /dev/shm "${TMPDIR:-/tmp}" /tmp; do
        STACKSWAP_ENV_FILE=$_sw_folder/.stackswap-env.$_sw_id
        if (umask 077 && : >"$STACKSWAP_ENV_FILE") 2>/dev/null; then return; fi
    done
    STACKSWAP_ENV_FILE=
}

_sw_load() {
    while IFS= read -r _sw_line || [ -n "$_sw_line" ]; do
        _sw_line=${_sw_line#export }
        case $_sw_line in
        '' | '#'*) continue ;;
        *=*) _sw_name=${_sw_line%%=*} ;;
        *) _sw_name=- ;;
        esac
        case $_sw_name in
        '' | [0-9]* | *[!A-Za-z0-9_]*)
            echo "stackswap: .artifakt/entrypoint.sh left a line in STACKSWAP_ENV_FILE" \\
                "that is not NAME=value" >&2
            exit 65
            ;;
        esac
        export "$_sw_line"
    done <"$1"
}
"""

MAIN = """
if [ -e "$_sw_list" ]; then _sw_share; fi
if [ -e "$_sw_callback" ]; then
    _sw_take
    _sw_place 2>/dev/null
    export STACKSWAP_ENV_FILE
    _sw_run
    _sw_file=$STACKSWAP_ENV_FILE
    unset STACKSWAP_ENV_FILE
    if [ -s "$_sw_file" ]; then _sw_load "$_sw_file"; fi
    if [ -n "$_sw_file" ]; then rm -f "$_sw_file"; fi
fi
if [ $# -eq 0 ]; then
    echo "stackswap: the image has neither ENTRYPOINT nor CMD and the service gives no command" >&2
    exit 64
fi
exec "$@"
"""

ENTRYPOINT = "".join((BEGIN, START, LOCK, CALL, MAIN))


def entrypoint(callback: bool) -> str:
    """The start of a container; without the callback where somebody else runs it, or nobody is to."""
    return ENTRYPOINT if callback else ENTRYPOINT.replace(CALLBACK, "_sw_callback=\n")


def environment(env: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    """The environment of build.sh as a script to load, or a refusal of what cannot be in one."""
    for label, pairs in (("env", env), ("secrets", secrets)):
        for name, value in pairs.items():
            _refuse(label, name, value)
    twice = sorted(set(env) & set(secrets))
    if twice:
        raise BadInput(f"{twice[0]} is both in env and in secrets: name it in one of them")
    lines = [f"export {n}={_quoted(v)}\n" for n, v in sorted({**env, **secrets}.items())]
    text = "".join(lines)
    if len(text.encode()) > LARGEST_ENV:
        raise BadInput(f"env and secrets of the build are larger than {LARGEST_ENV} bytes together")
    return text


def _quoted(value: str) -> str:
    """The value as a shell reads it, in the quotes that it needs fewest marks in."""
    marked = re.sub(r'([\\"$`])', r"\\\1", value)
    return min(shlex.quote(value), f'"{marked}"', key=len)


def _refuse(label: str, name: str, value: object) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadInput(f"{label}: {name!r} cannot be the name of a variable")
    if not isinstance(value, str):
        raise BadInput(f"{label}.{name} is not text: write it in quotes")
    if "\0" in value:
        raise BadInput(f"{label}.{name} holds a zero byte")
    if len(value.encode("utf-8", "surrogateescape")) > LARGEST_VALUE:
        raise BadInput(f"{label}.{name} is larger than {LARGEST_VALUE} bytes, which no process can be given")


def fingerprint(env: Mapping[str, str], secrets: Mapping[str, str], key: bytes) -> str:
    """What makes build.sh run again: a digest of env, and one of secrets by this builder's key."""
    shown = hashlib.sha256(_text(env)).hexdigest()
    hidden = hmac.new(key, _text(secrets), hashlib.sha256).hexdigest()
    return f"env {shown}\nsecrets {hidden}\n"


def _text(pairs: Mapping[str, str]) -> bytes:
    return json.dumps(dict(pairs), sort_keys=True).encode()
