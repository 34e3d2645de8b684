"""A client's messages on their way in: small ones are read at once, others on threads.

Invariant: what is held of large messages counts among what this process holds of all
clients' bodies, from their arrival to their answer, and more so while they are read.
"""

import asyncio
from functools import partial
from weakref import WeakKeyDictionary

from django.conf import settings
from msgspec import Struct

from events import endpoints
from events.commands import Append
from events.envelope import Event
from flux_project import bodies
from flux_project.errors import FluxError, TooLarge, Unauthenticated
from namespaces import access, authentication, config
from namespaces.grants import Grant
from state import messages
from state.messages import Publish, Refused, Subscribe, Unsubscribe

# Reading so many bytes, or values, takes a millisecond or two; larger ones go to a
# thread.
THREAD_BYTES = 16 << 10
MOST_VALUES = 400
# From this size on they are read and stored in turns, as small events take several
# times the memory of their text. So much of a large one's size counts while it is read.
LARGE_BYTES = 1 << 20
LARGE_AT_ONCE = 2
WORTH_WHILE_READ = 3
MAX_MESSAGE_BYTES = 64 << 10

_NOT_BETWEEN_VALUES = bytes(c for c in range(256) if c not in b"[{,")
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
    WeakKeyDictionary()
)


class Publisher(Struct, frozen=True):
    """Who may be publishing on a socket: what its handshake said, and from where."""

    authorization: str | None
    address: str

    def grant(self, token: str | None, *, may_look: bool) -> Grant | None:
        """Whose token a message has, or its handshake; None in open mode.

        may_look: this is a thread, which may ask the database. Raises Unsure for a
        token that is unknown here if it is not, Unauthenticated and Unavailable.
        """
        if not settings.FLUX_AUTH_ENABLED:
            return None
        text = access.bearer(self.authorization) if token is None else token
        if text is None:
            raise MessageTokenRequired
        known = authentication.known_token(text)
        if known is not None:
            return known
        if not may_look:
            raise Unsure
        return authentication.authenticate_token(text, address=self.address)


class MessageTokenRequired(Unauthenticated):
    """Publishing needs a namespace's token: in the message, as token, or in the header
    Authorization of the handshake."""

    code = "token_required"


class Unsure(Exception):
    """Whether this is a token only the database can say."""


class Waiting(Struct):
    """A message that publishes, read but not yet committed. size: bytes it holds."""

    ref: bytes
    items: list[Event | FluxError]
    commands: list[Append]
    size: int


Read = Waiting | Subscribe | Unsubscribe | Refused


def is_long(text: bytes) -> bool:
    """Whether reading a message would hold up the loop. What is wrong with an item is
    found out in some 10 us, however few bytes it has."""
    return (
        len(text) > THREAD_BYTES
        or len(text.translate(None, _NOT_BETWEEN_VALUES)) > MOST_VALUES
    )


def hold(text: bytes) -> bool:
    """Counts a message that arrived; False: this process holds too much already."""
    try:
        if len(text) > THREAD_BYTES:
            bodies.budget.take(len(text))
    except FluxError:
        return False
    return True


def give_back(size: int) -> None:
    """A message of this size, which was held and read, is answered."""
    if size > THREAD_BYTES:
        bodies.budget.give(size)
    if size >= LARGE_BYTES:
        _turn().release()


def _turn() -> asyncio.Semaphore:
    """What those of this loop share."""
    loop = asyncio.get_running_loop()
    return _turns.setdefault(loop, asyncio.Semaphore(LARGE_AT_ONCE))


async def read_on_thread(text: bytes, publisher: Publisher) -> Read:
    """A large one has its turn until it is given back, also where this raises.

    Raises Overloaded when this process holds too much to read it.
    """
    loop = asyncio.get_running_loop()
    reading = partial(read, text, publisher, may_look=True)
    if len(text) < LARGE_BYTES:
        return await loop.run_in_executor(None, reading)
    await _turn().acquire()
    more = (WORTH_WHILE_READ - 1) * len(text)
    bodies.budget.take(more)
    try:
        return await loop.run_in_executor(None, reading)
    finally:
        bodies.budget.give(more)


def read(text: bytes, publisher: Publisher, *, may_look: bool = False) -> Read:
    """A message, as far as that needs no loop: threads may call this.

    may_look: as above; without it, Unsure is raised where that is needed.
    """
    try:
        message = messages.parse(text)
    except Refused as refused:
        return refused
    interest = None if isinstance(message, Publish) else message.interest
    try:
        if isinstance(message, Publish):
            grant = publisher.grant(message.token, may_look=may_look)
            return _publish(message, len(text), grant)
        _check_size(text, MAX_MESSAGE_BYTES)
    except FluxError as error:
        return Refused(error, message.ref, interest)
    return message


def _publish(message: Publish, size: int, grant: Grant | None) -> Waiting:
    current = config.current()
    _check_size(
        message.batch,
        current.body_size_limit_single_bytes + 2
        if message.is_single
        else current.body_size_limit_batch_bytes,
    )
    if message.fault is not None:
        raise message.fault
    items = endpoints.read_batch(message.batch, grant)
    return Waiting(message.ref, items, endpoints.appends(items, grant), size)


def _check_size(text: bytes, limit: int) -> None:
    if len(text) > limit:
        raise TooLarge(f"The message is larger than {limit} bytes.")
