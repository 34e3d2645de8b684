"""How the admin looks: its colours, and what stands in its sidebar."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse_lazy

# The colours of static/flux.css, as django-unfold's eleven steps. 600 carries white
# text, so it is dark enough for that.
COLORS: dict[str, dict[str, str]] = {
    "primary": {
        "50": "oklch(98.4% .014 180.7)",
        "100": "oklch(95.3% .051 180.8)",
        "200": "oklch(91% .096 180.4)",
        "300": "oklch(85.5% .138 181.1)",
        "400": "oklch(77.7% .152 181.9)",
        "500": "oklch(70.4% .14 182.5)",
        "600": "oklch(51.1% .096 186.4)",
        "700": "oklch(43.7% .078 188.2)",
        "800": "oklch(38.6% .063 188.4)",
        "900": "oklch(33% .054 190)",
        "950": "oklch(27.7% .046 192.5)",
    }
}


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _sees_purchases(request: HttpRequest) -> bool:
    """Open mode has nothing to sell."""
    may: bool = request.user.has_perm("namespaces.view_purchase")
    return settings.FLUX_AUTH_ENABLED and may


def _is_administrator(request: HttpRequest) -> bool:
    return request.user.is_superuser


def _never(request: HttpRequest) -> bool:
    """Whether a link to elsewhere is the page one is on."""
    return False


SIDEBAR: dict[str, object] = {
    "show_search": False,
    "show_all_applications": False,
    "navigation": [
        {
            "title": "World",
            "items": [
                {
                    "title": "Overview",
                    "icon": "monitoring",
                    "link": reverse_lazy("admin:index"),
                },
                {
                    "title": "Entities",
                    "icon": "deployed_code",
                    "link": reverse_lazy("admin:state_entity_changelist"),
                    "permission": _may("state.view_entity"),
                },
                {
                    "title": "Events",
                    "icon": "history",
                    "link": reverse_lazy("admin:events_event_changelist"),
                    "permission": _may("events.view_event"),
                },
            ],
        },
        {
            "title": "Administration",
            "separator": True,
            "items": [
                {
                    "title": "Namespaces",
                    "icon": "workspaces",
                    "link": reverse_lazy("admin:namespaces_namespace_changelist"),
                    "permission": _may("namespaces.view_namespace"),
                },
                {
                    "title": "Purchases",
                    "icon": "shopping_cart",
                    "link": reverse_lazy("admin:namespaces_purchase_changelist"),
                    "permission": _sees_purchases,
                },
                {
                    "title": "Runtime config",
                    "icon": "tune",
                    "link": reverse_lazy("admin:namespaces_runtimeconfig_changelist"),
                    "permission": _may("namespaces.view_runtimeconfig"),
                },
                {
                    "title": "Audit log",
                    "icon": "receipt_long",
                    "link": reverse_lazy("admin:namespaces_auditentry_changelist"),
                    "permission": _may("namespaces.view_auditentry"),
                },
                {
                    "title": "Users",
                    "icon": "person",
                    "link": reverse_lazy("admin:auth_user_changelist"),
                    "permission": _is_administrator,
                },
            ],
        },
        {
            "title": "Elsewhere",
            "separator": True,
            "items": [
                {
                    "title": "First page",
                    "icon": "home",
                    "link": reverse_lazy("home"),
                    "active": _never,
                },
                {
                    "title": "API documentation",
                    "icon": "menu_book",
                    "link": reverse_lazy("docs"),
                },
            ],
        },
    ],
}
