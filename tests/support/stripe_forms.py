"""What Stripe takes: its form encoding, and the parameters of the calls Flux makes.

Written from Stripe's API reference, apart from what Flux sends: a parameter that is not
here is refused, as Stripe refuses one that it does not know.
"""

import re
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

Params = dict[str, str]  # "line_items[0][quantity]": "1", as it is sent

_HOUR = 3600


@dataclass(eq=False)
class Refused(Exception):
    """An answer of Stripe's that is no success."""

    status: int
    type: str = "invalid_request_error"
    code: str = ""
    message: str = ""
    param: str = ""

    def body(self) -> dict[str, object]:
        named = {
            name: value for name in ("code", "param") if (value := getattr(self, name))
        }
        return {"error": {"type": self.type, "message": self.message, **named}}


@dataclass(frozen=True)
class Form:
    """The parameters of a call. `line_items[][quantity]`: of each of them;
    `metadata[*]`: under any key."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    patterns: dict[str, str] = field(default_factory=dict)


CREATE_SESSION = Form(
    required=frozenset(
        {
            "mode",
            "success_url",
            "line_items[][quantity]",
            "line_items[][price_data][currency]",
            "line_items[][price_data][unit_amount]",
            "line_items[][price_data][product_data][name]",
        }
    ),
    optional=frozenset(
        {
            "cancel_url",
            "client_reference_id",
            "customer_email",
            "expand[]",
            "expires_at",
            "line_items[][price_data][product_data][description]",
            "locale",
            "metadata[*]",
            "payment_intent_data[description]",
            "payment_intent_data[metadata][*]",
            "payment_intent_data[receipt_email]",
            "payment_method_types[]",
            "submit_type",
        }
    ),
    patterns={
        "mode": "payment",
        "success_url": "https?://.+",
        "cancel_url": "https?://.+",
        "client_reference_id": ".{1,200}",
        "customer_email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
        "expires_at": "[0-9]+",
        "line_items[][quantity]": "[1-9][0-9]*",
        "line_items[][price_data][currency]": "[a-z]{3}",
        "line_items[][price_data][unit_amount]": "[0-9]+",
        "line_items[][price_data][product_data][name]": ".+",
        "metadata[*]": ".{0,500}",
        "payment_intent_data[metadata][*]": ".{0,500}",
    },
)
CREATE_REFUND = Form(
    required=frozenset({"payment_intent"}),
    optional=frozenset({"amount", "expand[]", "metadata[*]", "reason"}),
    patterns={"amount": "[1-9][0-9]*", "metadata[*]": ".{0,500}"},
)
RETRIEVE = Form(optional=frozenset({"expand[]"}))
LIST_DISPUTES = Form(
    optional=frozenset({"charge", "expand[]", "limit", "payment_intent"}),
    patterns={"limit": "[1-9]|[1-9][0-9]|100"},
)
NOTHING = Form()


def read(text: str, form: Form) -> Params:
    """Raises Refused."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    except ValueError:
        raise Refused(400, message="Invalid request body.") from None
    params = dict(pairs)
    if len(params) != len(pairs):
        raise Refused(400, message="A parameter was sent twice.")
    seen = {_general(name): name for name in params}
    for general, name in seen.items():
        if general not in form.required | form.optional:
            message = f"Received unknown parameter: {name}"
            raise Refused(400, code="parameter_unknown", message=message, param=name)
    for general in sorted(form.required - set(seen)):
        message = f"Missing required param: {general}."
        raise Refused(400, code="parameter_missing", message=message, param=general)
    for name, value in params.items():
        _check(name, value, form.patterns.get(_general(name), ".*"))
    return params


def _general(name: str) -> str:
    any_index = re.sub(r"\[[0-9]+\]", "[]", name)
    return re.sub(r"(^|\[)metadata(\]?)\[[^\]]+\]$", r"\1metadata\2[*]", any_index)


def _check(name: str, value: str, pattern: str) -> None:
    if re.fullmatch(pattern, value, re.DOTALL):
        return
    code = "email_invalid" if name == "customer_email" else "parameter_invalid"
    raise Refused(400, code=code, message=f"Invalid {name}: {value}", param=name)


def check_session(params: Params) -> None:
    """What Stripe wants beyond each parameter's own form."""
    amount = int(params["line_items[0][price_data][unit_amount]"])
    if amount < 50:
        raise Refused(
            400, code="amount_too_small", message="The amount must be at least 50."
        )
    if "expires_at" in params:
        ahead = int(params["expires_at"]) - time.time()
        if not _HOUR / 2 <= ahead <= 24 * _HOUR:
            message = "expires_at must be between 30 minutes and 24 hours from now."
            raise Refused(400, message=message, param="expires_at")


def under(params: Params, prefix: str) -> Params:
    """`under({"metadata[a]": "1"}, "metadata")` → `{"a": "1"}`."""
    start = f"{prefix}["
    return {
        name.removeprefix(start).removesuffix("]"): value
        for name, value in params.items()
        if name.startswith(start) and "[" not in name.removeprefix(start)
    }


def expands(params: Params) -> set[str]:
    """The fields that are asked for in full, and those above them."""
    asked = {value for name, value in params.items() if name.startswith("expand[")}
    return {
        path.rsplit(".", n)[0] for path in asked for n in range(path.count(".") + 1)
    }
