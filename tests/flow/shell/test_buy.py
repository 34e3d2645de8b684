"""flux.sh buy and claim, byte by byte: what they send, keep in a file, and say.

Against a server that answers what a test wants; tests/flow/test_skill_shop.py has a
real one. Invariant: a claim secret is in the file, in buy's answer and in one header.
"""

import json
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from namespaces import money
from tests.support import fake_api
from tests.support.fake_api import Answer, FakeApi
from tests.support.skill import Ended, Skill, only

SECRET = "claim_s3cret-S3cret_s3cret"
TOKEN = "flux_k3v9x2m4q1_" + "s3cret" * 8 + "z"
PAY_AT = "https://checkout.example/c/pay/cs_1#" + "x" * 600
PATH = "/api/purchases/pur_1"
TOOLS = ("bash", "curl", "mkdir", "mv", "rm", "sleep")
LATER = "2999-01-01T00:00:00.000Z"


def begun(purchase: str = "pur_1", **changes: object) -> Answer:
    found = {
        "purchase_id": purchase,
        "checkout_url": PAY_AT,
        "amount": 900,
        "currency": "usd",
        "expires_at": LATER,
        "claim_secret": SECRET,
    }
    return Answer(201, json.dumps(found | changes).encode())


def so_far(status: str, namespace: str | None = None, **changes: object) -> Answer:
    found = {
        "status": status,
        "namespace": namespace,
        "purchase_id": "pur_1",
        "checkout_url": PAY_AT,
        "expires_at": LATER,
    }
    return Answer(body=json.dumps(found | changes).encode())


def refusal(status: int, code: str) -> Answer:
    return Answer(status, json.dumps({"error": "No.", "code": code}).encode())


MADE = so_far("paid", "dawn-coral")
CLAIMED = Answer(
    body=json.dumps(
        {"namespaceId": "ns_1", "name": "dawn-coral", "token": TOKEN}
    ).encode()
)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api.serving() as api:
        api.answer = begun()
        yield api


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def file(state: Path) -> Path:
    return state / "flux" / "purchase"


@pytest.fixture
def skill(api: FakeApi, tmp_path: Path, state: Path) -> Skill:
    """Without jq, which only lays answers out on a terminal."""
    path = only(tmp_path / "bin", *TOOLS)
    return Skill(api.url, path).given(XDG_STATE_HOME=str(state))


@pytest.fixture
def bought(api: FakeApi, skill: Skill) -> Skill:
    """A purchase was begun; the next answers are the test's."""
    assert skill.flux("buy", "ada@example.org").status == 0
    api.asked.clear()
    return skill


@pytest.fixture
def hurried(bought: Skill, tmp_path: Path) -> Skill:
    """The same with a sleep that takes no time and notes for how long it was asked."""
    sleep = tmp_path / "bin" / "sleep"
    sleep.unlink()
    sleep.write_text(f'#!{shutil.which("bash")}\necho "$1" >>"{tmp_path}/slept"\n')
    sleep.chmod(0o755)
    return bought


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- buy ------------------------------------------------------------------------


def test_buying_is_one_request(api: FakeApi, skill: Skill) -> None:
    ended = skill.given(FLUX_TOKEN="mine").flux("buy", "ada@example.org")
    assert (ended.status, ended.out) == (0, begun().body.decode() + "\n")
    [asked] = api.asked
    assert (asked.method, asked.path) == ("POST", "/api/purchases")
    assert json.loads(asked.body) == {"email": "ada@example.org"}
    assert "authorization" not in asked.headers


def test_people_read_the_price_where_to_pay_and_what_comes_next(
    skill: Skill,
) -> None:
    said = skill.flux("buy", "ada@example.org").err
    assert f"flux.sh: 9.00 USD, to be paid by a person at {PAY_AT}\n" in said
    assert "flux.sh claim (" in said
    assert SECRET not in said


def test_where_nothing_is_to_be_paid_it_says_so(api: FakeApi, skill: Skill) -> None:
    api.answer = begun(checkout_url=None, amount=0)
    said = skill.flux("buy", "ada@example.org").err
    assert said == "flux.sh: nothing to pay; go on with: flux.sh claim\n"


@pytest.mark.parametrize("currency", ["usd", "jpy", "kwd", "xof", "mga", "tnd", "sek"])
def test_prices_are_shown_as_the_server_shows_them(
    api: FakeApi, skill: Skill, currency: str
) -> None:
    for amount in (1, 50, 123456):
        api.answer = begun(f"pur_{amount}", amount=amount, currency=currency)
        expected = money.shown(amount, currency).replace(",", "")
        assert f": {expected}, to be paid" in skill.flux("buy", "a@example.org").err


