"""The tables are what we mean: an index costs every write, so none comes by itself."""

from io import StringIO

from django.core.management import call_command

from tests.support.said import World

OURS = "tablename LIKE ANY (ARRAY['events\\_%%', 'state\\_%%', 'namespaces\\_%%'])"
INDEXES = {
    "events_event_pkey": "UNIQUE (seq)",
    "events_event_entity_seq": "(entity_id, seq)",
    "events_idempotency_pkey": "UNIQUE (digest)",
    "events_log_pkey": "UNIQUE (id)",
    "namespaces_attempt_at": "(at)",
    "namespaces_attempt_key": "(kind, key, at)",
    "namespaces_attempt_pkey": "UNIQUE (id)",
    "namespaces_auditentry_at_4440688d": "(at)",
    "namespaces_auditentry_pkey": "UNIQUE (id)",
    "namespaces_bucket_pkey": "UNIQUE (namespace)",
    "namespaces_namespace_name_key": "UNIQUE (name)",
    "namespaces_event_purchase": "(purchase_id)",
    "namespaces_event_stranger": (
        "(received_at, id) WHERE ((handled_at IS NOT NULL) AND (purchase_id IS NULL))"
    ),
    "namespaces_event_waiting": "(received_at) WHERE (handled_at IS NULL)",
    "namespaces_namespace_owner": "(owner_id)",
    "namespaces_namespace_pkey": "UNIQUE (id)",
    "namespaces_namespace_version_a7490186": "(version)",
    "namespaces_owner_email_key": "UNIQUE (email)",
    "namespaces_owner_pkey": "UNIQUE (id)",
    "namespaces_providerevent_pkey": "UNIQUE (id)",
    "namespaces_purchase_checkout": (
        "UNIQUE (provider, checkout_ref) WHERE (NOT (checkout_ref = ''::text))"
    ),
    "namespaces_purchase_email": "(email, created_at)",
    "namespaces_purchase_made": "(created_at, id)",
    "namespaces_purchase_namespace_id_key": "UNIQUE (namespace_id)",
    "namespaces_purchase_odd": (
        "(created_at, id) WHERE ((NOT (trouble = ''::text))"
        " OR (disputed_at IS NOT NULL) OR (state = 'paid'::text))"
    ),
    "namespaces_purchase_payment": "(payment_ref) WHERE (NOT (payment_ref = ''::text))",
    "namespaces_purchase_pkey": "UNIQUE (id)",
    "namespaces_purchase_state": "(state, created_at)",
    "namespaces_purchase_taken": (
        "(paid_at) INCLUDE (provider, currency, amount, refunded)"
        " WHERE (paid_at IS NOT NULL)"
    ),
    "namespaces_runtimeconfig_pkey": "UNIQUE (id)",
    "namespaces_secret_pkey": "UNIQUE (digest)",
    "namespaces_secret_token": "(token_id)",
    "namespaces_token_ns": "(namespace_id)",
    "namespaces_token_pkey": "UNIQUE (id)",
    "namespaces_token_version_43297088": "(version)",
    "namespaces_usage_hour": "(hour)",
    "namespaces_usage_pkey": "UNIQUE (namespace, hour)",
    "namespaces_usagecursor_pkey": "UNIQUE (id)",
    "state_count_pkey": "UNIQUE (namespace)",
    "state_entity_pkey": "UNIQUE (id)",
    "state_entity_default": "(id) WHERE (namespace = 'default'::text)",
}


def test_there_are_these_indexes_and_no_others(world: World) -> None:
    found = world.rows(
        "SELECT indexname, (CASE WHEN indexdef LIKE 'CREATE UNIQUE%%' THEN 'UNIQUE '"
        " ELSE '' END) || regexp_replace(indexdef, '^.* USING btree ', '')"
        f" FROM pg_indexes WHERE {OURS}"
    )
    assert dict(found) == INDEXES


def test_ids_are_compared_byte_by_byte(world: World) -> None:
    found = world.rows(
        "SELECT table_name || '.' || column_name FROM information_schema.columns"
        " WHERE collation_name = 'C' AND table_name LIKE ANY (ARRAY['events%%',"
        " 'state%%']) ORDER BY 1"
    )
    ids = ["events_event.entity_id", "state_count.namespace", "state_entity.id"]
    assert [name for (name,) in found] == ids


def test_hot_rows_have_room_in_their_pages(world: World) -> None:
    found = world.rows(
        "SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL"
        " AND relname LIKE 'state%%' ORDER BY 1"
    )
    assert found == [
        ("state_count", ["fillfactor=50"]),
        ("state_entity", ["fillfactor=70"]),
    ]


def test_large_values_are_never_compressed_slowly(world: World) -> None:
    """lz4 where the server has it, else none: this happens under the log's lock."""
    found = world.rows(
        "SELECT attcompression::text, attstorage::text FROM pg_attribute WHERE"
        " (attrelid, attname) IN (('events_event'::regclass, 'payload'),"
        " ('state_entity'::regclass, 'properties'))"
    )
    assert len(found) == 2
    assert all(kind == ("l", "x") or kind[1] == "e" for kind in found), found


def test_no_foreign_key_leads_out_of_the_log(world: World) -> None:
    assert (
        world.rows(
            "SELECT conname FROM pg_constraint WHERE contype = 'f'"
            " AND conrelid::regclass::text LIKE 'events\\_%%'"
        )
        == []
    )


def test_the_log_has_its_triggers(world: World) -> None:
    found = world.rows(
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        " AND tgrelid = 'events_event'::regclass ORDER BY 1"
    )
    assert found == [("events_event_no_change",), ("events_event_no_truncate",)]


def test_the_migrations_say_what_the_models_say(world: World) -> None:
    out = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=out)
    assert "No changes detected" in out.getvalue()
