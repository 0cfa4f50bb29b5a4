# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates: found in a folder of the server, tried, and copied to where the proxy reads them.

The proxy reads only copies that a handshake has proven: a file that goes bad later cannot keep it from coming up.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files

PARTIAL_CHAIN = 0x80000  # the leaf itself is trusted; ssl has a name for it from Python 3.10 on
LEAF, KEYS = (".pem", ".crt", ".cer"), (".key", ".pem.key", ".crt.key")
ISSUER = ".issuer.crt"  # lego leaves it beside, and it is in the chain
EXPIRED, EARLY = 10, 9  # of OpenSSL's reasons not to trust
MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
DAYS, SOON = 86400, 14
TURNS = 10
CURE = "Nothing was changed: the proxy serves with the certificates that it has. Mend {folder}, then run setup again"


class CertificateRefused(BadInput):
    """A certificate that would not do; the old ones stay."""

    cause = "certificate_refused"


@dataclass(frozen=True)
class Certificate:
    """One that has been proven. file: the name of its copy. until: seconds since the epoch."""

    file: str
    names: tuple[str, ...]
    until: float
    text: str = field(repr=False)

    @property
    def words(self) -> str:
        """For people."""
        return f"{', '.join(self.names) or self.file} until {time.strftime('%Y-%m-%d', time.gmtime(self.until))}"


def proven(folder: str) -> tuple[Certificate, ...]:
    """All certificates of the folder; refuses none at all, and each that would not do, by its file's name."""
    try:
        found = tuple(tried(folder, *pair) for pair in pairs(folder))
    except OSError as error:
        raise refused(folder, f"{error.filename or folder}: {error.strerror}") from error
    if not found:
        raise refused(folder, f"there is no certificate in {folder}: put NAME.pem there, or NAME.crt and NAME.key")
    return found


def pairs(folder: str) -> Iterator[tuple[str, str, str]]:
    """The name, the certificate's path and the key's path of each: of files, and of folders as certbot makes them."""
    for entry in sorted(os.listdir(folder)):
        path = os.path.join(folder, entry)
        stem, ending = os.path.splitext(entry)
        if os.path.isdir(path):
            if os.path.exists(os.path.join(path, "fullchain.pem")):
                yield entry, os.path.join(path, "fullchain.pem"), os.path.join(path, "privkey.pem")
        elif ending in LEAF and not entry.startswith(".") and not entry.endswith(ISSUER):
            keys = (os.path.join(folder, stem + one) for one in KEYS)
            yield stem, path, next(filter(os.path.exists, keys), path)


def tried(folder: str, name: str, cert: str, key: str) -> Certificate:
    """A certificate that a client shakes hands over; one that is expired, early, or not the key's is refused."""
    try:
        told = handshake(cert, key)
    except ssl.SSLCertVerificationError as error:
        why = {EXPIRED: "has expired", EARLY: "is not valid yet"}.get(error.verify_code, error.verify_message)
        raise refused(folder, f"the certificate {cert} {why}") from error
    except ssl.SSLError as error:
        raise refused(folder, f"the certificate {cert} {reason(error, cert, key)}") from error
    alternatives = dict.fromkeys(value for _kind, value in told.get("subjectAltName", ()))
    with open(cert, encoding="ascii") as first, open(key, encoding="ascii") as second:
        text = first.read().rstrip() + "\n" + ("" if cert == key else second.read().rstrip() + "\n")
    until = ssl.cert_time_to_seconds(told["notAfter"])
    return Certificate(f"{name}.pem", tuple(alternatives), until, text)


def reason(error: ssl.SSLError, cert: str, key: str) -> str:
    """What is wrong, where OpenSSL tells it by a word."""
    if error.reason in MISMATCHES:
        return f"does not match the key in {key}"
    if cert == key:
        return f"cannot be read, or there is no key in it or beside it ({error.reason or error.strerror})"
    return f"or its key {key} cannot be read ({error.reason or error.strerror})"


def handshake(cert: str, key: str) -> dict[str, Any]:
    """What a client that trusts this very certificate is shown by a server that has it."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(cert, key, password="")  # an encrypted key fails, and asks nobody
    client.check_hostname = False
    client.load_verify_locations(cert)
    client.verify_flags |= ssl.VerifyFlags(PARTIAL_CHAIN)
    to, fro = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(fro, to), server.wrap_bio(to, fro, server_side=True))
    for _turn in range(TURNS):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends[0].getpeercert() or {}


def refused(folder: str, why: str) -> CertificateRefused:
    """The refusal, with what to do."""
    return CertificateRefused(f"{why}. {CURE.format(folder=folder)}")


def soon(found: tuple[Certificate, ...], now: Callable[[], float] = time.time) -> list[str]:
    """Warnings of those that end within two weeks."""
    left = [(one, int((one.until - now()) // DAYS)) for one in found]
    return [f"the certificate {one.file} ({one.words}) ends in {days} days" for one, days in left if days < SOON]


# -- the copies


def copies(folder: str) -> dict[str, str]:
    """The copies that the proxy reads, by name."""
    with suppress(FileNotFoundError):
        return {name: files.read(os.path.join(folder, name)) for name in sorted(os.listdir(folder)) if name[0] != "."}
    return {}


def put(folder: str, wanted: dict[str, str]) -> None:
    """Have exactly these copies; each is whole at every moment."""
    os.makedirs(folder, files.FOLDER_MODE, exist_ok=True)
    for name, text in wanted.items():
        if files.read(os.path.join(folder, name)) != text:
            files.write(os.path.join(folder, name), text)
    for name in copies(folder):
        if name not in wanted:
            files.drop(os.path.join(folder, name))
