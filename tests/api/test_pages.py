"""The pages for people: the first one, errors, the documentation, static files."""

import re
from collections.abc import Callable

import pytest
from django.test import RequestFactory

from flux_project import api as glue
from tests.support import skill
from tests.support.client import Api
from tests.support.servers import Server

STRICT = {"default-src 'none'", "script-src 'self'", "style-src 'self'"}
ASSETS = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def policy(headers: object) -> set[str]:
    assert isinstance(headers, str)
    return set(headers.split("; "))


def test_the_first_page_says_what_to_do(api: Api) -> None:
    api.publish("a", x=1)
    answer = api.get("/", host="localhost:3000")
    page = answer.body.decode()
    assert answer.status == 200
    assert "Working" in page
    assert f"<dd>{api.head():,}</dd>" in page
    assert "curl http://localhost:3000/api/events" in page
    assert "curl http://localhost:3000/api/state/entities/home/kitchen" in page
    assert "FLUX_URL=http://localhost:3000 skills/flux/scripts/flux.sh publish" in page
    for link in ("/api/docs", "/api/schema", "/admin/state/entity/"):
        assert f'href="{link}"' in page


def test_the_command_of_the_first_page_works_as_it_stands(api: Api) -> None:
    page = api.get("/").body.decode()
    body = re.search(r"-d &#x27;(.*?)&#x27;|-d '(.*?)'", page, re.DOTALL)
    assert body is not None
    event = body[1] or body[2]
    answer = api.ask("POST", "/api/events", event.replace("&quot;", '"').encode())
    assert answer.status == 200, answer.body
    read = api.get("/api/state/entities/home/kitchen")
    assert read.json["properties"]["temperature"] == 21.5


@pytest.mark.parametrize("path", ["/", "/nope", "/api/docs", "/admin/login/"])
def test_a_page_loads_nothing_from_elsewhere(api: Api, path: str) -> None:
    answer = api.get(path)
    page = answer.body.decode()
    assert not re.search(r'(?:href|src)="(?:https?:)?//', page)
    assert ASSETS.search(page)
    for asset in ASSETS.findall(page):
        assert api.get(asset).status == 200, asset


@pytest.mark.parametrize("path", ["/", "/nope", "/api/docs"])
def test_a_page_of_ours_has_nothing_inline(api: Api, path: str) -> None:
    answer = api.get(path)
    page = answer.body.decode()
    assert policy(answer.headers["content-security-policy"]) >= STRICT
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"\son\w+=", page)


def test_only_the_admin_may_do_more(api: Api) -> None:
    admin = policy(api.get("/admin/login/").headers["content-security-policy"])
    assert "script-src 'self' 'unsafe-eval'" in admin
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= admin
    for path in ("/", "/administration", "/api/health", "/api/docs"):
        assert "unsafe" not in api.get(path).headers["content-security-policy"], path


def test_pages_send_the_headers_browsers_heed(api: Api) -> None:
    headers = api.get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_an_unknown_address_is_a_page_for_people_and_json_for_programs(
    api: Api,
) -> None:
    page = api.get("/nope")
    assert page.status == 404
    assert page.headers["content-type"].startswith("text/html")
    assert b"Nothing here" in page.body
    assert api.get("/api/nope").code == "unknown_route"


def test_the_first_page_is_only_read(api: Api) -> None:
    assert api.ask("HEAD", "/").status == 200
    assert api.post("/", {}).status in {403, 405}


def test_the_admin_is_found_without_its_last_slash(api: Api) -> None:
    answer = api.get("/admin")
    assert (answer.status, answer.headers["location"]) == (302, "/admin/")


def test_the_documentation_is_complete_without_the_internet(api: Api) -> None:
    page = api.get("/api/docs")
    assert page.status == 200
    assert b"swagger-ui-bundle.js" in page.body
    script = api.get("/api/docs?script=")
    assert script.headers["content-type"].startswith("application/javascript")
    assert b'"validatorUrl": null' in script.body
    assert api.get("/api/schema").status == 200


def test_static_files_are_cached_and_cut(api: Api) -> None:
    whole = api.get("/static/flux.css")
    assert whole.headers["content-type"].startswith("text/css")
    assert len(whole.body) == int(whole.headers["content-length"])
    assert "access-control-allow-origin" not in whole.headers
    same = api.get("/static/flux.css", if_none_match=whole.headers["etag"])
    assert (same.status, same.body) == (304, b"")
    part = api.get("/static/flux.css", range="bytes=10-19")
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert api.ask("HEAD", "/static/flux.css").status == 200
    assert api.get("/static/../manage.py").status == 404


def test_serving_pages_logs_no_warning(server: Server, api: Api) -> None:
    for path in ("/", "/static/flux.css", "/admin/login/", "/api/docs"):
        assert api.get(path).status == 200
    log = server.log.read_text()
    assert "StreamingHttpResponse" not in log
    assert "No directory at" not in log


def test_the_first_page_without_a_database(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing")
    client = Api(server.port)
    answer = client.get("/")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "10"
    assert b"Not working now" in answer.body
    assert b"/static/flux.css" in answer.body
    assert client.get("/static/flux.css").status == 200
    assert client.get("/nope").status == 404
    client.close()


def test_the_page_of_a_bug_needs_no_database() -> None:
    """Nothing unblocks the database here: pytest-django refuses any query."""
    answer = glue.server_error(RequestFactory().get("/"))
    page = answer.content.decode()
    assert answer.status_code == 500
    assert re.search(r"reference [0-9a-f]{12}", page)
    assert "/static/flux.css" in page


def test_the_script_is_to_be_had_without_the_project(api: Api) -> None:
    answer = api.get("/flux.sh")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body == skill.SCRIPT.read_bytes()
