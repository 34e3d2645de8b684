"""A small HTTP client on a bare socket: it sends what a test says, byte for byte.

Invariant: every answer under /api that passes through `Api` was checked to be JSON, and
every error among them to have the one shape (contract §0). Every wait is bounded.
"""

import itertools
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SECONDS = 30.0
# A server ends a connection on which nothing was asked for 75 s.
IDLE_SECONDS = 50.0
ERROR_KEYS = {"error", "code", "field", "index"}
ADMIN_HEADER = "Bearer the admin token of the tests"
_PAGES = ("/api/docs", "/api/schema")
_numbers = itertools.count(1)


class HungUp(Exception):
    """The server ended the connection where an answer should begin."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> object:
        return self.json.get("code")


def request(
    method: str,
    path: str | bytes,
    body: bytes | None = None,
    /,
    **headers: str,
) -> bytes:
    """A request's bytes; `if_none_match="…"` is the header If-None-Match."""
    target = path.encode() if isinstance(path, str) else path
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target)]
    given = {"host": "localhost"} | headers
    if body is not None and "transfer_encoding" not in given:
        given.setdefault("content_length", str(len(body)))
    for name, value in given.items():
        lines.append(f"{name.replace('_', '-')}: {value}".encode("latin-1"))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


class Line:
    """One TCP connection to a server."""

    def __init__(self, port: int, *, receive_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(SECONDS)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            raise HungUp(self.buffer[:100])
        self.buffer += data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def answer(self, *, to: str = "GET") -> Answer:
        """The next answer; HungUp when the server ends the connection instead."""
        status_line, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(status_line.split()[1])
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(self._chunks())
        elif to != "HEAD" and status >= 200:
            body = self._exactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body)

    def _chunks(self) -> list[bytes]:
        chunks = []
        while size := int(self._until(b"\r\n"), 16):
            chunks.append(self._exactly(size))
            self._exactly(2)
        self._exactly(2)
        return chunks

    def is_over(self) -> bool:
        """Whether the server has nothing more to say: waits for its end."""
        try:
            self._more()
        except HungUp:
            return True
        return False

    def close(self) -> None:
        self.socket.close()

    def vanish(self) -> None:
        """Ends the connection with a reset, as a client that was killed may."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


class Api:
    """A server's API over one kept-alive connection, in a namespace of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.space = f"space-{next(_numbers)}"
        self._line: Line | None = None
        self._used_at = 0.0

    def ask(
        self,
        method: str,
        path: str | bytes,
        body: bytes | str | object = None,
        **headers: str,
    ) -> Answer:
        """The answer; a body that is neither bytes nor None goes as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()  # before the server does
        if self._line is None:
            self._line = Line(self.port)
        line, self._used_at = self._line, time.monotonic()
        try:
            line.send(request(method, path, body, **headers))
        except (BrokenPipeError, ConnectionResetError):
            self._line = None  # the answer may have come before the body was sent
        answer = line.answer(to=method)
        if answer.headers.get("connection") == "close":
            self.close()
        text = path.decode("latin-1") if isinstance(path, bytes) else path
        if text.startswith("/api") and not text.startswith(_PAGES):
            check_shape(answer, method)
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return self.ask("POST", path, body, **headers)

    def id(self, name: str) -> str:
        """An entity id in this client's own namespace."""
        return f"{self.space}/{name}"

    def publish(self, name: str, **properties: object) -> int:
        """Publishes an event about `id(name)`; its seq."""
        answer = self.post("/api/events", event(self.id(name), properties))
        assert answer.status == 200, answer.body
        seq: int = answer.json["seq"]
        return seq

    def entity(self, name: str) -> Answer:
        return self.get(f"/api/state/entities/{self.id(name)}")

    def head(self) -> int:
        """The seq of the last event in the log."""
        seq: int = self.get("/api/health").json["seq"]
        return seq

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def check_shape(answer: Answer, method: str) -> None:
    if answer.status in {204, 304} or method == "HEAD":
        assert answer.body == b""
        return
    assert answer.headers["content-type"] == "application/json", answer
    found = answer.json
    if answer.status >= 400:
        assert {"error", "code"} <= set(found) <= ERROR_KEYS, found
        assert isinstance(found["error"], str)
        assert found["error"].strip()


def event(
    entity_id: object, properties: object = None, **more: object
) -> dict[str, Any]:
    """An event as clients send it; `more` are further keys, `payload` among them."""
    payload = {"entity_id": entity_id, "properties": properties or {}}
    return {"stream": "tests", "source": "pytest", "payload": payload, **more}


def next_page(answer: Answer) -> str | None:
    """The path and query of the next page, from the Link header; None on the last."""
    link = answer.headers.get("link")
    if link is None:
        return None
    address, _, relation = link.partition("; ")
    assert relation == 'rel="next"', link
    parts = urlsplit(address.strip("<>"))
    return f"{parts.path}?{parts.query}"
