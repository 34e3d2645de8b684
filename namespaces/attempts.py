"""How often somebody asked for what anyone may ask for.

Invariant: counted exactly, over all processes; what is refused is not counted.
"""

import math
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from flux_project.errors import RateLimited
from namespaces.models import Attempt

KEPT = timedelta(days=1)
# One at a time for each key, so that two at once do not both find room.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def take(
    kind: str, key: str, *, most: int, seconds: int, error: type[RateLimited]
) -> None:
    """Counts one more, in the caller's transaction.

    Raises `error` where there were `most` in the last `seconds` already.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME, (f"flux attempt {kind} {key}",))
    since = timezone.now() - timedelta(seconds=seconds)
    found = Attempt.objects.filter(kind=kind, key=key, at__gt=since).order_by("-at")
    times = list(found.values_list("at", flat=True)[:most])
    if len(times) >= most:
        wait = (times[-1] - since).total_seconds()
        raise error(retry_after=max(1, math.ceil(wait)))
    Attempt.objects.create(kind=kind, key=key)


def forget() -> None:
    """Removes what no limit looks at any more."""
    Attempt.objects.filter(at__lt=timezone.now() - KEPT).delete()