@pytest.mark.parametrize(
    "email",
    [
        '"odd\\ \\"one\\""@example.org',
        "o'brien+flux@example.org",
        "ünï@exämple.org",
        "--wait",
        "$(id)`id`@example.org",
        "a\nb\t@example.org",
        " ada@example.org ",
    ],
)
def test_an_address_arrives_as_given(api: FakeApi, skill: Skill, email: str) -> None:
    assert skill.flux("buy", email).status == 0
    assert json.loads(api.last.body) == {"email": email}


def test_the_purchase_is_kept_for_its_buyer_alone(bought: Skill, file: Path) -> None:
    assert mode(file) == 0o600
    assert mode(file.parent) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["purchase"]
    kept = file.read_text()
    for value in ("pur_1", SECRET, PAY_AT, bought.url):
        assert f"={value}\n" in kept


def test_without_a_folder_for_states_it_is_kept_below_home(
    skill: Skill, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    at_home = skill.given(XDG_STATE_HOME="not/absolute", HOME=str(home))
    assert at_home.flux("buy", "ada@example.org").status == 0
    assert mode(home / ".local/state/flux/purchase") == 0o600


def test_a_variable_names_another_file(
    skill: Skill, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "an other"
    ended = skill.given(FLUX_PURCHASE_FILE=str(other)).flux("buy", "a@example.org")
    assert ended.status == 0
    assert mode(other) == 0o600
    assert not file.exists()


NO_PURCHASES = [
    "alias ll='ls -l'\n",
    "\0\xff",
    "server=http://x\npurchase=../pur_1\nsecret=claim_1\n",
    "server=http://x\npurchase=pur_1\n",
    None,
]


@pytest.mark.parametrize("content", NO_PURCHASES)
def test_what_is_no_purchase_is_not_overwritten(
    api: FakeApi, skill: Skill, tmp_path: Path, content: str | None
) -> None:
    other = tmp_path / "other"
    if content is None:
        other.mkdir()
    else:
        other.write_text(content)
    ended = skill.given(FLUX_PURCHASE_FILE=str(other)).flux("buy", "a@example.org")
    assert (ended.status, ended.out) == (2, "")
    assert "FLUX_PURCHASE_FILE" in ended.err
    assert content is None or other.read_text() == content
    assert api.asked == []


def test_where_nothing_can_be_kept_nothing_is_bought(
    api: FakeApi, skill: Skill, state: Path
) -> None:
    state.write_text("a file where a folder should be")
    ended = skill.flux("buy", "ada@example.org")
    assert ended.status == 2
    assert "cannot make the folder" in ended.err
    assert api.asked == []


def test_an_unclaimed_purchase_is_set_aside_not_lost(
    api: FakeApi, bought: Skill, file: Path
) -> None:
    before = file.read_text()
    api.answer = begun("pur_2")
    ended = bought.flux("buy", "ada@example.org")
    aside = file.with_name("purchase.pur_1")
    assert f"pur_1, bought before and not claimed, is now in {aside}" in ended.err
    assert aside.read_text() == before
    assert mode(aside) == 0o600
    assert "=pur_2\n" in file.read_text()
    api.first = [MADE, CLAIMED]
    assert bought.flux("claim", "pur_1").status == 0
    assert api.last.path == f"{PATH}/claim"
    assert "claimed=yes" in aside.read_text()
    assert "claimed=yes" not in file.read_text()


def test_a_claimed_purchase_makes_room(api: FakeApi, bought: Skill, file: Path) -> None:
    api.first = [MADE, CLAIMED, begun("pur_2")]
    assert bought.flux("claim").status == 0
    assert "before" not in bought.flux("buy", "ada@example.org").err
    assert [path.name for path in file.parent.iterdir()] == ["purchase"]
    assert "=pur_2\n" in file.read_text()


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (refusal(400, "invalid_email"), 1, "No. (invalid_email, HTTP 400)"),
        (refusal(404, "nothing_for_sale"), 1, "No. (nothing_for_sale, HTTP 404)"),
        (refusal(429, "too_many_purchases"), 1, "(too_many_purchases, HTTP 429)"),
        (refusal(503, "payment_unavailable"), 1, "(payment_unavailable, HTTP 503)"),
        (Answer(201, b'{"purchase_id":"pur_1"}'), 3, "other than a purchase"),
        (begun("../x"), 3, "other than a purchase"),
        (begun(claim_secret="two words"), 3, "other than a purchase"),
        (Answer(201, b"<html>"), 3, "other than JSON"),
        (Answer(201, begun().body, promised_bytes=9_999), 3, "no answer from"),
    ],
)
def test_what_is_no_purchase_leaves_the_one_before_in_place(
    api: FakeApi, bought: Skill, file: Path, answer: Answer, status: int, said: str
) -> None:
    before = file.read_text()
    api.answer = answer
    ended = bought.given(FLUX_TIMEOUT="1").flux("buy", "ada@example.org")
    assert (ended.status, ended.out) == (status, "")
    assert said in ended.err
    assert SECRET not in ended.err
    assert file.read_text() == before
    assert [path.name for path in file.parent.iterdir()] == ["purchase"]


