"""flux.sh buys a namespace at a real server and writes to it, and the examples of the
documents about that.

What it sends and keeps is in tests/flow/shell/test_buy.py.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flux_project.embedded import EmbeddedPostgres
from tests.support.owners import browser, path_of
from tests.support.shop import Shop, make_database, open_shop
from tests.support.skill import FOLDER, Ended, Skill

EMAIL = "ada@example.org"
TOKEN = re.compile(r"flux_[0-9a-z]{10}_[0-9A-Za-z]{49}")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def free_shop(postgres: EmbeddedPostgres) -> Iterator[Shop]:
    database = make_database(postgres, "flux_skill_shop")
    with open_shop(database, "free") as shop:
        yield shop


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


@pytest.fixture
def at_free(free_shop: Shop, state: str) -> Skill:
    return Skill(free_shop.base_url).given(XDG_STATE_HOME=state)


@pytest.fixture
def at_demo(demo_shop: Shop, state: str) -> Skill:
    return Skill(demo_shop.base_url).given(XDG_STATE_HOME=state)


def answered(ended: Ended) -> Any:
    assert ended.status == 0, ended
    assert not TOKEN.search(ended.err)
    return json.loads(ended.out)


def publishes(skill: Skill, claimed: dict[str, str]) -> bool:
    holder = skill.given(FLUX_TOKEN=claimed["token"])
    return not holder.flux("publish", "s", "me", f"{claimed['name']}/a", "{}").status


def test_a_namespace_for_nothing_is_claimed_at_once(at_free: Skill) -> None:
    begun = at_free.flux("buy", EMAIL)
    assert answered(begun)["checkout_url"] is None
    assert begun.err == "flux.sh: nothing to pay; go on with: flux.sh claim\n"
    claimed = answered(at_free.flux("claim", "--wait", "60"))
    assert publishes(at_free, claimed)


def test_a_claim_is_repeated_until_its_token_is_used(at_free: Skill) -> None:
    at_free.flux("buy", EMAIL)
    first, second = answered(at_free.flux("claim")), answered(at_free.flux("claim"))
    assert first["name"] == second["name"]
    assert not publishes(at_free, first)
    assert publishes(at_free, second)
    refused = at_free.flux("claim")
    assert (refused.status, refused.out) == (1, "")
    assert "/account" in refused.err
    assert "(already_claimed, HTTP 409)" in refused.err


def test_nothing_is_claimed_before_it_is_paid(demo_shop: Shop, at_demo: Skill) -> None:
    begun = at_demo.flux("buy", EMAIL)
    checkout = answered(begun)["checkout_url"]
    assert f"flux.sh: 9.00 USD, to be paid by a person at {checkout}\n" in begun.err
    early = at_demo.flux("claim")
    assert (early.status, early.out) == (1, "")
    assert f"this is not paid yet: a person pays at {checkout}\n" in early.err
    with browser(demo_shop.base_url) as person:
        assert person.send(path_of(checkout)).is_redirect
    claimed = answered(at_demo.flux("claim", "--wait", "60"))
    assert publishes(at_demo, claimed)


def test_anothers_secret_claims_nothing(at_demo: Skill) -> None:
    purchase = answered(at_demo.flux("buy", EMAIL))["purchase_id"]
    ended = at_demo.flux("claim", purchase, "claim_guessed")
    assert (ended.status, ended.out) == (1, "")
    assert "(claim_secret_needed, HTTP 401)" in ended.err
    assert "the claim secret was not accepted" in ended.err
    assert "guessed" not in ended.err


def test_what_is_no_address_is_refused(at_demo: Skill) -> None:
    ended = at_demo.flux("buy", "nobody at all")
    assert (ended.status, ended.out) == (1, "")
    assert "(invalid_email, HTTP 400)" in ended.err


# --- the documents ----------------------------------------------------------------


def examples(document: str, heading: str) -> list[tuple[str, str]]:
    """(language, text) of a section's code blocks."""
    text = (FOLDER / document).read_text()
    text = text[text.index(f"\n## {heading}\n") :]
    return FENCED.findall(text[: text.index("\n## ", 1)])


def test_the_example_of_the_skill_runs_as_written(at_free: Skill) -> None:
    [(_, text)] = examples("SKILL.md", "Get a token")
    ended = at_free.shell(f'set -euo pipefail\n{text}\nprintf "%s\\n" "$FLUX_TOKEN"')
    assert ended.status == 0, ended
    name = re.findall(r"FLUX_NAMESPACE=(\S+)", ended.err)[-1]
    token = ended.out.splitlines()[-1]
    assert publishes(at_free, {"name": name, "token": token})


def test_the_examples_of_the_reference_answer_what_it_says(
    demo_shop: Shop, at_demo: Skill
) -> None:
    blocks = examples("references/api.md", "Buying a namespace")
    assert [language for language, _ in blocks] == ["sh", "json"] * 3
    skill = at_demo
    for (_, command), (_, expected) in zip(blocks[::2], blocks[1::2], strict=True):
        ended = skill.shell(command)
        assert (ended.status, ended.err) == (0, ""), command
        found = json.loads(ended.out)
        assert set(found) == set(json.loads(expected)), command
        if "claim_secret" in found:
            secret = found["claim_secret"]
            skill = skill.given(PURCHASE=found["purchase_id"], CLAIM_SECRET=secret)
            with browser(demo_shop.base_url) as person:
                person.send(path_of(found["checkout_url"]))
            waited = skill.flux("claim", found["purchase_id"], secret, "--wait=60")
            assert waited.status == 0, waited
