"""The names of what is counted, and how plain numbers get into their counters."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flux_project import metrics
from flux_project.metrics import Answers, Tally

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes is forgotten with it."""
    monkeypatch.setattr(metrics, "_flushed", [])


@pytest.fixture
def counter() -> Counter:
    return Counter("tests", "Of a test.", registry=CollectorRegistry())


def value(counter: Counter) -> float:
    (sample,) = next(iter(counter.collect())).samples
    return sample.value


def test_a_tally_is_brought_into_its_counter_each_time_once(counter: Counter) -> None:
    tally = Tally(counter)
    for added in (3, 0, 4):
        tally.count += added
        metrics.flush()
        metrics.flush()
    assert value(counter) == 7


def test_answers_are_counted_by_the_class_of_their_status() -> None:
    answers = Answers("/of/this/test", "GET")
    counted = metrics.HTTP_REQUESTS.labels
    for status in (200, 304, 404, 404, 503, 200):
        answers.by_status[status] += 1
        metrics.flush()
    found = {
        name: counted("/of/this/test", "GET", name)._value.get()
        for name in ("2xx", "3xx", "4xx", "5xx")
    }
    assert found == {"2xx": 2, "3xx": 1, "4xx": 2, "5xx": 1}


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("", "/"),
        ("metrics", "/metrics"),
        ("api/state/entities", "/api/state/entities"),
        (
            r"^api/state/entities/(?P<entity_id>(?s:.+))\Z",
            "/api/state/entities/{entity_id}",
        ),
        ("admin", "/admin"),
        ("admin/", "/admin"),
        ("admin/events/event/<path:object_id>/change/", "/admin"),
        ("admin/(?P<url>.*)$", "/admin"),
        ("api/admin/config", "/api/admin/config"),
    ],
)
def test_a_route_is_shown_as_the_documents_write_it(pattern: str, shown: str) -> None:
    assert metrics.route(pattern) == shown


def test_a_status_is_one_of_five() -> None:
    shown = {metrics.status_class(status) for status in range(100, 600)}
    assert shown == {"1xx", "2xx", "3xx", "4xx", "5xx"}


def documented() -> dict[str, set[str]]:
    """The labels of each metric, by the table of the operators."""
    found: dict[str, set[str]] = {}
    rows = re.findall(
        r"^\| (`flux_[^|]+)\|([^|]*)\| .+ \|$", OPERATIONS.read_text(), re.MULTILINE
    )
    for names, labels in rows:
        for name in re.findall(r"`(\w+)`", names):
            found[name] = set(re.findall(r"`(\w+)`", labels))
    return found


def test_each_metric_and_its_labels_are_documented_and_no_others() -> None:
    made: dict[str, set[str]] = {}
    for one in metrics.REGISTRY._collector_to_names:
        assert isinstance(one, Counter | Gauge | Histogram)
        suffix = "_total" if isinstance(one, Counter) else ""
        made[one._name + suffix] = set(one._labelnames)
    assert len(made) > 15
    assert documented() == made
