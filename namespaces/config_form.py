"""The runtime config as a form: what each value means, and within which bounds.

Invariant: every field of `Config` stands here, whether the API shows it or not.
"""

from dataclasses import fields
from typing import Any

from django import forms
from msgspec import Struct

from namespaces import config
from namespaces.config import BOUNDS, Config


class Text(Struct, frozen=True):
    """What a value is called, what it is counted in, and what it does."""

    label: str
    unit: str
    meaning: str


TEXTS = {
    "rate_limit_enabled": Text(
        "Limit the rate of namespaces",
        "",
        "Off: every namespace may write as much as the server takes.",
    ),
    "rate_limit_per_namespace_per_minute": Text(
        "Rate limit",
        "events a minute",
        "What each namespace may store or delete in a minute, all of its tokens"
        " together; it may use it all at once. Beyond it: 429, with the time to wait.",
    ),
    "body_size_limit_single_bytes": Text(
        "Largest event",
        "bytes",
        "The body of one POST /api/events. Larger: 413.",
    ),
    "body_size_limit_batch_bytes": Text(
        "Largest batch",
        "bytes",
        "The body of a batch, and of a delete of many. A process holds 256 MiB of"
        " bodies at once, whatever this says. Larger: 413.",
    ),
    "registrations_per_address_per_hour": Text(
        "Registrations and purchases",
        "an hour and address",
        "Namespaces that one address may register where registration is open to"
        " everyone, and purchases that it may begin. Beyond it: 429.",
    ),
    "failed_tokens_per_address_per_minute": Text(
        "Failed tokens",
        "a minute and address",
        "Requests with an unusable token that one address may make. Beyond it: 429.",
    ),
}


class ConfigForm(forms.Form):
    """What a person did not touch is not changed: another may have, meanwhile. So each
    field brings along what it said when the form was shown."""

    def __init__(self, *args: Any, shown: Config, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in fields(Config):
            name = field.name
            self.fields[name] = _field(name, getattr(shown, name))

    def wanted(self) -> dict[str, object]:
        """The values that were changed, checked as the API's are."""
        return {
            name: config.value(name, self.cleaned_data[name])
            for name in self.changed_data
        }


def _field(name: str, value: object) -> forms.Field:
    text = TEXTS.get(name, Text(name, "", ""))
    if name not in BOUNDS:
        return forms.BooleanField(
            label=text.label,
            help_text=text.meaning,
            initial=value,
            required=False,
            show_hidden_initial=True,
        )
    low, high = BOUNDS[name]
    bounds = f"From {_amount(low, text.unit)} to {_amount(high, text.unit)}."
    refusal = f"This must be a whole number from {low:,} to {high:,}."
    return forms.IntegerField(
        label=f"{text.label}, {text.unit}" if text.unit else text.label,
        help_text=f"{text.meaning} {bounds}",
        initial=value,
        min_value=low,
        max_value=high,
        show_hidden_initial=True,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value", "required"), refusal
        ),
    )


def _amount(value: int, unit: str) -> str:
    if unit == "bytes" and value % (1 << 20) == 0:
        return f"{value:,} ({value >> 20} MiB)"
    return f"{value:,}"
