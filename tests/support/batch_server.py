"""A log in memory behind the batch endpoint, which fails when a test says so.

For faults that a real server cannot be made to have at one exact moment: an answer that
is lost after the commit, a 429 for the second half of a batch.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

Reply = tuple[int, dict[str, str], dict[str, Any]]
Fault = Callable[["BatchServer", list[dict[str, Any]]], Reply | None]
"""What happens to one batch instead of an answer; None drops the connection."""


class BatchServer(ThreadingHTTPServer):
    """`log` is what is stored, in order; `faults` are used up one a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.log: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.batches = 0
        self.token = ""
        self.seqs: dict[str, int] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def store(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self._store(event) for event in events]

    def _store(self, event: dict[str, Any]) -> dict[str, Any]:
        if "bad" in event["payload"]["properties"]:
            return {"eventId": None, "stream": None, "seq": None, "error": "It is bad."}
        event_id = event["eventId"]
        if event_id not in self.seqs:
            self.log.append(event)
            self.seqs[event_id] = len(self.log)
        seq = self.seqs[event_id]
        return {"eventId": event_id, "stream": "s", "seq": seq, "error": None}

    def entities(self) -> list[str]:
        return [event["payload"]["entity_id"] for event in self.log]

    def values(self, name: str) -> list[Any]:
        return [event["payload"]["properties"].get(name) for event in self.log]


def answered(results: list[dict[str, Any]], **headers: str) -> Reply:
    failed = sum(1 for result in results if result["error"])
    counts = {"successful": len(results) - failed, "failed": failed}
    return 200, headers, {**counts, "results": results}


def busy(status: int, **headers: str) -> Fault:
    """Stores nothing and says so."""
    return lambda server, events: (status, headers, {"error": "Not now.", "code": "x"})


def lost_answer(server: BatchServer, events: list[dict[str, Any]]) -> None:
    """Stores everything, and the answer never arrives."""
    server.store(events)


def rate_limited_after(count: int) -> Fault:
    """Stores the first `count` events of the batch; the others are over the limit."""

    def fault(server: BatchServer, events: list[dict[str, Any]]) -> Reply:
        over = {"eventId": None, "stream": None, "seq": None}
        refused = [
            {**over, "error": "Too many.", "code": "rate_limited"}
            for _ in events[count:]
        ]
        results = server.store(events[:count]) + refused
        return answered(results, **{"Retry-After": "1"})

    return fault


class _Handler(BaseHTTPRequestHandler):
    server: BatchServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm: ClassVar[bool] = True

    def do_GET(self) -> None:
        log = self.server.log
        if self.path == "/api/health":
            self._answer(200, {}, {"status": "ok", "seq": len(log)})
            return
        if self.path.startswith("/api/state/entities"):
            is_list = "?" in self.path
            self._answer(200 if is_list else 404, {}, [] if is_list else {})
            return
        query = parse_qs(urlsplit(self.path).query)
        seq = int(query["before"][0]) - 1
        found = log[seq - 1 : seq] if seq <= len(log) else log[-1:]
        self._answer(200, {}, [{**event, "seq": seq} for event in found])

    def do_POST(self) -> None:
        server = self.server
        self.close_connection = False
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if server.token and self.headers["Authorization"] != f"Bearer {server.token}":
            self._answer(401, {}, {"error": "This needs a token."})
            return
        events = json.loads(body, parse_float=str)["events"]
        with server.lock:
            server.batches += 1
            fault = server.faults.pop(0) if server.faults else None
            reply = fault(server, events) if fault else answered(server.store(events))
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._answer(*reply)

    def _answer(self, status: int, headers: dict[str, str], body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def running() -> Iterator[BatchServer]:
    server = BatchServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
