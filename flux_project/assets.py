"""Static files, served straight from the packages that bring them.

Nothing is copied into the data directory at the start, so nothing there can be missing
or stale. Invariant: a file is answered in one piece. WhiteNoise hands Django an open
file, whose iterator is synchronous: under ASGI Django would warn and read it whole
anyway; the largest one here has 1.5 MB.
"""

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import (  # type: ignore[import-untyped]  # it has no types
    WhiteNoiseMiddleware,
)
from whitenoise.responders import (  # type: ignore[import-untyped]  # likewise
    StaticFile,
)


class AssetMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # likewise
    """WhiteNoise, with answers that are finished bytes."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        content = b""
        if found.file is not None:
            with found.file as file:
                content = file.read()
        response = HttpResponse(content, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response
