"""Who reads a long list slowly harms nobody: no transaction is open meanwhile.

Durations are not asserted, but what would grow with them: the age of transactions, row
versions that cannot be removed, memory.
"""

import time
from collections.abc import Callable

import psutil
import pytest

from tests.support import ledger, load
from tests.support.client import Api, Line, event, request
from tests.support.ledger import Database
from tests.support.load import Load
from tests.support.servers import Flux

StartFlux = Callable[..., Flux]
ENTITIES = 50_000
FILLER = "x" * 400
BATCH = 1_000
# More readers than there are connections for lists, each at 10 KB/s.
READERS = 6
BYTES_A_TURN, TURN_SECONDS = 1_000, 0.1
READING_SECONDS = 15.0
# Statements are ended after 5 s; nothing of Flux holds a transaction longer than one.
OLDEST_TRANSACTION_SECONDS = 5.0
# Six lists of 25 MB are read. Measured: 31 MB, and 150 MB when they are kept whole.
MAX_GROWTH_BYTES = 64 << 20
# Of the entities' table. Measured: 22 bytes a write, and 290 with a transaction open.
MAX_TABLE_GROWTH_BYTES_A_WRITE = 100


@pytest.fixture
def flux(start_flux: StartFlux) -> Flux:
    """With entities enough for a list that no socket's buffers hold."""
    started = start_flux()
    api = Api(started.port)
    for start in range(0, ENTITIES, BATCH):
        events = [_filled(number) for number in range(start, start + BATCH)]
        answer = api.post("/api/events/batch", {"events": events})
        assert answer.json["successful"] == BATCH
    api.close()
    return started


def _filled(number: int) -> dict[str, object]:
    return event(f"many/{number:06}", {"filler": FILLER})


class Observer:
    """Looks at the database and the server's memory, again and again."""

    def __init__(self, connection: Database, flux: Flux) -> None:
        self.connection = connection
        self.process = psutil.Process(flux.worker_pids()[0])
        self.oldest_seconds = 0.0
        self.peak = 0

    def __call__(self) -> None:
        row = self.connection.execute(
            "SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0)"
            " FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()
        assert row is not None
        self.oldest_seconds = max(self.oldest_seconds, float(row[0]))
        self.peak = max(self.peak, self.process.memory_info().rss)

    def table_bytes(self) -> int:
        row = self.connection.execute(
            "SELECT pg_relation_size('state_entity')"
        ).fetchone()
        assert row is not None
        return int(row[0])


def open_list(flux: Flux) -> Line:
    line = Line(flux.port, receive_bytes=4096)
    line.send(request("GET", "/api/state/entities?prefix=many/"))
    return line


def read_slowly(lines: list[Line]) -> None:
    until = time.monotonic() + READING_SECONDS
    while time.monotonic() < until:
        for line in lines:
            line.buffer += line.socket.recv(BYTES_A_TURN)
        time.sleep(TURN_SECONDS)


def test_a_list_read_at_ten_kilobytes_a_second(flux: Flux) -> None:
    api = Api(flux.port)
    head = api.head()
    with ledger.of(flux) as watching, ledger.of(flux) as connection:
        observer = Observer(watching, flux)
        with load.running([flux.port], writers=6, pause=0) as running:
            running.goes_on(500)
            observer()
            size, memory = observer.table_bytes(), observer.peak
            lines = [open_list(flux) for _ in range(READERS)]
            with load.repeating(observer, pause=0.2):
                read_slowly(lines)
                others_are_served(api, running)
            grown = observer.table_bytes() - size
        ledger.check(connection, running, after=head)
    assert observer.oldest_seconds < OLDEST_TRANSACTION_SECONDS
    most = MAX_TABLE_GROWTH_BYTES_A_WRITE * running.stored
    assert grown < most, "dead rows pile up"
    assert observer.peak - memory < MAX_GROWTH_BYTES
    the_list_is_whole(lines[0])
    for line in lines:
        line.close()
    api.close()


def others_are_served(api: Api, running: Load) -> None:
    """Other lists too, though more are being read than there are connections."""
    assert len(api.get("/api/state/entities?prefix=many/00000").json) == 10
    assert api.get("/api/health").status == 200
    running.goes_on()


def the_list_is_whole(line: Line) -> None:
    ids = [entity["id"] for entity in line.answer().json]
    assert ids == [f"many/{number:06}" for number in range(ENTITIES)]
