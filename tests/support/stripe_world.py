"""What a fake Stripe holds, and what happens there: paid, expired, refunded, disputed.

Invariant: nothing of it knows HTTP; every change makes the events that Stripe makes.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from tests.support import stripe_objects as objects
from tests.support.stripe_forms import (
    Params,
    Refused,
    check_session,
    expands,
    under,
)
from tests.support.stripe_objects import Object, StripeEvent


class StripeWorld:
    """Sessions are named by their id everywhere, as what belongs to them is found."""

    url: str

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.sessions: dict[str, Object] = {}
        self.intents: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.disputes: dict[str, Object] = {}
        self.events: list[StripeEvent] = []
        self._intent_metadata: dict[str, Params] = {}

    # What the buyer, the operator in the dashboard, the bank and the clock do.

    def pay(self, session: str) -> StripeEvent:
        """By card: the money is there at once."""
        with self._changing():
            found = self._begin_payment(session)
            self._succeed(found)
            return self._say("checkout.session.completed", found)

    def pay_slowly(self, session: str) -> StripeEvent:
        """By a bank's transfer: `arrive` or `fall_through` follows, days later."""
        with self._changing():
            return self._say("checkout.session.completed", self._begin_payment(session))

    def arrive(self, session: str) -> StripeEvent:
        with self._changing():
            self._succeed(self.sessions[session])
            kind = "checkout.session.async_payment_succeeded"
            return self._say(kind, self.sessions[session])

    def fall_through(self, session: str) -> StripeEvent:
        with self._changing():
            found = self.sessions[session]
            self.intents[found["payment_intent"]]["status"] = "requires_payment_method"
            return self._say("checkout.session.async_payment_failed", found)

    def expire(self, session: str) -> StripeEvent:
        with self._changing():
            found = self._open_session(session)
            found.update(status="expired", url=None)
            return self._say("checkout.session.expired", found)

    def refund(self, session: str, amount: int | None = None) -> StripeEvent:
        """By the operator, in Stripe's dashboard. amount: None for all that is left."""
        with self._changing():
            self._give_back(self.charge_of(session), amount, {})
            return self.events[-1]

    def dispute(self, session: str, status: str = "needs_response") -> StripeEvent:
        with self._changing():
            charge = self.charge_of(session)
            charge["disputed"] = True
            made = objects.dispute_of(charge, status)
            self.disputes[made["id"]] = made
            created = self._say("charge.dispute.created", made)
            if not status.startswith("warning"):
                self._say("charge.dispute.funds_withdrawn", made)
            return created

    def close_dispute(self, session: str, *, won: bool) -> StripeEvent:
        """The session's latest."""
        with self._changing():
            charge = self.charge_of(session)["id"]
            found = [one for one in self.disputes.values() if one["charge"] == charge]
            was_question = found[-1]["status"].startswith("warning")
            ended = "won" if won else "lost"
            found[-1]["status"] = "warning_closed" if was_question else ended
            if won and not was_question:
                self._say("charge.dispute.funds_reinstated", found[-1])
            return self._say("charge.dispute.closed", found[-1])

    def charge_of(self, session: str) -> Object:
        intent = self.intents[self.sessions[session]["payment_intent"]]
        return self.charges[intent["latest_charge"]]

    def latest_session(self) -> str:
        return list(self.sessions)[-1]

    # What the API's calls do.

    def create_session(self, params: Params) -> Object:
        check_session(params)
        with self._changing():
            made = objects.session_of(params, self.url)
            self.sessions[made["id"]] = made
            metadata = under(params, "payment_intent_data[metadata]")
            self._intent_metadata[made["id"]] = metadata
            return deepcopy(made)

    def read_session(self, session: str, params: Params) -> Object:
        with self.lock:
            found = deepcopy(_find(self.sessions, session, "checkout.session"))
            wanted = expands(params)
            if "payment_intent" in wanted and found["payment_intent"]:
                deeper = {path.removeprefix("payment_intent.") for path in wanted}
                intent = self._intent(found["payment_intent"], deeper)
                found["payment_intent"] = intent
            return found

    def expire_session(self, session: str, _: Params) -> Object:
        _find(self.sessions, session, "checkout.session")
        self.expire(session)
        return deepcopy(self.sessions[session])

    def read_intent(self, intent: str, params: Params) -> Object:
        with self.lock:
            return self._intent(intent, expands(params))

    def read_charge(self, charge: str, _: Params) -> Object:
        with self.lock:
            return deepcopy(_find(self.charges, charge, "charge"))

    def create_refund(self, params: Params) -> Object:
        with self._changing():
            intent = self.intents.get(params["payment_intent"])
            if intent is None:
                raise _missing("payment_intent", params["payment_intent"], status=400)
            if intent["latest_charge"] is None:
                message = f"{intent['id']} does not have a successful charge to refund."
                raise Refused(400, message=message, param="payment_intent")
            amount = int(params["amount"]) if "amount" in params else None
            charge = self.charges[intent["latest_charge"]]
            made = self._give_back(charge, amount, under(params, "metadata"))
            return deepcopy(made)

    def list_disputes(self, params: Params) -> Object:
        with self.lock:
            asked = {
                name: value
                for name, value in params.items()
                if name in {"charge", "payment_intent"}
            }
            found = [
                deepcopy(one)
                for one in reversed(self.disputes.values())
                if all(one[name] == value for name, value in asked.items())
            ]
        limit = int(params.get("limit", 10))
        more = len(found) > limit
        listed = {"data": found[:limit], "has_more": more, "url": "/v1/disputes"}
        return {"object": "list", **listed}

    # How it is done.

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Its events are told once the change is done: who hears them may ask back."""
        with self.lock:
            before = len(self.events)
            yield
            made = self.events[before:]
        for event in made:
            self.tell(event)

    def tell(self, event: StripeEvent) -> None:
        """An event was made; who delivers them overrides this."""

    def _say(self, kind: str, about: Object) -> StripeEvent:
        event = objects.event_of(kind, about)
        self.events.append(event)
        return event

    def _open_session(self, session: str) -> Object:
        found = _find(self.sessions, session, "checkout.session")
        if found["status"] != "open":
            raise Refused(400, message=f"This session is {found['status']}.")
        return found

    def _begin_payment(self, session: str) -> Object:
        found = self._open_session(session)
        intent = objects.intent_of(found, self._intent_metadata[session])
        self.intents[intent["id"]] = intent
        found.update(payment_intent=intent["id"], status="complete", url=None)
        self._say("payment_intent.created", intent)
        return found

    def _succeed(self, session: Object) -> None:
        intent = self.intents[session["payment_intent"]]
        charge = objects.charge_of(intent, self.url)
        self.charges[charge["id"]] = charge
        intent.update(latest_charge=charge["id"], status="succeeded")
        session["payment_status"] = "paid"
        self._say("charge.succeeded", charge)
        self._say("payment_intent.succeeded", intent)

    def _give_back(
        self, charge: Object, amount: int | None, metadata: Params
    ) -> Object:
        if charge["refunded"]:
            message = f"Charge {charge['id']} has already been refunded."
            raise Refused(400, code="charge_already_refunded", message=message)
        if self._is_contested(charge):
            message = f"Charge {charge['id']} has been charged back."
            raise Refused(400, code="charge_disputed", message=message)
        left = charge["amount"] - charge["amount_refunded"]
        given = left if amount is None else amount
        if given > left:
            raise Refused(400, message="That is more than is left.", param="amount")
        charge["amount_refunded"] += given
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        made = objects.refund_of(charge, given, metadata)
        self.refunds[made["id"]] = made
        self._say("refund.created", made)
        self._say("charge.refunded", charge)
        return made

    def _is_contested(self, charge: Object) -> bool:
        return any(
            one["charge"] == charge["id"]
            and one["status"] in {"needs_response", "under_review", "lost"}
            for one in self.disputes.values()
        )

    def _intent(self, intent: str, wanted: set[str]) -> Object:
        found = deepcopy(_find(self.intents, intent, "payment_intent"))
        if "latest_charge" in wanted and found["latest_charge"]:
            found["latest_charge"] = deepcopy(self.charges[found["latest_charge"]])
        return found


def _find(among: dict[str, Object], ref: str, kind: str) -> Object:
    if ref not in among:
        raise _missing(kind, ref)
    return among[ref]


def _missing(kind: str, ref: str, status: int = 404) -> Refused:
    message = f"No such {kind}: '{ref}'"
    return Refused(status, code="resource_missing", message=message, param="id")
