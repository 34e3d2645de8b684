"""`manage.py flux_token`: a namespace's tokens from the shell (docs/operations.md)."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from namespaces import (
    audit,
    issuing,
    requests,
    rows,
    shown,
)
from namespaces.grants import Scope
from namespaces.issuing import Made
from namespaces.management import terminal
from namespaces.models import Token

COLUMNS = (
    "id",
    "label",
    "scopes",
    "prefix",
    "made (UTC)",
    "last used",
    "expires",
    "state",
)


class Command(BaseCommand):
    """Works beside running servers, which know of it within a second."""

    help = "Make, list, rotate and revoke the tokens of a namespace."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        create = actions.add_parser("create", help="make one")
        create.add_argument("name", metavar="NAMESPACE")
        create.add_argument("--label", required=True, help="what it is for")
        create.add_argument(
            "--scope",
            nargs="+",
            action="extend",
            choices=[str(scope) for scope in Scope],
            help="what it may do (default: publish)",
        )
        create.add_argument(
            "--prefix", help="what the ids that it writes begin with: NAMESPACE/…"
        )
        create.add_argument(
            "--expires-in",
            type=terminal.duration,
            metavar="TIME",
            help="90s, 15m, 12h, 30d or 4w (default: it does not)",
        )
        terminal.add_output(create, has_token=True)
        listed = actions.add_parser("list", help="all that there are or were")
        listed.add_argument("name", metavar="NAMESPACE")
        terminal.add_output(listed)
        rotate = actions.add_parser("rotate", help="give one a new secret")
        _add_token(rotate)
        rotate.add_argument(
            "--overlap",
            type=terminal.duration,
            default=0,
            metavar="TIME",
            help="how long the old one works beside it, such as 1h (default: not)",
        )
        terminal.add_output(rotate, has_token=True)
        revoke = actions.add_parser("revoke", help="end one")
        _add_token(revoke)
        terminal.add_yes(revoke)

    def handle(self, *args: object, **given: Any) -> None:
        terminal.run(lambda: _ACTIONS[given["action"]](given))


def _add_token(parser: CommandParser) -> None:
    parser.add_argument("name", metavar="NAMESPACE")
    parser.add_argument("id", metavar="ID", help="as `list` shows it")


def _create(given: dict[str, Any]) -> None:
    body = {
        "label": given["label"],
        "scopes": given["scope"],
        "prefix": given["prefix"],
        "expires_in_seconds": given["expires_in"],
    }
    wanted = requests.token_wanted(body, namespace=given["name"])
    _show(issuing.make(given["name"], wanted, audit.shell()), given)


def _rotate(given: dict[str, Any]) -> None:
    wanted = requests.rotation({"overlap_seconds": given["overlap"]})
    _show(issuing.rotate(given["name"], given["id"], wanted, audit.shell()), given)


def _show(made: Made, given: dict[str, Any]) -> None:
    token = made.token
    may = f"{', '.join(token.scopes)} below {token.prefix or given['name'] + '/'}"
    terminal.show_token(
        made.text,
        [f"Id         {token.id} ({token.label})", f"May        {may}"],
        given=given,
        fields={**shown.token(token), "token": made.text},
    )


def _list(given: dict[str, Any]) -> None:
    found = issuing.listed(given["name"])
    if given["json"]:
        terminal.show_json({"tokens": [shown.token(one) for one in found]})
        return
    rows = [
        (
            one.id,
            one.label,
            " ".join(one.scopes),
            one.prefix,
            one.created_at,
            one.last_used_at,
            one.expires_at,
            _state(one),
        )
        for one in found
    ]
    terminal.show_table(COLUMNS, rows)


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    is_over = token.expires_at is not None and token.expires_at <= timezone.now()
    return "expired" if is_over else "usable"


def _revoke(given: dict[str, Any]) -> None:
    name, token_id = given["name"], given["id"]
    label = next(
        (one.label for one in issuing.listed(name) if one.id == token_id), None
    )
    if label is None:
        raise rows.TokenNotFound
    question = f"Revoke {token_id} ({label}) of {name}? It is refused from then on."
    terminal.confirm(question, is_sure=given["yes"])
    issuing.revoke(name, token_id, audit.shell())
    terminal.say(f"{token_id} of {name} is revoked.")


_ACTIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "create": _create,
    "list": _list,
    "rotate": _rotate,
    "revoke": _revoke,
}
