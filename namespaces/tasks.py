"""The shop's jobs, which a worker process does (`flux_project.work`).

Each calls one function of the flow and decides nothing. Invariant: what a job is given
is an id or an e-mail address, never a secret.
"""

from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from namespaces import aftercare, letters, settling, sweeping
from namespaces.models import Owner, Purchase


class Patient(BaseRetryStrategy):
    """Again and again, later and later. most: None: until it is done."""

    def __init__(self, *, longest_seconds: int, most: int | None = None) -> None:
        self._longest_seconds = longest_seconds
        self._most = most

    def get_retry_decision(
        self, *, exception: BaseException, job: Job
    ) -> RetryDecision | None:
        if self._most is not None and job.attempts >= self._most:
            return None
        seconds = min(2 ** min(job.attempts, 20), self._longest_seconds)
        return RetryDecision(retry_in={"seconds": seconds})


# A provider that is away for some seconds is nobody's trouble.
SILENT_ATTEMPTS = 4

_UNTIL_DONE = Patient(longest_seconds=300)
# Then the sweep asks for it again, as long as there is something to be asked.
_FOR_AN_HOUR = Patient(longest_seconds=300, most=20)
_FOR_TWO_DAYS = Patient(longest_seconds=3_600, most=60)
# A link that comes later would be asked for again meanwhile.
_FOR_SOME_MINUTES = Patient(longest_seconds=120, most=8)


@app.task(name="namespaces.handle_event", retry=_FOR_AN_HOUR)
def handle_event(event_id: str) -> None:
    """What stays unhandled is counted among what is stuck."""
    settling.handle(event_id)


@app.task(name="namespaces.settle", retry=_FOR_AN_HOUR, pass_context=True)
def settle(context: JobContext, purchase_id: str) -> None:
    """What it fails of, again and again, is shown in the admin."""
    try:
        settling.settle(purchase_id)
    except Exception as error:
        if context.job.attempts >= SILENT_ATTEMPTS:
            settling.note_silence(purchase_id, _told(error))
        raise


@app.task(name="namespaces.provision", retry=_UNTIL_DONE)
def provision(purchase_id: str) -> None:
    """What it fails of is shown in the admin until it is done."""
    try:
        settling.provision(purchase_id)
    except Exception as error:
        settling.note_trouble(purchase_id, _told(error))
        raise


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@app.task(name="namespaces.send_receipt", retry=_FOR_TWO_DAYS)
def send_receipt(purchase_id: str) -> None:
    """Not of what was refunded meanwhile."""
    purchase = _purchase(purchase_id)
    if aftercare.may_resend(purchase):
        letters.receipt(purchase)


@app.task(name="namespaces.send_refund", retry=_FOR_TWO_DAYS)
def send_refund(purchase_id: str) -> None:
    letters.refund(_purchase(purchase_id))


@app.task(name="namespaces.send_link", retry=_FOR_SOME_MINUTES)
def send_link(email: str) -> None:
    """To an address that owns nothing here, no letter is sent."""
    owner = Owner.objects.filter(email=email).first()
    if owner is not None:
        letters.sign_in(owner)


@app.periodic(cron="* * * * *")
@app.task(name="namespaces.sweep", queueing_lock="namespaces.sweep")
def sweep(timestamp: int) -> None:
    sweeping.sweep()


def _purchase(purchase_id: str) -> Purchase:
    return Purchase.objects.select_related("namespace").get(id=purchase_id)
