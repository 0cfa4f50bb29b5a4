"""TLS on the real HAProxy: certificates by host name, taken by a reload, refused before it; and the ways to https."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.balancer import Balancer, Unasked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.certificates import CertificateRefused
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Route
from tests.contract.proxies import SERVICE, Door, free_port, offered, until, web_servers
from tests.lab import acme, certs
from tests.lab.acme import responder
from tests.lab.building import docker
from tests.lab.client import Load

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    """Web servers for the slots."""
    with web_servers():
        yield


class Secure(Door):
    """A proxy that speaks TLS on port 443 of an address of the loopback of its own."""

    def __init__(self, suite: str, home: Path, **settings: object) -> None:
        self.folder, self.address = (
            home / "certificates",
            f"127.77.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}",
        )
        certs.write(self.folder, "a.example")
        super().__init__(suite, home / "home", certificates=str(self.folder))
        listen = (*self.settings.listen, f"{self.address}:443")
        self.settings = replace(self.settings, listen=listen, **settings)

    def shaken(self, name: str | None, protocols: tuple[str, ...] = ("h2", "http/1.1")) -> tuple[str | None, str]:
        """The protocol agreed on, and the first host name of the certificate that is shown to who asks for a name."""
        with self.tls(name, protocols) as stream:
            shown = stream.getpeercert(binary_form=True) or b""
            return stream.selected_alpn_protocol(), first_name(shown)

    def tls(self, name: str | None, protocols: tuple[str, ...]) -> ssl.SSLSocket:
        """A connection to the TLS port that offers these protocols."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(list(protocols))
        return context.wrap_socket(socket.create_connection((self.address, 443), 5), server_hostname=name)

    def secure(self, path: str, **headers: str) -> str:
        """The whole answer to one request by https."""
        head = "".join(f"{key.replace('_', '-')}: {text}\r\n" for key, text in headers.items())
        with self.tls("a.example", ("http/1.1",)) as stream:
            stream.sendall(f"GET {path} HTTP/1.0\r\n{head}\r\n".encode())
            return b"".join(iter(lambda: stream.recv(65536), b"")).decode()

    def log(self) -> list[dict[str, object]]:
        """The lines of JSON in the access log."""
        lines = docker("logs", self.settings.container).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def first_name(shown: bytes) -> str:
    """The first host name of a certificate."""
    found = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return found.value.get_values_for_type(x509.DNSName)[0]


@pytest.fixture(scope="module", params=offered(), ids=lambda suite: suite or "preferred")
def door(request, servers, tmp_path_factory) -> Iterator[Secure]:
    """A proxy with one certificate, which sends everyone to https."""
    challenges = str(free_port())
    more = {"redirect": True, "hsts": 300, "health_path": "/up", "acme": challenges, "access_log": "json"}
    with Secure(request.param, tmp_path_factory.mktemp("door"), **more) as made:
        made.proxy.open(SERVICE, (Route("a.example"), Route("b.example")))
        yield made


def test_the_clients_host_name_chooses_the_certificate(door) -> None:
    """A second one comes by a reload that loses nothing; who names no host gets the first by file name."""
    certs.write(door.folder, "b.example", "c.example")
    with Load("127.0.0.1", door.port, host="x", path="/up", rate=100, mix={"new": 4, "get": 4}) as load:
        told = door.setup()
        report = load.report()
    assert next(word for word in told if "b.example, c.example until" in word)
    assert told[-1] == "reloaded" and door.setup() == []
    names = {name: door.shaken(name)[1] for name in ("a.example", "b.example", "c.example", "x.example", None)}
    assert names == {
        **dict.fromkeys(["b.example", "c.example"], "b.example"),
        **dict.fromkeys(["a.example", "x.example", None], "a.example"),
    }
    assert report.lost == 0 and report.requests, report.kinds


def test_the_client_chooses_the_protocol(door) -> None:
    """HTTP/2 where it can."""
    assert door.shaken("a.example")[0] == "h2"
    assert door.shaken("a.example", ("http/1.1",))[0] == "http/1.1"


def test_a_renewed_certificate_is_taken_and_a_bad_one_is_not(door) -> None:
    """The old ones stay, through a restart of the proxy too; the folder's state then does not count."""
    path = certs.write(door.folder, "a.example", "renewed.example")
    assert any("renewed.example" in word for word in door.setup())
    good = path.read_text()
    for bad in ("".join(certs.pair("a.example", since=-9, days=8)), good.replace("BEGIN", "BEGUN"), certs.pair("a")[0]):
        path.write_text(bad)
        with pytest.raises(CertificateRefused, match=r"a\.example\.pem"):
            door.setup()
        assert door.shaken("renewed.example")[1] == "a.example"
    docker("restart", "--time=1", door.settings.container)
    until(door.answers)
    assert door.shaken("renewed.example")[1] == "a.example"
    path.write_text(good)
    assert door.setup() == []


def test_a_certificate_that_is_gone_is_shown_no_more(door) -> None:
    """By the next setup."""
    path = certs.write(door.folder, "gone.example")
    door.setup()
    assert door.shaken("gone.example")[1] == "gone.example"
    path.unlink()
    assert "certificate gone.example.pem no more" in door.setup()
    assert door.shaken("gone.example")[1] == "a.example"


