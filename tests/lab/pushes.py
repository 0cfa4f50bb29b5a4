"""A registry that takes what is pushed to it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Registry:
    """It keeps what is pushed, and gives it out; to those alone who are logged in, if it has a login."""

    def __init__(self, login: str = "", address: str = "127.0.0.1") -> None:
        """login: a name, a colon and a password. address: one of this machine's."""
        self.login = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self.kept: dict[str, bytes] = {}
        self.server = ThreadingHTTPServer((address, 0), type("Answers", (Handler,), {"registry": self}))
        self.address = f"{address}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """How it answers."""

    registry: Registry
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"  # by the answer to what is no request, an engine learns that there is no TLS

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer(self) -> None:
        data = self.body()
        if self.registry.login and self.headers.get("Authorization") != self.registry.login:
            self.reply(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', WWW_Authenticate='Basic realm="lab"')
            return
        path, _, query = self.path.partition("?")
        way = {"POST": self.begin, "PATCH": self.more, "PUT": self.end}.get(self.command, self.give)
        way(path, query, data)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def begin(self, path: str, query: str, data: bytes) -> None:
        self.more(f"{path.rstrip('/')}/{uuid.uuid4()}", query, data)

    def more(self, path: str, query: str, data: bytes) -> None:
        self.registry.kept[path] = self.registry.kept.get(path, b"") + data
        size = len(self.registry.kept[path])
        self.reply(202, Location=f"http://{self.registry.address}{path}", Range=f"0-{max(size - 1, 0)}")

    def end(self, path: str, query: str, data: bytes) -> None:
        whole = (self.registry.kept.pop(path, b"") if "/uploads" in path else b"") + data
        digest = f"sha256:{hashlib.sha256(whole).hexdigest()}"
        place = path.rsplit("/uploads", 1)[0] if "/uploads" in path else path.rsplit("/", 1)[0]
        self.registry.kept[f"{place}/{digest}"] = self.registry.kept[path] = whole
        self.reply(201, Docker_Content_Digest=digest)

    def give(self, path: str, query: str, data: bytes) -> None:
        found = b"{}" if path == "/v2/" else self.registry.kept.get(path)
        kind = json.loads(found).get("mediaType", "") if found and "/manifests/" in path else "application/json"
        self.reply(200 if found else 404, found or b'{"errors":[]}', Content_Type=kind)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - the library's names
