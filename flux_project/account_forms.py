"""The forms for accounts: a role in plain words in place of Django's permissions."""

from typing import Any

from django import forms
from django.contrib.admin import VERTICAL
from unfold.forms import (  # type: ignore[import-untyped]  # it has no types
    UserChangeForm,
    UserCreationForm,
)
from unfold.widgets import (  # type: ignore[import-untyped]  # likewise
    UnfoldAdminRadioSelectWidget,
)

from flux_project import roles


def _role(initial: str) -> forms.ChoiceField:
    return forms.ChoiceField(
        choices=roles.CHOICES,
        initial=initial,
        required=False,  # one of the choices is none
        widget=UnfoldAdminRadioSelectWidget(radio_style=VERTICAL),
    )


class NewAccountForm(UserCreationForm):  # type: ignore[misc]  # likewise
    """Without the choice of no password: there is no other way to log in."""

    usable_password = None
    role = _role(roles.VIEWER)


class AccountForm(UserChangeForm):  # type: ignore[misc]  # likewise
    """role is missing from a person's own account (`AccountAdmin.get_form`)."""

    role = _role(roles.NONE)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "role" in self.fields:
            self.fields["role"].initial = roles.role_of(self.instance)
