#!/bin/sh
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make a container image of HAProxy from the Debian package of this server, where no image registry answers.
# Installs nothing: the package and the libraries its program opens are fetched, unpacked and imported.
# The last line on stdout is the name of the image; with "made" before it where it was not there yet.
#
#   haproxy_image.sh                   the release that this server's apt prefers
#   SUITE=trixie haproxy_image.sh      that of another suite among the server's apt sources
#   CHECK=1 haproxy_image.sh           make nothing: say what would be made
#   LABELS="a=b c=d" haproxy_image.sh  labels for the image
set -eu
export LC_ALL=C

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/debs/partial" "$work/root" "$work/none"
: >"$work/status"
: >"$work/preferences"

# As for a server with nothing installed: so apt names every library, whatever is here already.
bare() {
    set -- -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/debs" \
        -o Dir::Cache::pkgcache="$work/pkgcache" -o Dir::Cache::srcpkgcache="$work/srcpkgcache" \
        -o APT::Sandbox::User=root -o Debug::NoLocking=1 -o APT::Install-Recommends=0 -qq "$@"
    if [ -n "${SUITE:-}" ]; then
        set -- -t "$SUITE" -o Dir::Etc::preferences="$work/preferences" \
            -o Dir::Etc::preferencesparts="$work/none" "$@"
    fi
    apt-get "$@"
}

# The packages that HAProxy would bring, one name_version a line.
wanted() {
    bare install --print-uris haproxy 2>"$work/said" |
        sed -n "s/^'[^']*' \([^_]*_[^_]*\)_.*/\1/p" >"$work/wanted" || true
    grep -q '^haproxy_' "$work/wanted"
}

# Of them the program opens libraries only; the rest would cost time.
fetch() {
    names=$(sed 's/_.*//' "$work/wanted" | grep -E '^(haproxy|lib.*)$' | grep -vE '^lib(apt|perl|python)')
    # shellcheck disable=SC2086
    (cd "$work/debs" && bare download $names)
    for deb in "$work"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/root" --keep-directory-symlink
    done
}

# The program, its loader where its header says, and its libraries where the loader looks for them.
pack() {
    program=$work/root/usr/sbin/haproxy
    loader=$(grep -aoE -m 1 '/lib[0-9a-z]*/ld-linux[-a-z0-9_]*\.so\.[0-9]+' "$program" | head -n 1)
    real=$(find "$work/root" -name "${loader##*/}" -type f | head -n 1)
    paths=$(find "$work/root" -name 'lib*.so.*' -exec dirname {} + | sort -u | tr '\n' ':')
    mkdir -p "$work/out/usr/sbin" "$work/out/etc" "$work/out/tmp" "$work/out/lib" "$work/out${loader%/*}"
    cp "$program" "$work/out/usr/sbin/"
    cp "$real" "$work/out$loader"
    "$real" --library-path "$paths" --list "$program" >"$work/opened"
    ! grep 'not found' "$work/opened" >&2
    sed -n 's|.* => \(/[^ ]*/lib[^/ ]*\) .*|\1|p' "$work/opened" | while read -r library; do
        cp -L "$library" "$work/out/lib/"
    done
    printf 'root:x:0:0:root:/:/bin/false\n' >"$work/out/etc/passwd"
    printf 'root:x:0:\n' >"$work/out/etc/group"
}

image() {
    set --
    for label in ${LABELS:-}; do
        set -- "$@" --change "LABEL $label"
    done
    tar -c --numeric-owner --owner=0 --group=0 -C "$work/out" . | docker import \
        --change 'ENTRYPOINT ["/usr/sbin/haproxy"]' --change 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin' \
        --change "LABEL org.opencontainers.image.version=$version" "$@" - "$name" >/dev/null
}

wanted || { apt-get -qq update >&2 && wanted; } || { cat "$work/said" >&2; exit 1; }
version=$(sed -n 's/^haproxy_//p' "$work/wanted" | sed 's/%3a/:/')
name=stackswap-haproxy:$(echo "$version" | tr -c 'A-Za-z0-9._\n-' '-')
if ! docker image inspect "$name" >/dev/null 2>&1; then
    echo made
    if [ -z "${CHECK:-}" ]; then
        fetch || { apt-get -qq update >&2 && wanted && fetch; }
        pack
        image
    fi
fi
echo "$name"
