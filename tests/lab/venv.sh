#!/usr/bin/env bash
# Makes .venv from a Python that fits; on a bare Debian machine, as root, it installs that Python first.
set -euo pipefail
cd "$(dirname "$0")/../.."

fits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name
    for name in .venv/bin/python python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if fits "$name"; then
            echo "$name"
            return
        fi
    done
    return 1
}

install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "venv: $* needed; on Debian, run this as root" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

find_python >/dev/null || install python3 python3-venv
command -v git >/dev/null || install git ca-certificates
command -v ssh >/dev/null || install openssh-client
command -v openssl >/dev/null || install openssl

python=$(find_python)
[ -x .venv/bin/pip ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
touch .venv/.made
