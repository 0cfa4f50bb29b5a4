# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy is told: a base file that knows no service, and never changes with a deploy."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import gate
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.entrance import parts
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    RUN,
    Settings,
    layout,
)

KEY_HEADER = "x-stackswap-key"
SERVICE_HEADER = "x-stackswap-service"
TOLD_HEADER = "x-stackswap-slot"
PREVIEW_HEADER = "x-stackswap-preview"

BASE = """\
# Written by stackswap. Services are in conf.d, which of their slots serves is in maps/live.map.
global
    stats socket "${{{run}}}/admin.sock" mode 660 level admin expose-fd listeners
    hard-stop-after 24h
    maxconn {maxconn}
    ssl-default-bind-options ssl-min-ver TLSv1.2
{load}
defaults web
    mode http
    option forwardfor
    option redispatch 1
    option idle-close-on-response
    retries 3
    retry-on conn-failure
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout queue 30s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout tunnel 1h
    timeout check 3s
    default-server inter 500ms fastinter 50ms downinter 150ms fall 2 rise 2 observe layer4 error-limit 1 on-error mark-down

frontend in from web
{binds}{log}{client}{health}    # Whoever has the server's key may choose a service, and is told who answered.
    http-request set-var(txn.tell) bool(true) if {{ req.hdr({key_header}) -m str -f {key} }}
    http-request set-var(txn.svc) req.hdr({service_header}) if {{ var(txn.tell) -m bool }}
    http-request del-header {key_header}
    http-request del-header {service_header}
    # Whoever has the word of a preview gets to the slot of the service that it was made for.
    http-request set-var(txn.preview) req.hdr({preview_header}),map({preview}) if {{ req.hdr({preview_header}) -m found }}
    http-request del-header {preview_header}
    http-request set-var(txn.svc) var(txn.preview),field(1,:) if {{ var(txn.preview) -m found }}
    # Which service: the longest prefix of host and path. The last slash keeps /apix from /api.
    http-request set-var(txn.path) path
    http-request set-var(txn.door) req.hdr(host),host_only,lower,concat(,txn.path,/)
    http-request set-var(txn.svc) var(txn.door),map_beg({route}) unless {{ var(txn.svc) -m found }}
{way}    # In maintenance everyone gets the page but who has the server's key or a preview's word, and addresses let by.
    http-request set-var(txn.closed) var(txn.svc),map({closed}) unless {{ var(txn.tell) -m bool }} || {{ var(txn.preview) -m found }}
    http-request set-var(txn.client) var(txn.src),hex,lower
    http-request set-var(txn.by) var(txn.svc),concat(/,txn.client),map_beg({bypass}) if {{ var(txn.closed) -m found }}
{hold}    # Which slot.
    http-request set-var(txn.val) var(txn.svc),map({live},none)
    # A share of the requests, or of the clients, gets the candidate, which the live release is the backup of.
    http-request set-var(txn.canary) var(txn.svc),map({canary}) unless {{ var(txn.tell) -m bool }}
    http-request set-var(txn.share) var(txn.canary),field(2,:),add(0) if {{ var(txn.canary) -m found }}
    http-request set-var(txn.dice) rand(100) if {{ var(txn.canary) -m found }}
    http-request set-var(txn.dice) var(txn.src),xxh32,mod(100) if {{ var(txn.canary),field(3,:) -m str client }}
    http-request set-var(txn.dice) var(txn.dice),sub(txn.share) if {{ var(txn.canary) -m found }}
    http-request set-var(txn.val) var(txn.canary),field(1,:) if {{ var(txn.canary) -m found }} {{ var(txn.dice) -m int lt 0 }}
    http-request set-var(txn.val) var(txn.preview),field(2,:) if {{ var(txn.preview) -m found }}
    http-request set-var(txn.slot) var(txn.val),field(1,.)
    http-request set-var(txn.be) var(txn.svc),concat(:,txn.val)
    http-request set-var(txn.wait) var(txn.svc),concat(:wait-,txn.slot)
    http-after-response del-header {told_header}
    http-after-response set-header {told_header} "%b %s %[var(txn.val)]" if {{ var(txn.tell) -m bool }}
    http-request return status 404 content-type text/plain string "no service here" unless {{ var(txn.svc) -m found }} || {{ var(txn.acme) -m bool }}
{use}    use_backend %[var(txn.svc),concat(:maintenance)] if {{ var(txn.closed) -m found }} !{{ var(txn.by) -m found }}
    use_backend %[var(txn.wait)] if {{ var(txn.slot) -m str blue green }} {{ var(txn.be),nbsrv eq 0 }}
    use_backend %[var(txn.be)]
    default_backend nowhere

backend nowhere from web
    http-request return status 503 content-type text/plain string "no release"
{challenges}"""  # noqa: E501


def base(settings: Settings) -> str:
    """The base configuration."""
    paths = layout(settings)
    return BASE.format(
        run=RUN,
        maxconn=settings.maxconn,
        **parts(settings),
        **gate.parts(paths),
        key=paths.key,
        route=paths.route,
        live=paths.live,
        preview=paths.preview,
        canary=paths.canary,
        closed=paths.closed,
        bypass=paths.bypass,
        key_header=KEY_HEADER,
        service_header=SERVICE_HEADER,
        told_header=TOLD_HEADER,
        preview_header=PREVIEW_HEADER,
    )
