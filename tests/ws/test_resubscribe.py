"""Subscribing to what one is subscribed to already (contract §5)."""

from tests.support.client import Api
from tests.support.live import fence, heard
from tests.ws.conftest import Listen


def values(found: list[tuple[str, str, object]]) -> list[object]:
    return [value for _, _, value in found]


def test_it_begins_anew_from_where_it_is_asked_to(api: Api, listen: Listen) -> None:
    before = api.head()
    socket = listen(f"?entity_id={api.id('a')}")
    for number in range(3):
        seq = api.publish("a", n=number)
    socket.wait_for_seq(seq)
    socket.subscribe(entity_id=api.id("a"), since=before)
    socket.next("replay_end")
    socket.wait_for_seq(api.publish("a", n=3))
    assert values(heard(socket)) == [0, 1, 2, 0, 1, 2, 3]


def test_it_may_be_asked_to_show_the_state_again(api: Api, listen: Listen) -> None:
    socket = listen(f"?entity_id={api.id('a')}")
    api.publish("a", n=0)
    socket.wait_for_seq(api.publish("a", n=1))
    for _ in range(2):
        socket.subscribe(entity_id=api.id("a"), snapshot=True)
        socket.next("snapshot_end")
    socket.wait_for_seq(api.publish("a", n=2))
    assert values(heard(socket)) == [0, 1, 1, 1, 2]


def test_without_a_beginning_nothing_is_told_twice(api: Api, listen: Listen) -> None:
    socket = listen(f"?entity_id={api.id('a')}")
    for number in range(3):
        socket.wait_for_seq(api.publish("a", n=number))
        socket.subscribe(entity_id=api.id("a"))
    fence(api, socket)
    assert values(heard(socket)) == [0, 1, 2]


def test_the_older_one_goes_on_until_the_new_one_is_acknowledged(
    api: Api, listen: Listen
) -> None:
    """What it has delivered is not repeated by another one's replay in between."""
    before = api.head()
    socket = listen(f"?entity_id={api.id('a')}")
    api.publish("b", n=0)
    seq = api.publish("a", n=1)
    socket.wait_for_seq(seq)
    socket.ask(prefix=api.id(""), since=before)
    socket.ask(entity_id=api.id("a"), since=seq)
    for _ in range(2):
        socket.next("replay_end")
    fence(api, socket)
    assert values(heard(socket)) == [1, 0]


def test_one_that_is_refused_leaves_the_older_one_as_it_was(
    api: Api, listen: Listen
) -> None:
    socket = listen(f"?entity_id={api.id('a')}")
    since = api.publish("a", n=0)
    ahead = {"type": "subscribe", "entity_id": api.id("a"), "since": since + 9_999}
    socket.send(ahead)
    assert socket.next("error")["code"] == "since_ahead"
    api.publish("a", n=1)
    fence(api, socket)
    assert values(heard(socket)) == [0, 1]


def test_it_counts_once(api: Api, listen: Listen) -> None:
    """However often it was asked for, one unsubscribe ends it."""
    before = api.head()
    socket = listen()
    for _ in range(3):
        socket.subscribe(entity_id=api.id("a"), since=before)
        socket.next("replay_end")
    socket.unsubscribe(entity_id=api.id("a"))
    api.publish("a", n=0)
    fence(api, socket)
    assert heard(socket) == []
