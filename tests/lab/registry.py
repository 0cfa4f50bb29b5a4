"""A small image registry on this machine and a stand-in for an engine, to answer as they are told."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socketserver
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"
CONFIG = "application/vnd.docker.container.image.v1+json"


class Registry:
    """Serves the images that it holds. login: who may; refusal: what it answers instead; asked: the paths so far."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.things: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        self.login: tuple[str, str] | None = None
        self.refusal: tuple[int, str] | None = None
        self._server = ThreadingHTTPServer((address, 0), _handler(self))
        self.address = f"{address}:{self._server.server_port}"

    def __enter__(self) -> Registry:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def refuse(self, status: int, code: str) -> None:
        """Answer every request for a manifest so."""
        self.refusal = (status, code)

    def hold(self, repository: str, tag: str) -> str:
        """Hold a local image as repository:1 and answer its digest."""
        saved = subprocess.run(["docker", "save", tag], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
            told = json.load(_member(archive, "manifest.json"))[0]
            config = _member(archive, told["Config"]).read()
            layers = [_member(archive, name).read() for name in told["Layers"]]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(repository, CONFIG, config),
            "layers": [self._blob(repository, LAYER, layer) for layer in layers],
        }
        text = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        for name in ("1", digest):
            self.things[f"/v2/{repository}/manifests/{name}"] = (MANIFEST, text)
        return digest

    def _blob(self, repository: str, kind: str, data: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.things[f"/v2/{repository}/blobs/{digest}"] = ("application/octet-stream", data)
        return {"mediaType": kind, "size": len(data), "digest": digest}

    def answer(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Status, type and body for a path."""
        if self.login:
            wanted = base64.b64encode(":".join(self.login).encode()).decode()
            if authorization != f"Basic {wanted}":
                return 401, "application/json", _error("UNAUTHORIZED")
        if path == "/v2/":
            return 200, "application/json", b"{}"
        if self.refusal:
            return self.refusal[0], "application/json", _error(self.refusal[1])
        kind, body = self.things.get(path, ("application/json", b""))
        return (200, kind, body) if body else (404, kind, _error("MANIFEST_UNKNOWN"))

    @staticmethod
    @contextmanager
    def socket(path: Path, api: str) -> Iterator[Path]:
        """An engine that knows but its version."""

        class Engine(_Quiet):
            def do_GET(self) -> None:
                body = json.dumps({"ApiVersion": api, "Version": "0"}).encode()
                self.reply(200, "application/json", body)

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        with Server(str(path), Engine) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield path
            server.shutdown()
        path.unlink()


class _Quiet(BaseHTTPRequestHandler):
    """Says nothing of what it does."""

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def address_string(self) -> str:
        return "local"

    def reply(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        """Send it all."""
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(_Quiet):
        def do_GET(self) -> None:
            registry.asked.append(self.path)
            status, kind, body = registry.answer(self.path, self.headers.get("Authorization", ""))
            headers = {"Docker-Distribution-Api-Version": "registry/2.0"}
            if status == 401:
                headers["WWW-Authenticate"] = 'Basic realm="lab"'
            if status == 200 and "/manifests/" in self.path:
                headers["Docker-Content-Digest"] = f"sha256:{hashlib.sha256(body).hexdigest()}"
            self.reply(status, kind, body, **headers)

        do_HEAD = do_GET  # noqa: N815 - the library's name

    return Handler


def _error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()


def _member(archive: tarfile.TarFile, name: str) -> Any:
    return archive.extractfile(name)
