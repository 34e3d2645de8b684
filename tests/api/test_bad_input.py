"""Every bad request has its one refusal, the same on the lane and without it.

The tables stand in `tests/api/cases`. A refusal names what is wrong, and nothing that
was refused is stored: the head of the log stays where it was.
"""

import pytest

from tests.api.cases import addresses, events, requests, values
from tests.api.cases.case import Case
from tests.support.client import Answer, Api

CASES = [
    *values.VALUES,
    *events.EVENTS,
    *events.RESERVED,
    *events.TOO_LARGE,
    *requests.BATCHES,
    *requests.DELETES,
    *requests.SETTINGS,
    *addresses.IDS,
    *addresses.PARAMETERS,
    *addresses.METHODS,
    *addresses.ROUTES,
]
_given_before: dict[str, Answer] = {}


def test_the_tables_are_large_and_name_each_case_once() -> None:
    names = [case.name for case in CASES]
    assert len(names) >= 150
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_and_stores_nothing(api: Api, case: Case) -> None:
    before = api.head()
    answer = api.ask(case.method, case.path, case.body, **case.headers)
    assert (answer.status, answer.code) == (case.status, case.code), answer.body
    assert answer.json.get("field") == case.at
    assert api.head() == before
    # The other kind of server, asked in the same run, said the very same.
    other = _given_before.setdefault(case.name, answer)
    assert (answer.status, answer.body) == (other.status, other.body)


def test_what_was_refused_left_no_entity(api: Api) -> None:
    assert api.get("/api/state/entities?namespace=bad").json == []
