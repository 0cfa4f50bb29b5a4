"""Which lines of its own a service may have in the proxy."""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import raw


@pytest.mark.parametrize(
    "line",
    [
        "acl admin path_beg /admin",
        r"http-request deny if { path_reg \.php$ }",
        "http-request set-header X-Frame-Options DENY",
        "http-request set-var(req.slow) int(1)",
        "http-request return status 410 content-type text/plain string gone if { path /old }",
        "http-response set-header Cache-Control no-store",
        "http-after-response del-header server",
        "compression algo gzip",
        "filter compression",
        "timeout server 10m",
        "option http-buffer-request",
        "stick-table type ip size 100k expire 30s store http_req_rate(10s)",
        "http-request track-sc0 src",
        "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }",
        "balance leastconn",
        "# a word about it",
        "",
    ],
)
def test_what_stays_within_the_service_may_be(line: str) -> None:
    """HAProxy checks the rest."""
    assert raw.fault(line) == ""


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("server evil 10.0.0.1:80", "begins with server"),
        ("use-server blue1 if TRUE", "begins with use-server"),
        ("backend other:blue from web", "begins with backend"),
        ("frontend in", "begins with frontend"),
        ("bind :8080", "begins with bind"),
        (".if 1", "begins with .if"),
        ("errorfile 503 /etc/shadow", "begins with errorfile"),
        ("retries 0", "begins with retries"),
        ("option httpchk", "is not among"),
        ("timeout check 1s", "is not among"),
        ("filter spoe engine x", "is not among"),
        ("option", "is not among"),
        ("acl a hdr(x-stackswap-key) -m found", "stackswap's own"),
        ("acl stackswap-allowed always_true", "stackswap's own"),
        ("http-request set-map(/x/live.map) a b", "which other services share"),
        ("http-request del-acl(/x) %[src]", "which other services share"),
        ("http-request set-header x %[src,map_ip(/etc/passwd)]", "reads a file"),
        ("http-request deny if { src -f /etc/hosts }", "reads a file"),
        ("http-request return status 200 lf-file /etc/shadow", "reads a file"),
        ("http-request lua.run", "runs a program"),
        ("http-request use-service prometheus-exporter", "runs a program"),
        ("http-request set-var(txn.tell) bool(true)", "sets a variable"),
        ("http-request set-var(proc.x) int(1)", "sets a variable"),
        ("http-request unset-var(sess.x)", "sets a variable"),
        ("http-request set-var-fmt(txn.be) x", "sets a variable"),
        ('http-request set-header x "${HOME}"', "environment"),
        ('http-request set-header x "$HOME"', "environment"),
        ("http-request set-header x %[env(HOME)]", "environment"),
        ("acl a path /\n    server x 1.1.1.1:1", "ends a line"),
    ],
)
def test_what_reaches_beyond_is_refused_with_its_reason(line: str, why: str) -> None:
    """Other services, the server's files and what swaps lean on are out of reach."""
    assert why in raw.fault(line)


def test_the_first_fault_is_told_by_its_place() -> None:
    """So that it can be found."""
    assert raw.first_fault(["acl a path /", "bind :80", "listen x"]) == (1, raw.fault("bind :80"))
    assert raw.first_fault(["acl a path /"]) is None
