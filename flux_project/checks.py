"""Django's system checks for what an operator may have got wrong."""

from collections.abc import Sequence

from django.apps.config import AppConfig
from django.core.checks import CheckMessage, Warning, register

from flux_project import env


@register()
def unknown_variables(
    app_configs: Sequence[AppConfig] | None, **options: object
) -> list[CheckMessage]:
    """A misspelt variable would otherwise be ignored in silence."""
    return [
        Warning(
            f"{name} is set, but no setting has that name.",
            hint="`.env.example` lists them all.",
            id="flux.W001",
        )
        for name in env.unknown()
    ]
