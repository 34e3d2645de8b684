"""The values an operator changes while Flux runs (contract §7).

Invariant: what `current` answers is at most half a second older than the table, in
every process (`namespaces.registry` keeps it up); what a refused change said is never
kept, not even in part.
"""

from dataclasses import dataclass, fields
from typing import Any, cast

import msgspec
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from flux_project.errors import Invalid

_KIB, _MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Config:
    """The runtime configuration; its fields are the wire's and the table's names."""

    rate_limit_enabled: bool = True
    rate_limit_per_namespace_per_minute: int = 10_000
    body_size_limit_single_bytes: int = _MIB
    body_size_limit_batch_bytes: int = 10 * _MIB
    registrations_per_address_per_hour: int = 60
    failed_tokens_per_address_per_minute: int = 600


# What an operator may choose, inclusive.
BOUNDS = {
    "rate_limit_per_namespace_per_minute": (1, 10_000_000),
    "body_size_limit_single_bytes": (_KIB, 64 * _MIB),
    "body_size_limit_batch_bytes": (_KIB, 256 * _MIB),
    "registrations_per_address_per_hour": (1, 1_000_000),
    "failed_tokens_per_address_per_minute": (1, 1_000_000),
}
# What the API shows and changes (contract §7); the admin has the others too.
WIRE_NAMES = (
    "rate_limit_enabled",
    "rate_limit_per_namespace_per_minute",
    "body_size_limit_single_bytes",
    "body_size_limit_batch_bytes",
)
_NAMES = tuple(field.name for field in fields(Config))


class InvalidConfig(Invalid):
    """This is no valid runtime configuration."""

    code = "invalid_config"


_READ = sql.SQL("SELECT {} FROM namespaces_runtimeconfig").format(
    sql.SQL(", ").join(map(sql.Identifier, _NAMES))
)
_current = Config()


def current() -> Config:
    """The configuration in force in this process."""
    return _current


def refresh(connection: Connection[TupleRow]) -> Config:
    """Reads the table and puts it in force in this process."""
    row = connection.execute(_READ).fetchone()
    global _current
    if row is not None:
        _current = Config(*row)
    return _current


def take(stored: object) -> Config:
    """Puts in force what a row of the table says, which was changed just now."""
    global _current
    _current = Config(**{name: getattr(stored, name) for name in _NAMES})
    return _current


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
    return {name: value(name, given[name]) for name in WIRE_NAMES if name in given}


def value(name: str, given: object) -> object:
    """A value that this setting may have. Raises InvalidConfig."""
    if name not in BOUNDS:
        if not isinstance(given, bool):
            raise InvalidConfig(f"{name} must be true or false.", field=name)
        return given
    low, high = BOUNDS[name]
    is_whole = isinstance(given, int) and not isinstance(given, bool)
    if not is_whole or not low <= cast(int, given) <= high:
        message = f"{name} must be a whole number from {low} to {high}."
        raise InvalidConfig(message, field=name)
    return given


def as_dict(config: Config) -> dict[str, object]:
    """What the API shows of it."""
    return {name: getattr(config, name) for name in WIRE_NAMES}
