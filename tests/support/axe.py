"""What axe, the checker of accessibility, says of the page a browser shows."""

from axe_playwright_python.sync_playwright import (  # type: ignore[import-untyped]
    Axe,
)
from playwright.sync_api import Page

_GRAVE = {"serious", "critical"}
_axe = Axe()


def faults(page: Page) -> list[str]:
    """The serious and the critical ones, and the first element that has each."""
    found = _axe.run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in _GRAVE
    ]
