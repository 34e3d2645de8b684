"""The HTTP side of the fake Stripe: its API, which checks what a client sends, and its
checkout page, which a browser or a test can use."""

import json
import re
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support import stripe_forms as forms
from tests.support.stripe_forms import Form, Params, Refused
from tests.support.stripe_objects import Object, new_id
from tests.support.stripe_world import StripeWorld

# late: done and answered after some seconds; drop: the connection ends instead; lose:
# it is done, and then the connection ends. A Refused is answered.
Fault = Refused | Literal["late", "drop", "lose"]
OUTAGE = Refused(500, "api_error", message="Something went wrong on Stripe's end.")
BUSY = Refused(429, "invalid_request_error", "rate_limit", "Too many requests.")
DECLINED = Refused(402, "card_error", "card_declined", "Your card was declined.")
LATE_SECONDS = 3.0

_SESSION = "/v1/checkout/sessions/([^/]+)"


@dataclass(frozen=True)
class StripeCall:
    """A call of the API. status: what was answered, 0 for nothing."""

    method: str
    path: str
    params: Params
    key: str
    headers: dict[str, str]  # names in lower case
    status: int


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    text: str  # the query of a GET, the body of a POST
    headers: dict[str, str]


@dataclass(frozen=True)
class _Route:
    method: str
    path: str
    form: Form
    act: Callable[..., Object]


class StripeServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, world: StripeWorld, secret_key: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.world = world
        self.secret_key = secret_key
        self.calls: list[StripeCall] = []
        self.faults: list[Fault] = []
        self.ended = threading.Event()
        self._kept: dict[str, tuple[object, _Answer]] = {}
        self._connections: set[socket.socket] = set()
        self._routes = [
            _Route("POST", "/v1/checkout/sessions", forms.CREATE_SESSION,
                   world.create_session),
            _Route("GET", _SESSION, forms.RETRIEVE, world.read_session),
            _Route("POST", f"{_SESSION}/expire", forms.NOTHING, world.expire_session),
            _Route("GET", "/v1/payment_intents/([^/]+)", forms.RETRIEVE,
                   world.read_intent),
            _Route("GET", "/v1/charges/([^/]+)", forms.RETRIEVE, world.read_charge),
            _Route("POST", "/v1/refunds", forms.CREATE_REFUND, world.create_refund),
            _Route("GET", "/v1/disputes", forms.LIST_DISPUTES, world.list_disputes),
        ]  # fmt: skip

    def take_over(self, other: "StripeServer") -> None:
        """Goes on where another one stopped, on its port."""
        self.calls, self.faults, self._kept = other.calls, other.faults, other._kept

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: object) -> None:
        """A client that hung up is no news; what else fails is told, as always."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def end(self) -> None:
        """It listens no more, and what is connected is cut off."""
        self.ended.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its other end was faster

    def answer(self, asked: _Request) -> _Answer | None:
        """None: none, and the connection ends."""
        with self.world.lock:
            fault = self.faults.pop(0) if self.faults else None
        answer: _Answer | None = None
        if isinstance(fault, Refused):
            answer = _answer(fault.status, fault.body())
        elif fault == "late" and self.ended.wait(LATE_SECONDS):
            answer = None
        elif fault != "drop":
            answer = self._safely(asked)
        if fault == "lose":
            answer = None
        self._note(asked, answer)
        return answer

    def _safely(self, asked: _Request) -> _Answer:
        try:
            self._check(asked)
            return self._act(asked)
        except Refused as refused:
            return _answer(refused.status, refused.body())

    def _check(self, asked: _Request) -> None:
        if asked.headers.get("authorization") != f"Bearer {self.secret_key}":
            # As Stripe's own message: it shows a part of the key.
            raise Refused(401, message=f"Invalid API Key provided: {self.secret_key}")
        version = asked.headers.get("stripe-version", "")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(\.[a-z]+)?", version):
            raise Refused(400, message=f"Invalid Stripe API version: {version}")
        if asked.method == "POST":
            kind = asked.headers.get("content-type")
            if kind != "application/x-www-form-urlencoded":
                raise Refused(400, message=f"Invalid content type: {kind}")
            if not 0 < len(asked.headers.get("idempotency-key", "")) <= 255:
                raise Refused(400, message="A POST needs an Idempotency-Key.")

    def _act(self, asked: _Request) -> _Answer:
        for route in self._routes:
            found = re.fullmatch(route.path, asked.path)
            if found and asked.method == route.method:
                params = forms.read(asked.text, route.form)
                parts = [unquote(part) for part in found.groups()]
                if asked.method == "GET":
                    return _answer(200, route.act(*parts, params))
                # One at a time, so that two with one key cannot both be the first.
                with self.world.lock:
                    return self._once(asked, params, lambda: route.act(*parts, params))  # noqa: B023  it is called at once
        message = f"Unrecognized request URL ({asked.method}: {asked.path})."
        raise Refused(404, message=message)

    def _once(
        self, asked: _Request, params: Params, act: Callable[[], Object]
    ) -> _Answer:
        key = asked.headers["idempotency-key"]
        said = (asked.path, params)
        if key in self._kept:
            first, answer = self._kept[key]
            if first != said:
                message = (
                    "Keys for idempotent requests can only be used with the same"
                    f" parameters they were first used with: '{key}'."
                )
                raise Refused(400, "idempotency_error", message=message)
            return _Answer(
                answer.status, answer.body, headers={"Idempotent-Replayed": "true"}
            )
        try:
            answer = _answer(200, act())
        except Refused as refused:
            if refused.param:  # what fails validation is not kept
                raise
            answer = _answer(refused.status, refused.body())
        self._kept[key] = (said, answer)
        return answer

    def _note(self, asked: _Request, answer: _Answer | None) -> None:
        params = dict(parse_qsl(asked.text, keep_blank_values=True))
        key = asked.headers.get("idempotency-key", "")
        status = answer.status if answer else 0
        call = StripeCall(asked.method, asked.path, params, key, asked.headers, status)
        self.calls.append(call)


def _answer(status: int, body: Object | dict[str, object]) -> _Answer:
    return _Answer(status, json.dumps(body).encode())


class _Handler(BaseHTTPRequestHandler):
    server: StripeServer
    protocol_version = "HTTP/1.1"  # connections are kept, as Stripe keeps them
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        url = urlsplit(self.path)
        if url.path.startswith("/c/pay/"):
            self._send(self._page(unquote(url.path.removeprefix("/c/pay/")), text))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        sent = url.query if self.command == "GET" else text
        answer = self.server.answer(_Request(self.command, url.path, sent, headers))
        if answer is None:
            self.close_connection = True
        else:
            self._send(answer)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815  named by http.server

    def _send(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Request-Id", new_id("req"))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def _page(self, ref: str, text: str) -> _Answer:
        world = self.server.world
        session = world.sessions.get(ref)
        if session is None:
            return _html(404, "<h1>There is no such checkout.</h1>")
        if session["status"] != "open":
            return _html(410, f"<h1>This checkout is {session['status']}.</h1>")
        if self.command == "GET":
            return _html(200, _form(session))
        to = session["success_url"].replace("{CHECKOUT_SESSION_ID}", ref)
        if "do=pay" in text:
            world.pay(ref)
        elif "do=transfer" in text:
            world.pay_slowly(ref)
        else:
            to = session["cancel_url"]
        return _Answer(303, b"", "text/html", {"Location": to})

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's output is its own."""


def _form(session: Object) -> str:
    price = f"{session['amount_total'] / 100:.2f} {session['currency'].upper()}"
    return (
        f"<h1>Pay {price}</h1><p>{escape(session['customer_email'] or '')}</p>"
        '<form method="post">'
        '<button name="do" value="pay">Pay</button> '
        '<button name="do" value="transfer">Pay by bank transfer</button> '
        '<button name="do" value="cancel">Cancel</button></form>'
    )


def _html(status: int, main: str) -> _Answer:
    head = '<title>Checkout</title><link rel="icon" href="data:,">'
    page = f'<!doctype html><html lang="en">{head}{main}</html>'
    return _Answer(status, page.encode(), "text/html; charset=utf-8")
