#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: proxy
short_description: Run the proxy of a server
version_added: "0.1.0"
author:
  - stackswap contributors (@stackswap)
description:
  - Runs HAProxy as a container on the host's network, with the folders that services are
    registered in, and makes the network in which the services' containers have fixed addresses.
  - A server runs one proxy. M(stackswap.bluegreen.release) registers services with it.
  - A port that another process has is refused with its owner's name, before any change.
  - New addresses and trusted networks are taken by a reload, which loses no request.
  - For another O(image) or O(maxconn) a second container takes over the listening sockets; the one before
    takes no new connections, keeps the sessions that it has, and ends with them, after ten minutes at the latest.
    No request is lost. An upgrade that was cut off is ended by the next run.
requirements:
  - docker (the Python library)
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
    details:
      - A missing network is not foretold if the proxy's container is there.
  diff_mode:
    description: Shows what it changes.
    support: none
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
options:
  state:
    description:
      - V(present) has the proxy running as the options say.
      - V(absent) removes its container and files, and is refused while it has services. The
        network stays.
    type: str
    choices: [present, absent]
    default: present
  home:
    description: The folder of what stackswap keeps on the server.
    type: path
    default: /var/lib/stackswap
  listen:
    description:
      - The ports, or addresses with ports, such as V(80), V(127.0.0.1:8080) or V([::]:80).
      - Port 443 speaks TLS and HTTP/2 and needs O(certificates).
    type: list
    elements: str
    default: ["80"]
  certificates:
    description:
      - A folder on the server with the certificates, each with its chain, C(NAME.pem) with the key in it or in
        C(NAME.key), C(NAME.crt) and C(NAME.key), or a folder C(NAME) with C(fullchain.pem) and C(privkey.pem).
        At least one must be there.
      - They are copied. One that has expired, is not valid yet or does not fit its key is refused, and the copies in
        use stay.
    type: path
  trusted:
    description:
      - Networks of proxies and load balancers before this one, such as V(10.0.0.0/8).
      - Their C(X-Forwarded-*) headers are kept. Those of all others are removed.
    type: list
    elements: str
    default: []
  proxy_protocol:
    description:
      - Expect the PROXY protocol from the O(trusted) networks. C(X-Forwarded-*) headers are then
        kept from nobody.
    type: bool
    default: false
  redirect:
    description:
      - Send who comes by http to https. Needs port 443 or O(trusted) proxies.
    type: bool
    default: false
  hsts:
    description: For how many seconds browsers shall come by https alone. With V(0) they are told nothing.
    type: int
    default: 0
  health_path:
    description: A path that the proxy itself answers with 200 while it serves.
    type: str
  acme:
    description:
      - Where challenges below C(/.well-known/acme-challenge/) are answered, a port of the server or an address with a
        port.
    type: str
  access_log:
    description:
      - What is written to the container's output of each request. V(json) is a line of JSON without queries and
        headers, V(http) HAProxy's own form.
    type: str
    choices: [json, http, none]
    default: none
  maxconn:
    description: How many connections may be open at once.
    type: int
    default: 4000
  container:
    description: The name of the container.
    type: str
    default: stackswap-proxy
  image:
    description: The image of HAProxy 2.6 or newer. It must be on the server.
    type: str
    default: docker.io/library/haproxy:lts
  network:
    description: The name of the network of the services' containers.
    type: str
    default: stackswap
  subnet:
    description: The subnet of O(network). Its lower half is for fixed addresses.
    type: str
    default: 172.30.64.0/20
  labels:
    description: Labels that a new container gets besides our own.
    type: dict
    default: {}
  docker_host:
    description:
      - The engine's address. If absent, the environment variable E(DOCKER_HOST), else the host's
        own.
    type: str
seealso:
  - module: stackswap.bluegreen.release
"""

EXAMPLES = r"""
- name: Run the proxy
  stackswap.bluegreen.proxy:
    listen: ["80", "443"]
    certificates: /etc/ssl/stackswap

- name: Run it behind a load balancer
  stackswap.bluegreen.proxy:
    trusted: [192.0.2.0/24]
    health_path: /up
    access_log: json

- name: Answer an ACME client's challenges, and send everybody else to https
  stackswap.bluegreen.proxy:
    listen: ["80", "443"]
    certificates: /etc/letsencrypt/live
    acme: "8402"
    redirect: true
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, in words.
  returned: success
  type: list
  elements: str
  sample: [made network stackswap, container made]
container:
  description: The name of the container.
  returned: success
  type: str
  sample: stackswap-proxy
cause:
  description: What kind of failure it was, for example C(port_taken).
  returned: failure
  type: str
log:
  description: The proxy's own words about what failed.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.proxy_module import run_proxy


def main() -> None:
    spec = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "home": {"type": "path", "default": "/var/lib/stackswap"},
        "listen": {"type": "list", "elements": "str", "default": ["80"]},
        "certificates": {"type": "path"},
        "trusted": {"type": "list", "elements": "str", "default": []},
        "proxy_protocol": {"type": "bool", "default": False},
        "redirect": {"type": "bool", "default": False},
        "hsts": {"type": "int", "default": 0},
        "health_path": {"type": "str"},
        "acme": {"type": "str"},
        "access_log": {"type": "str", "choices": ["json", "http", "none"], "default": "none"},
        "maxconn": {"type": "int", "default": 4000},
        "container": {"type": "str", "default": "stackswap-proxy"},
        "image": {"type": "str", "default": "docker.io/library/haproxy:lts"},
        "network": {"type": "str", "default": "stackswap"},
        "subnet": {"type": "str", "default": "172.30.64.0/20"},
        "labels": {"type": "dict", "default": {}},
        "docker_host": {"type": "str"},
    }
    run_proxy(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