def test_what_cannot_be_written_is_in_the_answer(
    api: FakeApi, skill: Skill, tmp_path: Path
) -> None:
    (tmp_path / "bin" / "mv").unlink()
    ended = skill.flux("buy", "ada@example.org")
    assert (ended.status, ended.out) == (0, begun().body.decode() + "\n")
    assert "cannot write" in ended.err
    assert "claim_secret of this answer" in ended.err
    assert SECRET not in ended.err


# --- claim ----------------------------------------------------------------------


def test_a_claim_needs_no_arguments(api: FakeApi, bought: Skill, file: Path) -> None:
    api.first = [MADE, CLAIMED]
    ended = bought.flux("claim")
    assert (ended.status, ended.out) == (0, CLAIMED.body.decode() + "\n")
    look, claim = api.asked
    assert (look.method, look.path) == ("GET", PATH)
    assert (claim.method, claim.path, claim.body) == ("POST", f"{PATH}/claim", b"")
    assert claim.headers["content-length"] == "0"
    for asked in api.asked:
        assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert "export FLUX_NAMESPACE=dawn-coral FLUX_TOKEN=" in ended.err
    assert f"export FLUX_URL={bought.url}" in ended.err
    assert "claimed=yes" in file.read_text()
    assert mode(file) == 0o600


def test_the_token_and_the_secret_are_told_once(api: FakeApi, bought: Skill) -> None:
    api.first = [MADE, CLAIMED]
    ended = bought.flux("claim")
    assert ended.out.count(TOKEN) == 1
    for secret in (TOKEN, SECRET):
        assert secret not in ended.err
    assert SECRET not in ended.out


def test_a_token_can_be_had_alone(api: FakeApi, bought: Skill) -> None:
    api.first = [MADE, CLAIMED]
    ended = bought.flux("claim", "--token-only")
    assert (ended.status, ended.out) == (0, TOKEN + "\n")
    # Nobody could know the name, which the server has picked.
    assert ended.err.endswith("next: export FLUX_NAMESPACE=dawn-coral\n")


def test_a_lost_answer_is_asked_for_again(api: FakeApi, bought: Skill) -> None:
    api.first = [MADE, CLAIMED, so_far("claimed", "dawn-coral"), CLAIMED]
    assert bought.flux("claim").status == 0
    again = bought.flux("claim")
    assert (again.status, again.out) == (0, CLAIMED.body.decode() + "\n")
    assert api.last.headers["authorization"] == f"Bearer {SECRET}"


def test_a_token_that_was_not_shown_is_not_marked_as_claimed(
    api: FakeApi, bought: Skill, file: Path
) -> None:
    api.first = [MADE, Answer(body=CLAIMED.body[:20], promised_bytes=500)]
    ended = bought.given(FLUX_TIMEOUT="1").flux("claim")
    assert (ended.status, ended.out) == (3, "")
    assert "claimed=yes" not in file.read_text()


@pytest.mark.parametrize("way", ["arguments", "variable"])
def test_another_purchase_is_named(
    api: FakeApi, bought: Skill, file: Path, way: str
) -> None:
    kept = file.read_text()
    api.first = [MADE, CLAIMED]
    if way == "arguments":
        ended = bought.flux("claim", "--", "pur/9", "claim_other")
    else:
        ended = bought.given(FLUX_CLAIM_SECRET="claim_other").flux("claim", "pur/9")
    assert ended.status == 0
    assert api.last.path == "/api/purchases/pur%2F9/claim"
    assert api.last.headers["authorization"] == "Bearer claim_other"
    assert file.read_text() == kept


def test_a_secret_that_is_given_goes_before_the_one_that_is_kept(
    api: FakeApi, bought: Skill
) -> None:
    api.first = [MADE, CLAIMED]
    assert bought.flux("claim", "pur_1", "claim_given").status == 0
    assert api.last.headers["authorization"] == "Bearer claim_given"


def test_a_secret_cannot_add_a_header(api: FakeApi, skill: Skill) -> None:
    ended = skill.given(FLUX_CLAIM_SECRET="a\nX-Evil: 1").flux("claim", "pur_1")
    assert ended.status == 2
    assert "Evil" not in ended.err
    assert api.asked == []


def test_a_purchase_is_claimed_where_it_was_bought(api: FakeApi, bought: Skill) -> None:
    for elsewhere in ("http://127.0.0.1:9/", ""):
        api.first = [MADE, CLAIMED]
        ended = bought.given(FLUX_URL=elsewhere).flux("claim")
        assert ended.status == 0
        assert f"this was bought at {bought.url}: it is claimed there" in ended.err
        assert ("not at FLUX_URL" in ended.err) == bool(elsewhere)
    assert (
        "this was bought at"
        not in bought.given(FLUX_URL=f"{api.url}/").flux("claim").err
    )


