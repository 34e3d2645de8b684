"""The documents are part of the product: they name what exists, and all of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from django.apps import apps
from django.db.models import Model
from django.urls import URLPattern, URLResolver

from flux_project.urls import live_routes, urlpatterns

PROJECT = Path(__file__).resolve().parents[2]
APPS = ("flux_project", "namespaces", "events", "state", "connectors")
SKILL = PROJECT / "skills" / "flux"
REFERENCE = SKILL / "references" / "api.md"
CONTRACT = PROJECT / "docs" / "api.md"
README = PROJECT / "README.md"
DOCUMENTS = sorted(
    [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *SKILL.glob("**/*.md")]
)
# The client's own variables, which the server does not read.
OF_CLIENTS = {"FLUX_URL", "FLUX_TOKEN", "FLUX_NAMESPACE", "FLUX_TIMEOUT"}
OF_CLIENTS |= {"FLUX_PURCHASE_FILE", "FLUX_CLAIM_SECRET"}
# What the tests and the benchmarks set for themselves.
INNER = {"FLUX_TEST_PG_BINDIR"}

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT))
)


def prose(text: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors that headings get: lower case, no punctuation, dashes for blanks."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(text), re.MULTILINE)
    bare = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in bare}


def operations() -> Iterator[str]:
    """Every route with every method it takes, as the documents write them."""
    for route in cast(list[URLPattern | URLResolver], urlpatterns):
        path = "/" + re.sub(r"\(\?P<(\w+)>.*", r"{\1}", str(route.pattern).lstrip("^"))
        path = re.sub(r"<(\w+)>", r"{\1}", path)
        actions: dict[str, str] = {"get": ""}
        if isinstance(route, URLPattern):
            actions = getattr(route.callback, "actions", actions)
        for method, action in actions.items():
            fixed = isinstance(route, URLPattern) and route.default_args
            # An address that is also an entity's is documented as one of these.
            # DRF adds HEAD beside GET when a route is first used.
            is_listed = not (fixed and action in {"retrieve", "destroy"})
            if is_listed and method != "head":
                yield f"{method.upper()} {path}"
    yield from sorted({f"GET {path}" for _, path in live_routes})


def test_every_route_is_in_the_contract() -> None:
    contract = CONTRACT.read_text()
    found = [operation for operation in operations() if operation != "GET /admin"]
    assert "DELETE /api/state/entities/{entity_id}" in found
    assert [one for one in found if f"| `{one}` |" not in contract] == []


def test_the_contract_names_no_other_route() -> None:
    named = re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", CONTRACT.read_text(), re.MULTILINE)
    assert set(named) <= set(operations())


def test_every_endpoint_has_its_section_in_the_reference() -> None:
    """By its address, with what stands for an id; pages are not its subject."""
    reference = prose(REFERENCE.read_text()).replace("{id}", "{entity_id}")
    addresses = {one.split()[1] for one in operations() if "/api/" in one}
    assert len(addresses) > 7
    assert {one for one in addresses if f"{one}`" not in reference} == set()


def listed_settings() -> set[str]:
    listing = (PROJECT / ".env.example").read_text()
    return set(re.findall(r"^(?:#   )?([A-Z_]+)=", listing, re.MULTILINE))


def test_every_setting_has_its_row_in_the_readme() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| .+ \| .+ \|$", README.read_text(), re.MULTILINE
    )
    assert len(rows) == len(set(rows))
    assert set(rows) == listed_settings()


@every_document
def test_variables_that_are_named_exist(document: Path) -> None:
    named = set(re.findall(r"\bFLUX_[A-Z_]*[A-Z]\b", document.read_text()))
    assert named - listed_settings() - OF_CLIENTS - INNER == set()


def test_every_code_of_an_error_is_documented() -> None:
    """But not those of the admin and the importer, which say sentences alone."""
    files = [path for app in APPS for path in (PROJECT / app).glob("*.py")]
    shown = [path for path in files if path.name not in {"errors.py", "admin.py"}]
    source = "".join(path.read_text() for path in shown)
    codes = set(re.findall(r'^    code = "(\w+)"$', source, re.MULTILINE))
    documented = REFERENCE.read_text() + CONTRACT.read_text()
    assert len(codes) > 20
    assert sorted(code for code in codes if f"`{code}`" not in documented) == []


def test_every_table_is_described() -> None:
    architecture = (PROJECT / "docs" / "architecture.md").read_text()
    tables = {model._meta.db_table for app in APPS for model in models_of(app)}
    rows = re.findall(r"^\| `([a-z]+_[a-z]+)` \|", architecture, re.MULTILINE)
    assert "events_event" in tables
    assert set(rows) == tables


def models_of(app: str) -> Iterator[type[Model]]:
    return apps.get_app_config(app).get_models()


def test_every_library_has_its_reason() -> None:
    decisions = (PROJECT / "docs" / "decisions.md").read_text()
    lines = (PROJECT / "requirements.in").read_text().split()
    names = {re.split(r"[\[<>=,]", line)[0] for line in lines}
    rows = re.findall(r"^\| ([a-z][\w, -]*) \|", decisions, re.MULTILINE)
    given = {name for row in rows for name in row.split(", ")} - {"library"}
    assert given == names


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    text = prose(document.read_text())
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        is_there = file.exists() and file.is_relative_to(PROJECT)
        if not is_there or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)
    assert broken == []


@every_document
def test_files_that_are_named_exist(document: Path) -> None:
    folders = "|".join(
        (*APPS, "tests", "skills", "docs", "bench", "templates", "static")
    )
    named = re.findall(rf"`((?:{folders})/[^`\s*]*)`", document.read_text())
    missing = [name for name in named if not (PROJECT / name).exists()]
    assert missing == []


@every_document
def test_commands_that_are_named_exist(document: Path) -> None:
    text = document.read_text()
    makefile = (PROJECT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    assert named - targets == set()
    commands = set(re.findall(r"manage\.py (flux\w*)", text))
    files = {path.stem for path in PROJECT.glob("*/management/commands/*.py")}
    assert commands - files == set()


@every_document
def test_no_path_of_one_machine_is_named(document: Path) -> None:
    """A path below somebody's home or work directory means nothing to a reader."""
    found = re.findall(
        r"(?<![\w.])/(?:work|root|home|Users)\b\S*", document.read_text()
    )
    assert found == []
