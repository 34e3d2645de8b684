"""A world for tests of what is read: events committed without a server."""

import json
from typing import Any

from events import endpoints, ingest
from events.commands import Append, Stored
from flux_project.reply import Write


def publish(*events: dict[str, Any] | str) -> None:
    """Commits these events, all of them; a text is an event in its very JSON."""
    texts = [item if isinstance(item, str) else json.dumps(item) for item in events]
    write = endpoints.publish_batch(f"[{','.join(texts)}]".encode())
    assert isinstance(write, Write), write
    commands = [one for one in write.commands if isinstance(one, Append)]
    assert len(commands) == len(events)
    outcomes = ingest.commit(commands)
    assert all(isinstance(outcome, Stored) for outcome in outcomes), outcomes
