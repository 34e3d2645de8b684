"""The values an operator changes while Flux runs (contract §7).

Invariant: what `current` answers is at most POLL_SECONDS older than the table, in every
process; what a refused change said is never kept, not even in part.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import msgspec
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from flux_project.errors import Invalid

POLL_SECONDS = 0.5

_KIB, _MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Config:
    """The runtime configuration; its fields are the wire's and the table's names."""

    rate_limit_enabled: bool = True
    rate_limit_per_namespace_per_minute: int = 10_000
    body_size_limit_single_bytes: int = _MIB
    body_size_limit_batch_bytes: int = 10 * _MIB


# What an operator may choose, inclusive.
BOUNDS = {
    "rate_limit_per_namespace_per_minute": (1, 10_000_000),
    "body_size_limit_single_bytes": (_KIB, 64 * _MIB),
    "body_size_limit_batch_bytes": (_KIB, 256 * _MIB),
}
_NAMES = tuple(field.name for field in fields(Config))


class InvalidConfig(Invalid):
    """This is no valid runtime configuration."""

    code = "invalid_config"


_current = Config()


def current() -> Config:
    """The configuration in force in this process."""
    return _current


def refresh(connection: Connection[TupleRow]) -> Config:
    """Reads the table and puts it in force in this process."""
    row = connection.execute(
        "SELECT rate_limit_enabled, rate_limit_per_namespace_per_minute,"
        " body_size_limit_single_bytes, body_size_limit_batch_bytes"
        " FROM namespaces_runtimeconfig"
    ).fetchone()
    global _current
    if row is not None:
        _current = Config(*row)
    return _current


def change(connection: Connection[TupleRow], wanted: Mapping[str, Any]) -> Config:
    """Stores the wanted subset, checked by `checked`, and answers the whole."""
    if wanted:
        assignments = [
            sql.SQL("{} = %s").format(sql.Identifier(name)) for name in wanted
        ]
        connection.execute(
            sql.SQL("UPDATE namespaces_runtimeconfig SET {}").format(
                sql.SQL(", ").join(assignments)
            ),
            tuple(wanted.values()),
        )
    return refresh(connection)


def checked(body: bytes) -> dict[str, Any]:
    """A request's body as the subset it changes. Raises InvalidConfig."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        message = "The body must be a JSON object of settings."
        raise InvalidConfig(message) from None
    if not isinstance(given, dict):
        message = "The body must be a JSON object of settings."
        raise InvalidConfig(message)
    return {name: _checked_value(name, given[name]) for name in _NAMES if name in given}


def _checked_value(name: str, value: object) -> object:
    if name not in BOUNDS:
        if not isinstance(value, bool):
            raise InvalidConfig(f"{name} must be true or false.", field=name)
        return value
    low, high = BOUNDS[name]
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not low <= cast(int, value) <= high:
        message = f"{name} must be a whole number from {low} to {high}."
        raise InvalidConfig(message, field=name)
    return value


def as_dict(config: Config) -> dict[str, object]:
    return asdict(config)
