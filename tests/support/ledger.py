"""The log held against what writers were told, and followers that watch it grow.

Invariant: `check` passes exactly when every acknowledged event is in the log once, at
the place that was answered, and nothing is there that was refused or half of a request.
"""

import re
from collections.abc import Mapping
from typing import Any

import psycopg

from flux_project import credentials, places
from tests.support import session
from tests.support.client import Answer, Line, request
from tests.support.load import Load, Place, Request
from tests.support.servers import Flux, manage

Database = psycopg.Connection[tuple[Any, ...]]
_NEXT = re.compile(r"before=(\d+)")


def of(flux: Flux) -> Database:
    """A connection to the database of a whole Flux."""
    secrets = credentials.load(flux.data_dir)
    assert secrets is not None
    return psycopg.connect(
        host=str(flux.places.sockets),
        port=places.PORT,
        user=places.USER,
        password=secrets.database_password,
        dbname=places.DATABASE,
        autocommit=True,
    )


def at(name: str) -> Database:
    """A connection to a database of the tests' own cluster."""
    return psycopg.connect(session.database_url(name), autocommit=True)


def check(connection: Database, load: Load, *, after: int = 0) -> int:
    """Holds the log behind `after` against the account; how many events it has."""
    rows = connection.execute(
        "SELECT seq, event_id, payload::json #>> '{properties,mark}'"
        " FROM events_event WHERE seq > %s ORDER BY seq",
        (after,),
    ).fetchall()
    assert [row[0] for row in rows] == list(range(after + 1, after + 1 + len(rows)))
    log = {mark: (event_id, seq) for seq, event_id, mark in rows}
    assert len(log) == len(rows), "an event is there twice"
    requests = load.requests
    sent = {mark for one in requests for mark in one.marks}
    assert len(sent) == sum(len(one.marks) for one in requests)
    assert log.keys() <= sent, "somebody else wrote here"
    for one in requests:
        _check_request(one, [log.get(mark) for mark in one.marks])
    return len(rows)


def _check_request(one: Request, found: list[Place | None]) -> None:
    """All of a request is in the log, in order and without a hole, or none."""
    seqs = [place[1] for place in found if place is not None]
    if one.is_stored:
        assert found == one.places, (one, found)
        assert one.duplicates in {0, len(found)}, one
    elif not one.is_unknown:
        assert not seqs, f"refused with {one.code}, and yet stored: {one}"
    if seqs:
        whole = list(range(seqs[0], seqs[0] + len(found)))
        assert seqs == whole, f"half applied: {one}"


def verify(env: Mapping[str, str]) -> None:
    """The state is what the log makes of it, byte for byte."""
    done = manage("flux_verify", env=env)
    assert done.returncode == 0, done.stdout + done.stderr


class Follower:
    """Reads the log behind the last seq it saw, and never misses a step."""

    def __init__(self, connection: Database) -> None:
        self.connection = connection
        self.seen = 0
        self.rounds = 0

    def __call__(self) -> None:
        rows = self.connection.execute(
            "SELECT seq FROM events_event WHERE seq > %s ORDER BY seq", (self.seen,)
        ).fetchall()
        found = [row[0] for row in rows]
        # One that was committed later at a lower place would be missing here for ever.
        assert found == list(range(self.seen + 1, self.seen + 1 + len(found)))
        self.seen += len(found)
        self.rounds += bool(found)


class HttpFollower:
    """The same through `GET /api/events`, which answers the newest first."""

    def __init__(self, port: int) -> None:
        self.line = Line(port)
        self.seen = 0
        self.marks: dict[int, str] = {}
        self.rounds = 0

    def __call__(self) -> None:
        fresh: list[int] = []
        before: str | None = ""
        while before is not None:
            answer = self._page(before)
            page = [one for one in answer.json if one["seq"] > self.seen]
            fresh += [one["seq"] for one in page]
            self.marks |= {
                one["seq"]: one["payload"]["properties"]["mark"] for one in page
            }
            older = _NEXT.search(answer.headers.get("link", ""))
            is_behind = len(page) == len(answer.json)
            before = f"&before={older[1]}" if older and is_behind else None
        assert fresh == list(range(self.seen + len(fresh), self.seen, -1))
        self.seen += len(fresh)
        self.rounds += bool(fresh)

    def close(self) -> None:
        self.line.close()

    def _page(self, before: str) -> Answer:
        self.line.send(request("GET", f"/api/events?limit=500{before}"))
        answer = self.line.answer()
        assert answer.status == 200, answer
        return answer
