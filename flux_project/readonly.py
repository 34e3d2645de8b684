"""Admin pages that show and never change: the base of those for events and entities.

They are Django admin pages by address, permission and looks, and their lists are ours:
Django's count all rows, page by OFFSET, and sort and filter by whatever an address asks
for. Invariant: nothing can be added, changed or deleted here, by nobody.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from flux_project.errors import Invalid, NotFound

if TYPE_CHECKING:
    Base = ModelAdmin[Model]
else:
    Base = ModelAdmin

Given = Mapping[str, str]


class ReadOnlyAdmin(Base):
    """A list and a page for one row; a subclass says what stands on them.

    Its `listing` and `details` return template variables. What a listing raises as
    Invalid is shown in place of the list; what is not found is a 404.
    """

    list_template: ClassVar[str]
    details_template: ClassVar[str]

    def listing(self, given: Given) -> dict[str, Any]:
        raise NotImplementedError

    def details(self, key: str) -> dict[str, Any]:
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        """Two addresses: those for adding, changing and deleting do not exist."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        admin_view = self.admin_site.admin_view
        return [
            path("", admin_view(self.changelist_view), name=f"{name}_changelist"),
            path(
                "<path:object_id>/change/",
                admin_view(self.change_view),
                name=f"{name}_change",
            ),
        ]

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._check(request)
        status = 200
        try:
            found = self.listing(request.GET)
        except Invalid as error:
            found, status = {"problem": error.message}, 400
        title = str(self.opts.verbose_name_plural).capitalize()
        return self._page(request, self.list_template, found, title, status)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        self._check(request)
        key = unquote(object_id)
        try:
            found = self.details(key)
        except (NotFound, Invalid) as error:
            raise Http404(error.message) from None
        return self._page(request, self.details_template, found, key)

    def _check(self, request: HttpRequest) -> None:
        is_reading = request.method in {"GET", "HEAD"}
        if not (is_reading and self.has_view_permission(request)):
            raise PermissionDenied

    def _page(
        self,
        request: HttpRequest,
        template: str,
        found: dict[str, Any],
        title: str,
        status: int = 200,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "given": request.GET,
            **found,
        }
        return TemplateResponse(request, template, context, status=status)


def address(model: type[Model], key: object) -> str:
    """Where the admin shows one row; Django's quoting keeps slashes out of the path."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return reverse(name, args=[quote(str(key))])
