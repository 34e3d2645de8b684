"""Django's own connections in a server: none of them waits for ever."""

import copy

import psycopg
import pytest
from django.db import connections

from flux_project import database


def test_they_give_up_by_themselves(
    django_db_setup: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = copy.deepcopy(connections.settings)
    settings["default"]["OPTIONS"]["options"] = "-c search_path=public"
    monkeypatch.setattr(connections, "settings", settings)
    database.bound_django()
    parameters = connections.create_connection("default").get_connection_params()
    with psycopg.connect(**parameters) as connection:
        for name in ("lock", "statement", "idle_in_transaction_session"):
            row = connection.execute(f"SHOW {name}_timeout").fetchone()
            assert row == ("10s",)
        assert connection.execute("SHOW search_path").fetchone() == ("public",)
