# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of the frontend that settings ask for: where it listens, whom it believes, what it notes down."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    Settings,
    binds,
    layout,
)

HTTPS, TOLD = "{ var(txn.https) -m bool }", "{ var(txn.tell) -m bool }"
CHALLENGE = "/.well-known/acme-challenge/"
HOPS = 3  # trusted proxies in a row that are looked past for the client
DRAINED = "server"  # the one key of the map that says that the balancer is to leave this server out
ASK_AGAIN = 308  # as the same method, with the same body

JSON = {  # what is noted of a request; no header but the host's name, and no query, may hold a secret
    "time": '"%[date,utime(%Y-%m-%dT%H:%M:%SZ)]"',
    "client": '"%[var(txn.src)]"',
    "method": '"%HM"',
    "host": '"%[var(txn.host),json(utf8s)]"',
    "path": '"%[var(txn.path),json(utf8s)]"',
    "protocol": '"%HV"',
    "status": "%ST",
    "bytes": "%B",
    "ms": "%Ta",
    "service": '"%[var(txn.svc),json(utf8s)]"',
    "slot": '"%[var(txn.slot)]"',
    "version": '"%[var(txn.svc),concat(:,txn.slot),map({versions}),json(utf8s)]"',
    "server": '"%s"',
    "retries": '"%rc"',
    "end": '"%tsc"',
}


def bind_lines(settings: Settings) -> list[str]:
    """A line for each address. [::] takes IPv4 too, unless the port has a bind for that."""
    tls = f" ssl crt {layout(settings).certificates} alpn h2,http/1.1"
    pairs = binds(settings)
    plain = {port for address, port in pairs if "[" not in address}
    return [
        f"    bind {address}:{port}{tls if port == 443 else ''}{' v6only' if '[' in address and port in plain else ''}"
        for address, port in pairs
    ]


def client_lines(settings: Settings) -> list[str]:
    """Who the client is: the connection tells, and those that are trusted may tell otherwise."""
    trusted = " ".join(settings.trusted)
    lines = []
    if trusted and settings.proxy_protocol:
        lines.append(f"    tcp-request connection expect-proxy layer4 if {{ src {trusted} }}")
    strangers = f" unless {{ src {trusted} }}" if trusted and not settings.proxy_protocol else ""
    for name in ("for", "host", "port", "proto"):
        lines.append(f"    http-request del-header x-forwarded-{name}{strangers}")
    for scheme, test in (("https", "{ ssl_fc }"), ("http", "!{ ssl_fc }")):
        untold = "!{ req.hdr(x-forwarded-proto) -m found }"
        lines.append(f"    http-request set-header x-forwarded-proto {scheme} if {untold} {test}")
    return [*lines, *source_lines(settings)]


def source_lines(settings: Settings) -> list[str]:
    """The client's address and how it came, for lists and the log: of those that are told, the last not trusted."""
    lines = ["    http-request set-var(txn.src) src"]
    trusted = " ".join(settings.trusted) if not settings.proxy_protocol else ""
    for hop in range(1, HOPS + 1) if trusted else ():
        told = f"req.hdr_ip(x-forwarded-for,-{hop})"
        known = f"{{ var(txn.src) -m ip {trusted} }}"
        lines.append(f"    http-request set-var(txn.src) {told} if {known} {{ {told} -m found }}")
    https = "{ req.hdr(x-forwarded-proto) -m str https }"
    return [*lines, f"    http-request set-var(txn.https) bool(true) if {https}"]


def health_lines(settings: Settings) -> list[str]:
    """The proxy's own word to a balancer in front, whatever the services do: another one while the server drains."""
    asked = f"if {{ path -m str {settings.health_path} }}"
    drains = f"{{ str({DRAINED}),map({layout(settings).drain}) -m found }}"
    answer = 'http-request return status {} content-type text/plain string "{}"'
    lines = [f"    {answer.format(503, 'drains')} {asked} {drains}", f"    {answer.format(200, 'ok')} {asked}"]
    return lines if settings.health_path else []


def way_lines(settings: Settings) -> list[str]:
    """What comes before any service: certificates' challenges, and the way from http to https."""
    lines = []
    if settings.acme:
        lines.append(f"    http-request set-var(txn.acme) bool(true) if {{ path_beg {CHALLENGE} }}")
        lines.append("    http-request unset-var(txn.svc) if { var(txn.acme) -m bool }")
    if settings.redirect:
        there = "https://%[req.hdr(host),host_only]%[pathq]"
        others = f"{{ req.hdr(host) -m found }} !{HTTPS} !{TOLD} !{{ var(txn.acme) -m bool }}"
        lines.append(f"    http-request redirect location {there} code {ASK_AGAIN} if {others}")
    if settings.hsts:
        age = f'strict-transport-security "max-age={settings.hsts}"'
        lines.append(f"    http-after-response set-header {age} if {HTTPS}")
    return lines


def log_lines(settings: Settings) -> list[str]:
    """The access log, on the container's standard output."""
    if settings.access_log == "none":
        return []
    out = ["    log stdout format raw local0 info", "    option dontlognull"]
    if settings.access_log == "http":
        return [*out, "    option httplog"]
    fields = ",".join(f'"{name}":{value}' for name, value in JSON.items())
    fields = fields.replace("{versions}", layout(settings).versions)
    return [*out, "    http-request set-var(txn.host) req.hdr(host)", f"    log-format '{{{fields}}}'"]


def challenge_lines(settings: Settings) -> list[str]:
    """The backend that an ACME client answers challenges from; nobody is there most of the time."""
    if not settings.acme:
        return []
    place = settings.acme if ":" in settings.acme else f"127.0.0.1:{settings.acme}"
    server = f"    server acme {place} error-limit 1000000 on-error fastinter"
    return ["", "backend acme from web", "    retries 1", server]


def use_lines(settings: Settings) -> list[str]:
    """Challenges go to their backend."""
    return ["    use_backend acme if { var(txn.acme) -m bool }"] if settings.acme else []


PARTS: Mapping[str, Callable[[Settings], list[str]]] = {
    "binds": bind_lines,
    "log": log_lines,
    "client": client_lines,
    "health": health_lines,
    "way": way_lines,
    "use": use_lines,
    "challenges": challenge_lines,
}


def parts(settings: Settings) -> dict[str, str]:
    """All of them by name, each as text that ends its own lines."""
    return {name: "".join(f"{line}\n" for line in lines(settings)) for name, lines in PARTS.items()}
