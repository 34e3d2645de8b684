"""What `GET /metrics` says, parsed as Prometheus parses it.

Invariant: a `Scrape` holds every sample once; what is not there counts as 0, as it does
for Prometheus' functions.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from prometheus_client import parser

from flux_project import metrics
from tests.support.client import Answer, Api

Series = tuple[str, frozenset[tuple[str, str]]]


class Scrape:
    """All samples of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: dict[Series, float] = {}
        parse: Callable[[str], Any] = parser.text_string_to_metric_families
        for family in parse(self.text):
            for sample in family.samples:
                series = sample.name, frozenset(sample.labels.items())
                assert series not in self.samples, f"{series} stands twice"
                self.samples[series] = sample.value

    @property
    def series(self) -> set[Series]:
        return set(self.samples)

    def value(self, name: str, **labels: str) -> float:
        """One sample; `name` goes without the `flux_` that all begin with."""
        return self.samples.get((f"flux_{name}", frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of that name that have these labels."""
        wanted = labels.items()
        return sum(
            value
            for (found, has), value in self.samples.items()
            if found == f"flux_{name}" and has >= wanted
        )

    def values(self, label: str) -> set[str]:
        """All values that a label has, in whichever metric."""
        return {
            value
            for _, labels in self.samples
            for name, value in labels
            if name == label
        }


def of(api: Api) -> Scrape:
    return read(api.get("/metrics"))


def read(answer: Answer) -> Scrape:
    assert answer.status == 200, answer
    return Scrape(answer.body.decode())


def of_this_process() -> Scrape:
    text, _ = metrics.exposition("")
    return Scrape(text.decode())


class Moved:
    """`with Moved(api) as moved:`, then how each sample has moved in it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __enter__(self) -> Self:
        self._before = of(self._api)
        return self

    def __exit__(self, *_: object) -> None:
        self._after = of(self._api)

    def total(self, name: str, **labels: str) -> float:
        return self._after.total(name, **labels) - self._before.total(name, **labels)

    def all(self, name: str) -> Mapping[tuple[str, ...], float]:
        """What has moved of a metric, by the values of its labels in the order of the
        labels' names. Of the two scrapes the first is counted by the second."""
        before = self._before.samples
        moved = {
            tuple(value for _, value in sorted(labels)): value
            - before.get((found, labels), 0.0)
            for (found, labels), value in self._after.samples.items()
            if found == f"flux_{name}"
        }
        return {labels: by for labels, by in moved.items() if by}
