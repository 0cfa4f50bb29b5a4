"""Which certificates the proxy is given, and which are refused by the name of their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import certificates
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.certificates import CertificateRefused, proven
from tests.lab import certs


def test_certificates_are_found_in_all_the_ways_that_clients_leave_them(tmp_path: Path) -> None:
    """One file, two files, a folder of certbot's; an issuer's own and a README are none."""
    certs.write(tmp_path, "one.example", "www.one.example")
    for name, kinds in (("two", (".crt", ".key")), ("three", ("/fullchain.pem", "/privkey.pem"))):
        cert, key = certs.pair(f"{name}.example")
        (tmp_path / "three").mkdir(exist_ok=True)
        (tmp_path / f"{name}{kinds[0]}").write_text(cert)
        (tmp_path / f"{name}{kinds[1]}").write_text(key)
    (tmp_path / "two.issuer.crt").write_text(certs.pair("issuer")[0])
    (tmp_path / "README").write_text("about")
    found = {one.file: one for one in proven(str(tmp_path))}
    assert sorted(found) == ["one.example.pem", "three.pem", "two.pem"]
    assert found["one.example.pem"].names == ("one.example", "www.one.example")
    assert all(text.count("BEGIN CERTIFICATE") == 1 and "PRIVATE" in text for text in (o.text for o in found.values()))
    assert "PRIVATE" not in repr(found)


def test_a_chain_comes_with_its_certificate(tmp_path: Path) -> None:
    """In the order of the file."""
    cert, key = certs.pair("a.example")
    (tmp_path / "a.pem").write_text(cert + certs.pair("issuer")[0] + key)
    (only,) = proven(str(tmp_path))
    assert only.text.count("BEGIN CERTIFICATE") == 2 and only.names == ("a.example",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("".join(certs.pair("x", since=-9, days=8)), "has expired"),
        ("".join(certs.pair("x", since=1)), "is not valid yet"),
        (certs.pair("x")[0] + certs.pair("y")[1], "does not match the key"),
        (certs.pair("x")[0], "no key in it or beside it"),
        (certs.pair("x")[1], "cannot be read"),
        ("junk", "cannot be read"),
        ("", "cannot be read"),
    ],
    ids=["expired", "early", "mismatch", "no key", "no certificate", "junk", "empty"],
)
def test_one_that_would_not_do_is_refused_by_its_name(tmp_path: Path, text: str, why: str) -> None:
    """However good the others are."""
    certs.write(tmp_path, "good.example")
    (tmp_path / "bad.pem").write_text(text)
    with pytest.raises(CertificateRefused, match=why) as refused:
        proven(str(tmp_path))
    assert "bad.pem" in str(refused.value) and "run setup again" in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    """A prompt would hang the job."""
    import subprocess

    cert, key = certs.pair("x")
    encrypt = ["openssl", "ec", "-aes128", "-passout", "pass:secret"]
    done = subprocess.run(encrypt, input=key, capture_output=True, text=True, check=True)
    (tmp_path / "bad.pem").write_text(cert + done.stdout)
    with pytest.raises(CertificateRefused, match=r"bad\.pem"):
        proven(str(tmp_path))


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_any_is_refused(tmp_path: Path, folder: str) -> None:
    """HAProxy itself would start and speak no TLS, or not start at all."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(CertificateRefused, match=folder):
        proven(str(tmp_path / folder))


def test_who_ends_soon_is_told(tmp_path: Path) -> None:
    """Two weeks before."""
    certs.write(tmp_path, "soon.example", days=11)
    certs.write(tmp_path, "later.example", days=40)
    (told,) = certificates.soon(proven(str(tmp_path)))
    assert "soon.example" in told and "9 days" in told


def test_copies_are_exactly_those_that_are_wanted(tmp_path: Path) -> None:
    """For root alone, and the same again writes nothing."""
    folder = tmp_path / "copies"
    certificates.put(str(folder), {"a.pem": "A\n", "b.pem": "B\n"})
    before = (folder / "a.pem").stat().st_ino
    certificates.put(str(folder), {"a.pem": "A\n", "c.pem": "C\n"})
    assert certificates.copies(str(folder)) == {"a.pem": "A\n", "c.pem": "C\n"}
    assert (folder / "a.pem").stat().st_ino == before
    assert {(folder / name).stat().st_mode & 0o777 for name in ("a.pem", "c.pem")} == {0o600}
