"""The runtime config as a form: every value, its bounds, and only what was touched."""

from dataclasses import fields

import pytest
from django.test import Client

from flux_project import roles
from namespaces import config
from namespaces.config import BOUNDS, Config
from namespaces.config_form import TEXTS
from namespaces.models import AuditEntry, RuntimeConfig
from tests.support.accounts import page, send, signed_in

pytestmark = pytest.mark.usefixtures("database")

SHOWN = "/admin/namespaces/runtimeconfig/"
CHANGE = f"{SHOWN}change/"
NAMES = tuple(field.name for field in fields(Config))


@pytest.fixture
def operator(database: None) -> Client:
    return signed_in(roles.OPERATOR, "olga")


def form(shown: Config | None = None, **wanted: object) -> dict[str, object]:
    """What a browser sends: each value, and what it was when the page was loaded."""
    found: dict[str, object] = {}
    for name in NAMES:
        was = getattr(shown or Config(), name)
        found[f"initial-{name}"] = was
        value = wanted.get(name, was)
        if value is not False:
            found[name] = "on" if value is True else value
    return found


def stored() -> RuntimeConfig:
    return RuntimeConfig.objects.get()


def test_every_value_is_shown_with_its_bounds_and_explained(operator: Client) -> None:
    text = page(operator, SHOWN)
    assert set(TEXTS) == set(NAMES)
    for name in NAMES:
        assert f'name="{name}"' in text
        assert TEXTS[name].meaning in text
    for low, high in BOUNDS.values():
        assert f"{low:,}" in text
        assert f"{high:,}" in text


def test_a_change_is_in_force_and_leaves_an_entry(operator: Client) -> None:
    wanted = form(rate_limit_per_namespace_per_minute=7, rate_limit_enabled=False)
    send(operator, CHANGE, status=302, **wanted)
    assert config.current().rate_limit_per_namespace_per_minute == 7
    assert not stored().rate_limit_enabled
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor) == ("config.change", "user olga")
    assert entry.before == {
        "rate_limit_enabled": True,
        "rate_limit_per_namespace_per_minute": 10_000,
    }
    assert entry.after == {
        "rate_limit_enabled": False,
        "rate_limit_per_namespace_per_minute": 7,
    }


@pytest.mark.parametrize("name", BOUNDS)
def test_what_is_out_of_bounds_is_refused_at_its_field(
    operator: Client, name: str
) -> None:
    low, high = BOUNDS[name]
    for value in (low - 1, high + 1, "", "x", "1.5", "1e3", "9" * 400):
        wanted = form() | {NAMES[1]: 5} | {name: value}
        text = send(operator, CHANGE, status=200, **wanted)
        field = text.split(f'id="id_{name}"')[1].split("flux-help")[0]
        assert f"from {low:,} to {high:,}" in field
    assert not AuditEntry.objects.exists()
    assert stored().rate_limit_per_namespace_per_minute == 10_000
    for value in (low, high):
        send(operator, CHANGE, status=302, **form() | {name: value})
        assert getattr(stored(), name) == value


def test_what_was_not_touched_is_not_changed(operator: Client) -> None:
    """Another operator changed it while the form was open."""
    RuntimeConfig.objects.update(body_size_limit_single_bytes=2_048)
    wanted = form(shown=Config(), rate_limit_per_namespace_per_minute=7)
    send(operator, CHANGE, status=302, **wanted)
    assert stored().body_size_limit_single_bytes == 2_048
    assert stored().rate_limit_per_namespace_per_minute == 7


def test_saving_without_a_change_leaves_no_entry(operator: Client) -> None:
    send(operator, CHANGE, status=302, **form())
    assert not AuditEntry.objects.exists()


def test_a_viewer_sees_the_values_and_no_button() -> None:
    viewer = signed_in(roles.VIEWER)
    text = page(viewer, SHOWN)
    assert "10000" in text
    assert "<button" not in text.split('class="flux-form"')[1].split("</form>")[0]
    send(viewer, CHANGE, status=403, **form(rate_limit_per_namespace_per_minute=7))
    assert stored().rate_limit_per_namespace_per_minute == 10_000
