# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The settings of a server's proxy."""

    DOCUMENTATION = r"""
options:
  proxy:
    description: The proxy of the server. One setting for all services of a server.
    type: dict
    suboptions:
      listen:
        description:
          - The ports that the proxy listens on, each alone or behind an address,
            such as V(80), V(127.0.0.1:8080) or V([::]:80).
          - Port 443 is TLS and needs C(certificates).
          - Defaults to port V(80) on every address.
        type: list
        elements: raw
      certificates:
        description:
          - A folder on the server with the certificates, each with its chain. The client's host name chooses among
            them; who names none gets the first by file name.
          - C(NAME.pem) holds the key, too, or C(NAME.key) does; so do C(NAME.crt) and C(NAME.key), or the
            C(fullchain.pem) and C(privkey.pem) of a folder C(NAME), as certbot makes them.
          - Setup copies them. One that has expired, is not valid yet or does not fit its key is refused, and the copies
            that are in use stay. Run setup again for new ones; a reload reads them, which loses no request.
          - Without it the proxy speaks no TLS.
        type: raw
      trusted:
        description:
          - Networks whose word about the client is believed, such as those of a load balancer in front.
          - Defaults to none, and the proxy removes what clients say of themselves in C(X-Forwarded-*) headers.
        type: list
        elements: raw
      proxy_protocol:
        description:
          - Whether the C(trusted) networks tell the client by the PROXY protocol rather than by headers.
          - Defaults to V(false).
        type: bool
      redirect:
        description:
          - Whether who comes by http is sent to https, with 308. Needs port 443, or C(trusted) proxies that speak TLS.
          - A service can ask for it alone. Challenges of C(acme) and the C(health_path) are answered by http all the
            same.
          - Defaults to V(false).
        type: bool
      hsts:
        description:
          - For how many seconds browsers shall come by https alone, told them over https in
            C(Strict-Transport-Security). They believe it, so begin with a short time.
          - Defaults to V(0), which tells them nothing.
        type: int
      health_path:
        description:
          - A path that the proxy itself answers with 200 while it serves, whatever the host name, for a balancer in
            front.
          - Defaults to none.
        type: raw
      acme:
        description:
          - Where an ACME client answers HTTP-01 challenges, a port of the server, such as V(8402), or an address with a
            port. Requests below C(/.well-known/acme-challenge/) go there.
          - Defaults to none.
        type: raw
      access_log:
        description:
          - The form of the access log, which goes to the output of the proxy's container. V(json) is a line of JSON for
            each request, with service, slot, version and server, and without queries and headers, which may hold
            secrets. V(http) is HAProxy's own form, queries in it.
          - Defaults to V(none).
        type: raw
        choices: [json, http, none]
      maxconn:
        description: The most connections at once. Defaults to V(4000).
        type: int
      subnet:
        description:
          - The subnet of the network that services' containers are in.
          - It cannot change while a service has addresses in it.
          - The lower half holds the fixed addresses, sixteen a service. The engine hands out the upper half.
          - Defaults to V(172.30.64.0/20), which is enough for 127 services.
        type: raw
      image:
        description: The image of the proxy. Defaults to V(docker.io/library/haproxy:lts).
        type: raw
      home:
        description:
          - The folder on the server for all that stackswap keeps there, for root alone. At most 70 bytes, for the
            paths of the sockets below it.
          - Defaults to V(/var/lib/stackswap).
        type: raw
      container:
        description: The name of the proxy's container. Defaults to V(stackswap-proxy).
        type: raw
      network:
        description: The name of the network that services' containers are in. Defaults to V(stackswap).
        type: raw
      labels:
        description: More labels of the proxy's container, names and values as text. Defaults to none.
        type: dict
"""
