"""Who acts: what is written of it, what it may do, and with whose data."""

from __future__ import annotations

import pytest

from smsgw.core.actor import EVERYTHING, NOTHING, Actor, ActorKind, ActorLabel, Author, Scope
from smsgw.core.errors import Refused
from smsgw.core.permissions import ALL, SCOPES, Duty, Permission, duties_of, of_scopes
from smsgw.platform.org.model import within


@pytest.mark.parametrize(
    ("actor", "label"),
    [
        (Actor.operator("root"), "cli:root"), (Actor.key("ak_live_1", 7, {"send"}), "ak_live_1"),
        (Actor.partner("smpp", "bank", 7), "smpp:bank"), (Actor.system("rule"), "rule"),
        (Actor(ActorKind.PERSON, "li", 3), "li"),
    ],
)  # fmt: skip
def test_the_written_form_is_that_of_the_rows_there_are(actor: Actor, label: str) -> None:
    assert (actor.label, actor.author) == (label, Author(ActorLabel(label), actor.address))


def test_names_scopes_and_duties() -> None:
    person = Actor(ActorKind.PERSON, "cli:root", 3)
    with pytest.raises(Refused) as refused:
        person.require(Permission.MESSAGE_SEND)
    assert (refused.value.code, refused.value.detail) == ("PERMISSION_DENIED", {"permission": "message.send"})
    assert of_scopes(frozenset({"send", "of a later program"})) == SCOPES["send"]
    assert of_scopes(frozenset()) == frozenset()
    assert Permission.ROLE_EDIT not in of_scopes(frozenset(SCOPES))
    assert (duties_of(ALL), duties_of({Permission.MESSAGE_SEND})) == (set(Duty), set())
    assert duties_of({Permission.AUDIT_VIEW, Permission.ROLE_EDIT}) == {Duty.AUDIT, Duty.SYSTEM}
    key = Actor.key("ak_live_1", 7, {"number"})
    key.require(Permission.CONTACT_EDIT, 7)
    with pytest.raises(Refused, match="不存在") as refused:
        key.require(Permission.CONTACT_EDIT, 8)
    assert refused.value.code == "NOT_FOUND"
    Actor.operator("root").require(Permission.CONTACT_EDIT, 8)


def test_who_sees_their_own_submissions_alone_has_no_account_as_a_whole() -> None:
    own, one = Scope((7,), (), "li"), Scope((7,))
    assert own.whole == ()
    for scope, account in ((own, 7), (Scope(None, None, "li"), 7), (one, 8), (NOTHING, 7)):
        assert not scope.covers(account)
    assert one.covers(7)
    assert EVERYTHING.covers(8)
    assert [within(scope, own) for scope in (NOTHING, own, one, Scope(None, ()))] == [True, True, False, False]
    for scope, department, covered in (
        (NOTHING, None, False), (EVERYTHING, None, True), (Scope((), (4,)), 4, True), (Scope((), (4,)), 5, False),
    ):  # fmt: skip
        assert scope.covers_department(department) is covered


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Scope((1,)), Scope((2, 1)), Scope((1, 2))),
        (Scope((1,)), EVERYTHING, EVERYTHING),
        (NOTHING, Scope((1,), (4,)), Scope((1,), (4,))),
        (Scope((1,), (), "li"), Scope((2,), (), "li"), Scope((1, 2), (), "li")),
        # Own submissions of account 1 and all of account 2: what is not all of 1 must not become it.
        (Scope((1,), (), "li"), Scope((2,)), Scope((2,))),
        (Scope((2,)), Scope((1,), (), "li"), Scope((2,))),
        (Scope(None, (), "li"), Scope((2,)), Scope((2,))),
    ],
)
def test_two_roles_see_what_either_sees_and_no_more(one: Scope, other: Scope, both: Scope) -> None:
    assert (one | other, other | one) == (both, both)
