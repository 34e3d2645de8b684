"""Which content a page may load (Content-Security-Policy).

`CONTENT_SECURITY_POLICY` in the settings is the strict rule of every answer: scripts
and styles of this server, nothing inline, nothing from elsewhere. Invariant: only what
stands below is allowed more, and only on its own paths.
"""

from typing import Any

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# django-unfold: Alpine.js compiles the expressions of its templates (unsafe-eval), and
# the theme's colours are an inline style element and style attributes. Scripts must
# still be files of this server, so a stored value that got into a page unescaped could
# not run as one.
_ADMIN: dict[str, Any] = {
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
}
# Swagger UI: its stylesheet has images as data: addresses, and it fetches the schema
# and tries out operations.
_DOCS: dict[str, Any] = {"img-src": [SELF, "data:"], "connect-src": [SELF]}

# The page of live changes: its script listens to this server.
_LIVE: dict[str, Any] = {"connect-src": [SELF]}

_MORE = {"/admin/": _ADMIN, "/api/docs": _DOCS, "/live": _LIVE}


class PolicyMiddleware(CSPMiddleware):
    """django-csp, with a policy by path."""

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,  # noqa: FBT001  django-csp's own signature
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        for prefix, directives in _MORE.items():
            if request.path_info.startswith(prefix):
                parts.replace = directives
        return parts
