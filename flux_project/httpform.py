"""A finished reply as the bytes of an HTTP/1.1 answer. Pure."""

from functools import lru_cache
from http import HTTPStatus

from flux_project.reply import Reply

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
# An answer's head up to the length of its body.
_STARTS = {
    status: line
    + b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"
    b"content-length: "
    for status, line in _STATUS_LINES.items()
}
_NOT_MODIFIED = 304
_END = b"\r\n"
_CLOSING_END = b"connection: close\r\n\r\n"


def http(reply: Reply, *, keep_alive: bool) -> bytes:
    """The whole answer; without `keep_alive` it says that the connection ends."""
    if reply.status == _NOT_MODIFIED:
        head = _STATUS_LINES[_NOT_MODIFIED]
    else:
        head = b"%b%d\r\n" % (_STARTS[reply.status], len(reply.body))
    if reply.headers:
        head += _lines(reply.headers)
    return head + (_END if keep_alive else _CLOSING_END) + reply.body


@lru_cache(maxsize=256)
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    """The headers of one group's answers are often the same."""
    lines = [f"{name.lower()}: {value}\r\n" for name, value in headers]
    return "".join(lines).encode("latin-1")
