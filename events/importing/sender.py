"""Batches → a Flux server, until each is answered.

Invariant: `send` comes back only with an answer for every event, in order, or raises. A
batch whose answer got lost is sent again, which is safe because every event has an id.
"""

import random
import re
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote

import httpx
import msgspec
import tenacity

from flux_project.errors import Unavailable

STATE_PATH = "/api/state/entities"
BATCH_PATH = "/api/events/batch"
_ADDRESS = re.compile(
    r"https?://(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]?#@]+)(:\d{1,5})?(/[^\s?#]*)?"
)
_TIMEOUT = httpx.Timeout(60, connect=5)
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRY_ITEM_AGAIN = frozenset({"rate_limited", "unavailable", "overloaded"})
_LONGEST_PAUSE_SECONDS = 15.0

_Request = Callable[[], httpx.Response]


class ImportStopped(Unavailable):
    """The import cannot go on."""

    code = "import_stopped"


class _TryAgain(Exception):
    """No answer that lasts; `seconds` is what the server asked to wait, if it did."""

    def __init__(self, reason: str, seconds: float = 0) -> None:
        self.seconds = seconds
        super().__init__(reason)


class Answer(NamedTuple):
    """Where an event stands in the log, or why it is not there."""

    seq: int | None
    error: str | None


class _Result(msgspec.Struct):
    seq: int | None = None
    error: str | None = None
    code: str | None = None


class _Results(msgspec.Struct):
    results: list[_Result]


class _Health(msgspec.Struct):
    seq: int


class _StoredEvent(msgspec.Struct):
    eventId: str  # noqa: N815  the wire's name
    seq: int


class _Entity(msgspec.Struct):
    properties: dict[str, object]


class _Refusal(msgspec.Struct):
    error: str


