"""The one function that decides every permission."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_project.errors import Forbidden
from namespaces import grants
from namespaces.grants import ALL_SCOPES, Grant, Scope

NAMES = st.sampled_from(["coral", "coral2", "cora", "flux-core", "default", "dawn"])
RESTS = st.sampled_from(["", "a", "kitchen/x", "kitchen2", "kitchen/", "a/b"])
SCOPES = st.frozensets(st.sampled_from(ALL_SCOPES))


def grant(
    *scopes: Scope,
    prefix: str | None = None,
    is_suspended: bool = False,
    until: float = math.inf,
    namespace: str = "coral",
) -> Grant:
    held = frozenset(scopes or ALL_SCOPES)
    return Grant("id", b"", namespace, prefix, held, is_suspended, until)


def code(refused: Forbidden | None) -> str | None:
    return None if refused is None else refused.code


@pytest.mark.parametrize("scope", list(Scope))
def test_a_token_with_everything_may_do_everything_at_home(scope: Scope) -> None:
    assert grants.refusal(grant(), scope, "coral/a") is None


@pytest.mark.parametrize(
    "target", ["dawn/a", "cora/a", "coral2/a", "coral", "a", "", "/coral/a", "Coral/a"]
)
def test_another_namespace_is_refused_whether_it_exists_or_not(target: str) -> None:
    refused = grants.refusal(grant(), Scope.PUBLISH, target)
    assert code(refused) == "foreign_namespace"
    assert refused is not None
    assert refused.message == "This token is only for the namespace coral."


@pytest.mark.parametrize(
    ("target", "is_inside"),
    [
        ("coral/kitchen/x", True),
        ("coral/kitchen/", True),
        ("coral/kitchen", False),
        ("coral/kitchen2/x", False),
        ("coral/", False),
        ("coral/Kitchen/x", False),
    ],
)
def test_a_prefix_bounds_it(target: str, is_inside: bool) -> None:  # noqa: FBT001  a table's
    refused = grants.refusal(grant(prefix="coral/kitchen/"), Scope.PUBLISH, target)
    assert code(refused) == (None if is_inside else "outside_prefix")


@pytest.mark.parametrize("needed", list(Scope))
def test_one_missing_scope_is_missed_and_no_other(needed: Scope) -> None:
    others = [scope for scope in Scope if scope is not needed]
    refused = grants.refusal(grant(*others), needed, "coral/a")
    assert code(refused) == "missing_scope"
    assert refused is not None
    assert needed in refused.message
    for other in others:
        assert grants.refusal(grant(*others), other, "coral/a") is None


@pytest.mark.parametrize("scope", list(Scope))
def test_a_suspended_namespace_writes_nothing_and_keeps_what_it_may_see(
    scope: Scope,
) -> None:
    suspended = grant(is_suspended=True)
    assert code(grants.refusal(suspended, scope, "coral/a")) == "namespace_suspended"
    assert grants.refusal(suspended, scope, "coral/a", is_kept=True) is None


@pytest.mark.parametrize("scope", list(Scope))
def test_the_servers_own_namespace_is_nobodys(scope: Scope) -> None:
    for one in (grant(), grant(namespace="flux-core")):
        refused = grants.refusal(one, scope, "flux-core/directory")
        assert code(refused) == "reserved_namespace"


def test_what_is_wrong_is_told_in_one_order() -> None:
    """Whose it is before what it may do before whether it may now."""
    worst = grant(Scope.DELETE, prefix="coral/a/", is_suspended=True)
    found = [
        code(grants.refusal(worst, Scope.PUBLISH, target))
        for target in ("flux-core/x", "dawn/x", "coral/b", "coral/a/x")
    ]
    assert found == [
        "reserved_namespace",
        "foreign_namespace",
        "outside_prefix",
        "missing_scope",
    ]
    assert code(grants.refusal(worst, Scope.DELETE, "coral/a/x")) == (
        "namespace_suspended"
    )


@given(
    namespace=NAMES,
    scopes=SCOPES,
    name=NAMES,
    rest=RESTS,
    scope=st.sampled_from(ALL_SCOPES),
)
def test_nobody_ever_gets_beyond_its_own(
    namespace: str, scopes: frozenset[Scope], name: str, rest: str, scope: Scope
) -> None:
    target = f"{name}/{rest}"
    one = Grant("id", b"", namespace, None, scopes, False, math.inf)
    may = grants.refusal(one, scope, target) is None
    assert may == (name == namespace != "flux-core" and scope in scopes)
    # The short way of the usual event says yes only where the long one does.
    if one.publishes is not None and target.startswith(one.publishes):
        is_ours = namespace == "flux-core"
        assert is_ours or grants.refusal(one, Scope.PUBLISH, target) is None


def test_the_short_way_is_closed_to_who_may_not_publish() -> None:
    assert grant().publishes == "coral/"
    assert grant(prefix="coral/a/").publishes == "coral/a/"
    assert grant(Scope.DELETE, Scope.TOKENS).publishes is None
    assert grant(is_suspended=True).publishes is None


def test_scopes_of_another_version_say_nothing() -> None:
    assert grants.held(("publish", "fly", "tokens")) == {Scope.PUBLISH, Scope.TOKENS}
    assert grants.held(()) == frozenset()


class TestGranting:
    """A token never grants more than its maker has (contract §6)."""

    @pytest.mark.parametrize(
        ("maker", "starts", "scopes", "until", "expected"),
        [
            (grant(), "coral/", ALL_SCOPES, math.inf, None),
            (grant(until=10.0), "coral/", ALL_SCOPES, 10.0, None),
            (grant(until=10.0), "coral/", ALL_SCOPES, 10.1, "outlives_maker"),
            (grant(until=10.0), "coral/", ALL_SCOPES, math.inf, "outlives_maker"),
            (grant(prefix="coral/a/"), "coral/a/b", (), 1.0, None),
            (grant(prefix="coral/a/"), "coral/a", (), 1.0, "outside_prefix"),
            (grant(prefix="coral/a/"), "coral/", (), 1.0, "outside_prefix"),
            (grant(), "dawn/", (), 1.0, "foreign_namespace"),
            (grant(Scope.TOKENS), "coral/", (Scope.PUBLISH,), 1.0, "missing_scope"),
            (grant(Scope.PUBLISH), "coral/", (Scope.PUBLISH,), 1.0, "missing_scope"),
            (grant(is_suspended=True), "coral/", (), 1.0, "namespace_suspended"),
        ],
    )
    def test_it_has_no_more(
        self,
        maker: Grant,
        starts: str,
        scopes: tuple[Scope, ...],
        until: float,
        expected: str | None,
    ) -> None:
        refused = grants.may_grant(maker, starts=starts, scopes=scopes, until=until)
        assert code(refused) == expected

    @given(maker=SCOPES, made=SCOPES)
    def test_its_scopes_are_among_its_makers(
        self, maker: frozenset[Scope], made: frozenset[Scope]
    ) -> None:
        one = Grant("id", b"", "coral", None, maker, False, math.inf)
        refused = grants.may_grant(one, starts="coral/", scopes=made, until=1.0)
        assert (refused is None) == (Scope.TOKENS in maker and made <= maker)
