#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Start the engine where no init system does, in a session of its own, and wait until it answers.
set -eu
seconds=${1:-60}
log=/var/log/stackswap-engine.log
pidfile=/run/docker.pid

ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
cd /
umask 022
# The caller's variables stay outside, but for those by which one reaches a registry.
set -- "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root
for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR; do
  eval "value=\${$name:-}"
  if [ -n "$value" ]; then set -- "$@" "$name=$value"; fi
done
setsid env -i "$@" dockerd --pidfile "$pidfile" >>"$log" 2>&1 </dev/null &

waited=0
until env -i "$@" docker version >/dev/null 2>&1; do
  if [ "$waited" -ge "$seconds" ] || ! kill -0 $! 2>/dev/null; then
    echo "The engine does not answer after $waited s. The last lines of $log:" >&2
    tail -n 15 "$log" >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done
cat "$pidfile"