class Sender:
    """One server. Its calls may come from several threads.

    patience_seconds: how long one request is tried before ImportStopped. on_wait is
    told why a request is tried again.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        patience_seconds: float = 300,
        on_wait: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers["content-type"] = "application/json"
        if not _ADDRESS.fullmatch(self.url):
            message = f"{url!r} is no address like http://localhost:3000."
            raise ImportStopped(message)
        self._client = httpx.Client(
            base_url=self.url, headers=headers, timeout=_TIMEOUT
        )
        self._stopping = threading.Event()
        self._on_wait = on_wait
        self._patiently = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=_pause,
            stop=tenacity.stop_after_delay(patience_seconds)
            | tenacity.stop_when_event_set(self._stopping),
            sleep=tenacity.sleep_using_event(self._stopping),
            before_sleep=self._tell,
            reraise=True,
        )

    def close(self) -> None:
        self._client.close()

    def stop(self) -> None:
        """Ends every wait; a request on its way is still answered."""
        self._stopping.set()

    def head(self) -> int:
        """The log's last seq. Raises ImportStopped at once when nobody answers."""
        try:
            answer = self._client.get("/api/health")
            return msgspec.json.decode(answer.content, type=_Health).seq
        except httpx.TransportError:
            message = f"No server answers at {self.url}. Start it with: make run"
            raise ImportStopped(message) from None
        except msgspec.DecodeError:
            message = (
                f"{self.url} does not answer like a healthy Flux server "
                f"(HTTP {answer.status_code}): {_said(answer)}"
            )
            raise ImportStopped(message) from None

    def holds(self, event_id: str, seq: int) -> bool:
        """Whether that event stands at that place of the log."""
        query = {"before": seq + 1, "limit": 1}
        answer = self._try(lambda: self._client.get("/api/events", params=query))
        try:
            found = msgspec.json.decode(answer.content, type=list[_StoredEvent])
        except msgspec.DecodeError:
            return False
        return any((item.eventId, item.seq) == (event_id, seq) for item in found)

    def count(self, prefix: str) -> int:
        """How many entities' ids begin so."""
        query = {"prefix": prefix}
        answer = self._try(lambda: self._client.get(STATE_PATH, params=query))
        return len(msgspec.json.decode(answer.content, type=list[msgspec.Raw]))

    def entity(self, entity_id: str) -> dict[str, object]:
        """The entity's properties now; empty when there is no such entity."""
        path = f"{STATE_PATH}/{quote(entity_id, safe='')}"
        answer = self._try(lambda: self._client.get(path), final=frozenset({404}))
        try:
            return msgspec.json.decode(answer.content, type=_Entity).properties
        except msgspec.DecodeError:
            return {}

    def send(self, events: Sequence[bytes]) -> list[Answer]:
        """Stores the events, in order; one answer for each."""
        answer = self._try(lambda: self._post(events), final=frozenset({413}))
        if answer.status_code != 413:
            return self._answers(answer, events)
        if len(events) == 1:
            return [Answer(None, _said(answer))]
        half = len(events) // 2
        return self.send(events[:half]) + self.send(events[half:])

    def _post(self, events: Sequence[bytes]) -> httpx.Response:
        body = b'{"events":[' + b",".join(events) + b"]}"
        return self._client.post(BATCH_PATH, content=body)

    def _answers(self, answer: httpx.Response, events: Sequence[bytes]) -> list[Answer]:
        try:
            results = msgspec.json.decode(answer.content, type=_Results).results
        except msgspec.DecodeError:
            results = []
        if len(results) != len(events):
            message = f"{self.url}{BATCH_PATH} answered a batch with: {_said(answer)}"
            raise ImportStopped(message)
        answers = [Answer(result.seq, result.error) for result in results]
        waiting = [
            at for at, item in enumerate(results) if item.code in _TRY_ITEM_AGAIN
        ]
        if waiting:
            seconds = _retry_after(answer) or 1.0
            self._on_wait(f"the server takes no more for {seconds:g} s")
            if self._stopping.wait(seconds):
                raise ImportStopped("Stopped while waiting for the server.")
            again = self.send([events[at] for at in waiting])
            for at, item in zip(waiting, again, strict=True):
                answers[at] = item
        return answers

    def _try(
        self, request: _Request, *, final: frozenset[int] = frozenset()
    ) -> httpx.Response:
        """A good answer, or one whose status is in `final`."""
        try:
            return self._patiently.copy()(self._once, request, final)
        except _TryAgain as error:
            message = f"The server at {self.url} did not take it: {error}."
            raise ImportStopped(message) from None

    def _once(self, request: _Request, final: frozenset[int]) -> httpx.Response:
        if self._stopping.is_set():
            raise ImportStopped("Stopped before the server took it.")
        try:
            answer = request()
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise _TryAgain(f"no answer ({reason})") from None
        if answer.status_code in _TRY_AGAIN:
            reason = f"HTTP {answer.status_code}, {_said(answer)}"
            raise _TryAgain(reason, _retry_after(answer))
        if answer.is_success or answer.status_code in final:
            return answer
        raise ImportStopped(f"HTTP {answer.status_code}: {_said(answer)}")

    def _tell(self, state: tenacity.RetryCallState) -> None:
        reason = state.outcome.exception() if state.outcome else None
        self._on_wait(f"{reason}; trying again in {state.upcoming_sleep:.1f} s")


def _pause(state: tenacity.RetryCallState) -> float:
    """What the server asked for, or 0.4 s, 0.8 s, … 15 s, each somewhat at random."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.seconds if isinstance(error, _TryAgain) else 0.0
    grown = min(0.2 * 2.0 ** min(state.attempt_number, 10), _LONGEST_PAUSE_SECONDS)
    return max(asked, grown * random.uniform(0.5, 1))  # noqa: S311  no secret


def _retry_after(answer: httpx.Response) -> float:
    """Its seconds; 0 without one (Flux never sends the form with a date)."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0


def _said(answer: httpx.Response) -> str:
    try:
        return msgspec.json.decode(answer.content, type=_Refusal).error
    except msgspec.DecodeError:
        return answer.text[:200]