# --- claiming what is not there yet ---------------------------------------------


def test_what_is_not_paid_is_said_with_the_address(
    api: FakeApi, bought: Skill, file: Path
) -> None:
    api.answer = so_far("pending")
    ended = bought.flux("claim")
    assert (ended.status, ended.out) == (1, "")
    assert f"flux.sh: this is not paid yet: a person pays at {PAY_AT}\n" in ended.err
    assert len(api.asked) == 1
    assert "claimed=yes" not in file.read_text()


def test_it_waits_for_the_payment_and_then_for_the_namespace(
    api: FakeApi, hurried: Skill, tmp_path: Path
) -> None:
    pending = so_far("pending")
    api.first = [pending, pending, pending, so_far("paid"), MADE, CLAIMED]
    ended = hurried.flux("claim", "--wait=30")
    assert (ended.status, ended.out) == (0, CLAIMED.body.decode() + "\n")
    assert ended.err.count("waiting") == 2
    assert f"at most for the payment at {PAY_AT}\n" in ended.err
    assert (tmp_path / "slept").read_text() == "2\n" * 4


def test_a_paid_namespace_is_waited_for_without_being_asked(
    api: FakeApi, hurried: Skill
) -> None:
    not_ready = refusal(409, "not_ready")
    free = so_far("pending", checkout_url=None)
    api.first = [free, so_far("paid"), MADE, not_ready, MADE, CLAIMED]
    ended = hurried.flux("claim")
    assert (ended.status, ended.out) == (0, CLAIMED.body.decode() + "\n")
    assert ended.err.count("waiting for its namespace to be made") == 1


def test_waiting_ends(api: FakeApi, bought: Skill) -> None:
    api.answer = so_far("pending")
    before = time.monotonic()
    ended = bought.flux("claim", "--wait", "1")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines()[1].startswith("flux.sh: this is not paid yet")
    assert len(api.asked) == 2
    assert time.monotonic() - before < 20


def test_nothing_is_waited_for_after_the_checkout_has_ended(
    api: FakeApi, bought: Skill
) -> None:
    api.answer = so_far("pending", expires_at="2020-01-01T00:00:00.000Z")
    ended = bought.flux("claim", "--wait", "900")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "flux.sh: this was not paid, and its checkout has ended\n"


def test_a_server_may_be_away_while_it_is_waited_for(
    api: FakeApi, hurried: Skill
) -> None:
    api.first = [
        so_far("pending"),
        refusal(503, "database_unavailable"),
        refusal(429, "too_many_failed_tokens"),
        Answer(promised_bytes=100, status=502, body=b""),
        MADE,
        CLAIMED,
    ]
    ended = hurried.given(FLUX_TIMEOUT="1").flux("claim", "--wait", "30")
    assert (ended.status, ended.out) == (0, CLAIMED.body.decode() + "\n")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([refusal(401, "claim_secret_needed")], "the claim secret was not accepted"),
        ([refusal(404, "open_mode")], "No. (open_mode, HTTP 404)"),
        ([refusal(503, "database_unavailable")], "(database_unavailable, HTTP 503)"),
        ([so_far("expired"), refusal(409, "purchase_expired")], "(purchase_expired,"),
        ([so_far("refunded"), refusal(409, "purchase_refunded")], "(purchase_refunded"),
        ([so_far("claimed", "x"), refusal(409, "already_claimed")], "(already_claimed"),
        ([MADE, refusal(503, "database_unavailable")], "(database_unavailable, HTTP"),
    ],
)
def test_a_refusal_ends_it_and_says_why(
    api: FakeApi, bought: Skill, file: Path, answers: list[Answer], said: str
) -> None:
    api.first = list(answers)
    ended = bought.flux("claim", "--wait", "900")
    assert (ended.status, ended.out) == (1, "")
    assert said in ended.err
    assert SECRET not in ended.err
    assert len(api.asked) == len(answers)
    assert "claimed=yes" not in file.read_text()


@pytest.mark.parametrize("url", ["\x1b]0;x\x07", "javascript:alert(1)", "http://a b"])
def test_an_address_that_is_none_is_not_shown(
    api: FakeApi, skill: Skill, url: str
) -> None:
    """Nobody is led to click on, or to let a terminal obey, what is no address."""
    body = begun(checkout_url="URL").body.replace(b"URL", url.encode())
    api.answer = Answer(201, body)
    ended = skill.flux("buy", "ada@example.org")
    assert ended == Ended(
        0, body.decode() + "\n", "flux.sh: nothing to pay; go on with: flux.sh claim\n"
    )
