"""The forms for namespaces and tokens.

Invariant: they ask; what may be is decided by `namespaces.requests` and
`namespaces.tenancy`, as for the API.
"""

from collections.abc import Mapping
from typing import Any

from django import forms

from flux_project.errors import FluxError
from namespaces import names, requests
from namespaces.grants import Scope
from namespaces.requests import Rotation, TokenWanted

MAX_REASON_CHARACTERS = 500
_HOUR, _DAY = 3_600, 86_400

_SCOPES = (
    (Scope.PUBLISH, "publish: write events"),
    (Scope.DELETE, "delete: remove entities; a tombstone needs this alone"),
    (Scope.CONNECTORS, "connectors: see and set their credentials"),
    (Scope.TOKENS, "tokens: list, make, rotate and revoke tokens"),
)
_EXPIRIES = (
    ("", "never"),
    (str(_DAY), "in a day"),
    (str(7 * _DAY), "in a week"),
    (str(30 * _DAY), "in 30 days"),
    (str(90 * _DAY), "in 90 days"),
    (str(365 * _DAY), "in a year"),
)
_OVERLAPS = (
    ("0", "no longer: it ends now"),
    (str(_HOUR), "an hour"),
    (str(_DAY), "a day"),
    (str(7 * _DAY), "a week"),
    (str(30 * _DAY), "30 days"),
)


class NamespaceForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=32,
        help_text="A proposal that is free; change it as you like. 3 to 32 characters"
        " of a-z, 0-9, _ and -. The ids of its entities begin with it. A name is given"
        " once, for ever.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_name(self) -> str:
        try:
            return names.checked_name(self.cleaned_data["name"])
        except FluxError as error:
            raise forms.ValidationError(error.message) from None


class SuspendForm(forms.Form):
    because = forms.CharField(
        label="Reason",
        max_length=MAX_REASON_CHARACTERS,
        help_text="For the audit log, and for the namespace's owner, who is shown it.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class DeleteForm(forms.Form):
    """Whoever deletes a namespace types its name, so that it is never the wrong one."""

    typed = forms.CharField(
        label="Type its name",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = name

    def clean_typed(self) -> str:
        if self.cleaned_data["typed"] != self._name:
            message = f"This is not {self._name}."
            raise forms.ValidationError(message)
        return self._name


class TokenForm(forms.Form):
    label = forms.CharField(
        label="Label",
        max_length=requests.MAX_LABEL_CHARACTERS,
        help_text="What it is for, such as the program that will have it.",
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=_SCOPES,
        initial=[Scope.PUBLISH],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )
    expires_in_seconds = forms.ChoiceField(
        label="It expires", choices=_EXPIRIES, required=False
    )

    def __init__(self, *args: Any, namespace: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._namespace = namespace
        # Not above: a form itself has a `prefix`.
        self.fields["prefix"] = forms.CharField(
            label="Only ids that begin with",
            required=False,
            max_length=names.MAX_ID_CHARACTERS,
            help_text=f"A part of the namespace, such as {namespace}/kitchen/."
            " Empty: all of it.",
        )
        self.order_fields(["label", "scopes", "prefix", "expires_in_seconds"])

    def wanted(self) -> TokenWanted:
        """Raises InvalidToken."""
        expiry = self.cleaned_data["expires_in_seconds"]
        given: Mapping[str, Any] = {
            "label": self.cleaned_data["label"],
            "scopes": self.cleaned_data["scopes"],
            "prefix": self.cleaned_data["prefix"] or None,
            "expires_in_seconds": int(expiry) if expiry else None,
        }
        return requests.token_wanted(given, namespace=self._namespace)


class RotationForm(forms.Form):
    overlap_seconds = forms.ChoiceField(
        label="The secret it has now works for",
        choices=_OVERLAPS,
        initial=str(_DAY),
        help_text="Long enough to bring the new one to all programs that have it. Was"
        " it seen by a stranger? Then end it now.",
    )

    def wanted(self) -> Rotation:
        return Rotation(int(self.cleaned_data["overlap_seconds"]))
