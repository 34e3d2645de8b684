"""`manage.py flux_namespace`: namespaces from the shell (docs/operations.md)."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from namespaces import (
    audit,
    listing,
    naming,
    rows,
    shown,
    tenancy,
)
from namespaces.management import terminal
from namespaces.models import Namespace

COLUMNS = ("name", "id", "made (UTC)", "state", "because")


class Command(BaseCommand):
    """Works beside running servers, which know of it within a second."""

    help = "Make, list, suspend, resume and delete namespaces."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        create = actions.add_parser("create", help="make one, and its first token")
        create.add_argument(
            "name", nargs="?", metavar="NAME", help="default: two words that are free"
        )
        terminal.add_output(create, has_token=True)
        listed = actions.add_parser("list", help="all that there are")
        listed.add_argument("--all", action="store_true", help="deleted ones too")
        terminal.add_output(listed)
        suspend = actions.add_parser("suspend", help="let nobody write to it")
        suspend.add_argument("name", metavar="NAME")
        suspend.add_argument("--because", default="", metavar="TEXT", help="the reason")
        resume = actions.add_parser("resume", help="end a suspension")
        resume.add_argument("name", metavar="NAME")
        delete = actions.add_parser(
            "delete", help="end its tokens; what it wrote stays readable"
        )
        delete.add_argument("name", metavar="NAME")
        terminal.add_yes(delete)

    def handle(self, *args: object, **given: Any) -> None:
        terminal.run(lambda: _ACTIONS[given["action"]](given))


def _create(given: dict[str, Any]) -> None:
    name = naming.propose() if given["name"] is None else given["name"]
    made = tenancy.register(name, audit.shell())
    found = made.namespace
    terminal.show_token(
        made.text,
        [f"Namespace  {found.name} ({found.id})"],
        given=given,
        fields={"namespaceId": found.id, "name": found.name, "token": made.text},
    )


def _list(given: dict[str, Any]) -> None:
    found = listing.namespaces(are_all=given["all"])
    if given["json"]:
        terminal.show_json({"namespaces": [shown.namespace(one) for one in found]})
        return
    rows = (
        (one.name, one.id, one.created_at, _state(one), one.suspended_because)
        for one in found
    )
    terminal.show_table(COLUMNS, rows)


def _state(found: Namespace) -> str:
    if found.deleted_at is not None:
        return "deleted"
    return "active" if found.suspended_at is None else "suspended"


def _suspend(given: dict[str, Any]) -> None:
    tenancy.suspend(given["name"], audit.shell(), because=given["because"])
    terminal.say(f"{given['name']} is suspended: it can be read and not written to.")


def _resume(given: dict[str, Any]) -> None:
    tenancy.resume(given["name"], audit.shell())
    terminal.say(f"{given['name']} can be written to again.")


def _delete(given: dict[str, Any]) -> None:
    name = rows.find(given["name"]).name
    question = (
        f"Delete {name}? Its tokens end at once, what it wrote stays readable, and its"
        " name is never given again."
    )
    terminal.confirm(question, is_sure=given["yes"])
    tenancy.delete(name, audit.shell())
    terminal.say(f"{name} is deleted.")


_ACTIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "create": _create,
    "list": _list,
    "suspend": _suspend,
    "resume": _resume,
    "delete": _delete,
}
