"""Clients of the live feed: a WebSocket, and a stream of Server-Sent Events."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.account import DIRECTORY, Asked, Interest
from tests.support.client import Answer, Api, Line, request
from tests.support.listener import HOST, SECONDS, End, Listener, connected
from tests.support.view import Frame, View


class Socket(Listener):
    """A WebSocket. `query` begins with a question mark, or is empty."""

    def __init__(
        self,
        port: int,
        query: str = "",
        *,
        receive_bytes: int | None = None,
        view: View | None = None,
        **headers: str,
    ) -> None:
        super().__init__(view=view)
        line = connected(port, receive_bytes)
        self.account.ask_by(query)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        opening = connect(
            f"ws://{HOST}:{port}/api/ws{query}",
            sock=line,
            compression=None,
            additional_headers=names,
            proxy=None,
            ping_interval=None,
            open_timeout=SECONDS,
            close_timeout=5,
            max_size=None,
            # A client with a small buffer is meant to be one that has no room.
            max_queue=None if receive_bytes is None else 1,
        )
        # It lives longer than a block does: `close` ends it.
        self.connection: ClientConnection = opening.__enter__()

    def _texts(self) -> Iterator[str]:
        try:
            while True:
                message = self.connection.recv()
                assert isinstance(message, str), "frames are text"
                yield message
        except ConnectionClosed as closed:
            if closed.rcvd is None:
                self.ended(End(1006, ""))
            else:
                self.ended(End(closed.rcvd.code, closed.rcvd.reason))

    def send(self, message: str | bytes | dict[str, Any]) -> None:
        """A dict goes as JSON, bytes as a binary frame."""
        text = json.dumps(message) if isinstance(message, dict) else message
        self.connection.send(text)

    def ask(
        self,
        wanted: Mapping[str, str] | None = None,
        /,
        *,
        since: int | None = None,
        snapshot: bool = False,
        **named: str,
    ) -> Asked:
        """Subscribes (`entity_id="*"`, `prefix=` or `namespace=`), without waiting."""
        ((kind, value),) = (wanted or named).items()
        message: Frame = {"type": "subscribe", kind: value}
        if since is not None:
            message["since"] = since
        if snapshot:
            message["snapshot"] = True
        with self.news:
            asked = self.account.ask(
                Interest(kind, value), since=since, snapshot=snapshot
            )
        self.send(message)
        return asked

    def subscribe(
        self,
        wanted: Mapping[str, str] | None = None,
        /,
        *,
        since: int | None = None,
        snapshot: bool = False,
        **named: str,
    ) -> Frame:
        """The acknowledgement."""
        self.ask(wanted, since=since, snapshot=snapshot, **named)
        return self.next("subscribed")

    def unsubscribe(self, **interest: str) -> Frame:
        self.send({"type": "unsubscribe", **interest})
        return self.next("unsubscribed")

    def publish(self, *events: Frame, ref: object = None) -> Frame:
        """The acknowledgement."""
        self.send({"type": "publish", "ref": ref, "events": list(events)})
        return self.next("published")

    def vanish(self) -> None:
        """Ends the connection without a word of the protocol."""
        with suppress(OSError):
            self.connection.socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self.connection.socket.close()

    def close(self) -> None:
        self.connection.close()
        self.join()


class Refused(Exception):
    """The stream was answered with another status than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class Stream(Listener):
    """Server-Sent Events. `ids` has the id of each frame, None where there is none."""

    def __init__(
        self,
        port: int,
        query: str = "",
        *,
        receive_bytes: int | None = None,
        view: View | None = None,
        **headers: str,
    ) -> None:
        super().__init__(view=view)
        self.ids: list[str | None] = []
        self.comments: list[str] = []
        self._line = connected(port, receive_bytes)
        connection = HTTPConnection(HOST, port)
        connection.sock = self._line
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"/api/stream{query}", headers=names)
        self.response: HTTPResponse = connection.getresponse()
        if self.response.status != 200:
            body = self.response.read()
            self._line.close()
            raise Refused(self.response.status, body)
        last = headers.get("last_event_id", "")
        self.account.ask_by(query, last_event_id=last)

    def _texts(self) -> Iterator[str]:
        try:
            fields: dict[str, str] = {}
            for raw in self.response:
                line = raw.decode().removesuffix("\n")
                if line.startswith(":"):
                    self.comments.append(line[1:].strip())
                elif line:
                    name, _, value = line.partition(": ")
                    assert name not in fields, f"{name} stands twice"
                    fields[name] = value
                elif "data" in fields:
                    self.ids.append(fields.get("id"))
                    yield fields["data"]
                    fields = {}
        except (OSError, HTTPException, ValueError) as error:
            self.ended(End(1006, repr(error)))
        self.ended(End(1000, "the stream is over"))

    def close(self) -> None:
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self.join()
        self.response.close()
        self._line.close()


def fence(api: Api, *listeners: Listener) -> int:
    """Its seq: a tombstone, of which all are told. What came before it has come."""
    for listener in listeners:
        # Whose first subscription is yet to begin is told of nothing before it.
        listener.wait(listener.account.has_begun, what="its first acknowledgement")
    seq = api.publish("fence", __deleted__=True)
    for listener in listeners:
        # What was conflated is announced first.
        listener.wait(partial(listener.account.has_got, seq), what=f"seq {seq}")
    return seq


Heard = tuple[str, str, object]


def heard(listener: Listener) -> list[Heard]:
    """(entity, property, value) of each update; the fence is left out.

    In place of the property stand `touched`, `deleted` and `removed …`.
    """
    found: list[Heard] = []
    for frame in listener.of("state_update", "entity_touched", "entity_deleted"):
        entity_id, kind = frame["entity_id"], frame["type"].removeprefix("entity_")
        if entity_id.endswith("/fence") or frame["entity_id"] == DIRECTORY:
            continue
        if kind == "state_update":
            removed = "removed " if frame.get("removed") else ""
            found.append((entity_id, removed + frame["property"], frame["value"]))
        else:
            found.append((entity_id, kind, None))
    return found


UPGRADE = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec_websocket_version": "13",
    "sec_websocket_key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def handshake(port: int, query: str = "", /, **headers: str) -> Answer:
    """How a handshake is answered, byte for byte."""
    line = Line(port)
    try:
        line.send(request("GET", f"/api/ws{query}", **UPGRADE | headers))
        return line.answer()
    finally:
        line.close()