def test_who_comes_by_http_is_sent_to_https_and_stays_there(door) -> None:
    """With the path and the query; methods and bodies are kept by 308. https is not redirected, and is told to stay."""
    sent = door.raw(door.port, b"", "/x/y?z=1", {"Host": "A.example:80"})
    assert sent.startswith("HTTP/1.1 308") and "location: https://a.example/x/y?z=1" in sent
    assert "strict-transport" not in sent.lower()
    here = door.secure("/", Host="a.example")
    assert here.startswith("HTTP/1.") and " 200 " in here.splitlines()[0] and "blue1" in here
    assert "strict-transport-security: max-age=300" in here
    assert "HTTP_X_FORWARDED_PROTO=https" in door.secure("/cgi-bin/env", Host="a.example")


def test_the_servers_key_and_the_health_path_are_answered_by_http(door) -> None:
    """A deploy confirms through the public door, a balancer asks it."""
    assert door.confirm(SERVICE).told == f"{SERVICE}:blue blue1 blue"
    for host in ("a.example", "nobody.example"):
        assert (door.get(host, "/up").status, door.get(host, "/up").body) == (200, "ok")


def test_a_server_that_drains_answers_the_balancer_otherwise_and_all_else_as_before(door) -> None:
    """Also after a restart of the proxy; in again, it answers as it did. Both are no news the second time."""
    balancer = Balancer(door.settings, Locks(door.settings.home).proxy)
    for times, drains in ((1, True), (2, True), (1, False), (2, False)):
        told = balancer.drain() if drains else balancer.undrain()
        assert told is (times == 1) and balancer.drained() is drains
        assert (door.get("a.example", "/up").status, door.get("a.example", "/up").body) == (
            (503, "drains") if drains else (200, "ok")
        )
        assert door.confirm(SERVICE).told == f"{SERVICE}:blue blue1 blue"
        if drains and times == 2:
            docker("restart", "--time=1", door.settings.container)
            until(door.answers)
            assert door.get("a.example", "/up").status == 503


def test_each_request_to_a_service_is_noticed_and_the_balancers_own_are_not(door) -> None:
    """So that idle means that nobody comes."""
    balancer = Balancer(door.settings, Locks(door.settings.home).proxy)
    before = balancer.traffic(())
    door.get("a.example", "/up")
    assert balancer.traffic(()) == before
    door.confirm(SERVICE)
    assert balancer.traffic(())[1] != before[1]


def test_a_proxy_that_no_balancer_asks_cannot_drain(door) -> None:
    """Nobody would notice."""
    with pytest.raises(Unasked, match="health_path is not set"):
        Balancer(replace(door.settings, health_path=""), Locks(door.settings.home).proxy).drain()


def test_challenges_reach_the_acme_client_by_http(door) -> None:
    """For every host name, also one that no service has; without a client there the answer is an error, and soon."""
    asked = "/.well-known/acme-challenge/token-1"
    assert door.get("new.example", asked).status == 503
    with responder(int(door.settings.acme), {asked: b"token-1.thumb"}):
        until(lambda: door.get("new.example", asked).body == "token-1.thumb")
        assert door.get("a.example", asked).body == "token-1.thumb"
        assert door.get("a.example", "/.well-known/other").status == 308


def test_a_certificate_is_got_and_renewed_through_the_proxy(door) -> None:
    """An authority asks by http for what the client answers there; setup takes what it gave, and loses nothing."""
    client = acme.Client(int(door.settings.acme), door.folder)
    authority = acme.Authority("127.0.0.1", door.port)
    with Load("127.0.0.1", door.port, host="x", path="/up", rate=50, mix={"new": 2, "get": 2}) as load:
        shown = []
        for _time in ("got", "renewed"):
            client.get(authority, "acme.example")
            assert door.setup()[-1] == "reloaded"
            with door.tls("acme.example", ("http/1.1",)) as stream:
                shown.append(stream.getpeercert(binary_form=True))
        report = load.report()
    assert first_name(shown[0]) == first_name(shown[1]) == "acme.example" and shown[0] != shown[1]
    assert report.lost == 0 and report.requests, report.kinds
    with pytest.raises(acme.Unproven):
        authority.certify("acme.example", "token-nobody-answers", "thumb")


def test_the_access_log_tells_who_answered_and_no_secret(door) -> None:
    """A line of JSON a request, with service, slot and server; queries, headers and keys are in none."""
    door.secure('/a"b/%7f?token=s3cret', Host="a.example", Authorization="Bearer s3cret", Cookie="id=s3cret")
    door.confirm(SERVICE, "/logged")
    until(lambda: {"/logged", '/a"b/%7f'} <= {str(one["path"]) for one in door.log()})
    line = next(one for one in door.log() if one["path"] == '/a"b/%7f')
    assert (line["service"], line["slot"], line["server"], line["host"]) == (SERVICE, "blue", "blue1", "a.example")
    assert (line["method"], line["status"], line["client"]) == ("GET", 404, "127.0.0.1")
    assert line["version"] == "-"
    assert isinstance(line["ms"], int) and isinstance(line["bytes"], int)
    for number, version in enumerate(("1.0", "1.1-rc.2")):
        door.proxy.label(SERVICE, "blue", version)
        door.confirm(SERVICE, f"/version{number}")
        until(lambda path=f"/version{number}": path in {str(one["path"]) for one in door.log()})
        assert next(one for one in door.log() if one["path"] == f"/version{number}")["version"] == version
    said = docker("logs", door.settings.container)
    assert "s3cret" not in said and door.key not in said
