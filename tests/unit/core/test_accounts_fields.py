"""Accounts and who acts in them, their fields, brands, block lists, and what they may send abroad."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from ipaddress import ip_network

import pytest
from hypothesis import given, strategies as st

from smsgw.core.abroad import CODE, Abroad, Velocity
from smsgw.core.accounts import FIELDS, resolve, subtree
from smsgw.core.actor import EVERYTHING, NOTHING, Actor, ActorKind, ActorLabel, Author, Scope as Sight
from smsgw.core.blocklist import CARRIER, FOLD_AT, MANUAL, OPT_OUT, BlockList, Entry, Scope
from smsgw.core.brand import NEUTRAL, Brand, Brands, Look, contrast, name_of, parse_host, parse_look
from smsgw.core.errors import Refused
from smsgw.core.model import Account
from smsgw.core.permissions import ALL, SCOPES, Duty, Permission, duties_of, of_scopes
from smsgw.core.webhooks import parse_ports
from smsgw.core.words import phrase
from smsgw.platform.org.model import within


def test_an_account_has_what_follows_from_those_above() -> None:
    top = Account(1, "top", "active", quota_day=10, ends_on=date(2026, 6, 30))
    mid = Account(2, "mid", "active", parent_id=1, starts_on=date(2026, 2, 1), ends_on=date(2026, 12, 31))
    low = Account(3, "low", "active", parent_id=2, quota_month=5, starts_on=date(2026, 1, 1))
    by = {a.name: a for a in resolve([low, top, mid])}
    assert by["low"].above == (2, 1)
    assert by["low"].guards == (3, 1)
    assert (by["low"].first_day, by["low"].last_day) == (date(2026, 2, 1), date(2026, 6, 30))
    assert (by["top"].above, by["top"].first_day) == ((), None)
    assert subtree(by.values(), 2) == {2, 3}
    (one,) = resolve([Account(1, "a", "active", ends_on=date(2026, 1, 1), stops_at_end=False)])
    assert one.last_day is None


def test_fields_are_read_and_what_is_no_value_says_what_is_wanted() -> None:
    for field, text, value in (
        ("unit_price", "0.0385", Decimal("0.0385")), ("quota_day", "", None), ("quota_day", "500", 500),
        ("ip_allow", "10.0.0.1/8, 2001:db8::1", [ip_network("10.0.0.0/8"), ip_network("2001:db8::1")]),
        ("protocols", "http,smpp", ["http", "smpp"]), ("ends_on", "2026-12-31", date(2026, 12, 31)),
        ("emergency", "true", True), ("unknown_policy", "", None), ("credit_floor", "-100", -100),
    ):  # fmt: skip
        assert FIELDS[field](text) == value
        assert FIELDS[field](value) == value
    for field, text in (  # what is no value says what is wanted
        ("unit_price", "0.00001"), ("unit_price", "NaN"), ("unit_price", "-1"), ("quota_day", "0"), ("rate", "0"),
        ("ip_allow", "10.0.0.300"), ("ip_allow", ",".join(f"10.0.{n}.1" for n in range(201))), ("protocols", "ftp"),
        ("ends_on", "31.12.2026"), ("credit_floor", "1"), ("units_otp", "1001"), ("sign_required", "maybe"),
        ("display_name", "x" * 65), ("default_sign", "【x】"), ("extend_code", "12a"), ("parent", "a b"),
        ("unknown_policy", "later"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            FIELDS[field](text)
    assert parse_ports(["1", "8000-65535"]) == ((1, 1), (8000, 65535))  # ports have sixteen bits
    for wrong in ("0", "65536", "9-8", "1-65536"):
        with pytest.raises(ValueError, match="ports are 1 to 65535"):
            parse_ports([wrong])


@pytest.mark.timeout(60)
def test_accounts_that_are_above_each_other_end_somewhere() -> None:
    one, two = resolve([Account(1, "a", "active", parent_id=2), Account(2, "b", "active", parent_id=1)])
    assert (one.id, two.id) == (1, 2)


def test_a_host_shows_its_brand_and_what_is_no_field_is_named() -> None:
    city, port = Look(name="City"), Look(name="Port")
    brands = Brands.of([Brand(1, ("sms.city.example", "10.0.0.7"), city), Brand(2, ("port.example",), port)])
    assert brands.look("SMS.city.example:8443") is city
    assert brands.look("10.0.0.7") is city
    assert brands.look("port.example.") is port
    for unknown in ("", "city.example", "sms.city.example.evil", "*", "[::1]:80"):
        assert brands.look(unknown) is NEUTRAL, unknown
    every = Brands.of([*brands.by_host.values(), Brand(3, ("*",), Look(name="Every"))])
    assert every.look("elsewhere.example").name == "Every"
    assert every.look("port.example") is port
    for field, value in (  # a wrong field is named
        ("name", "x" * 31), ("footer", "a\0b"), ("colour", "red"), ("colour", "#12345"), ("colour", "#0b5cab;}"),
        ("login_style", "wild"), ("logo", "../x"), ("logo", "a" * 63),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{field}$"):
            parse_look({field: value})
    assert parse_look({"name": " City ", "font": "x"}) == Look(name="City")  # a later programs fields are passed over


def test_a_host_is_compared_as_it_is_asked_for() -> None:
    for written, host in (
        ("SMS.Example.", "sms.example"), ("*", "*"), ("10.0.0.7", "10.0.0.7"), ("[2001:DB8::1]", "2001:db8::1"),
        ("短信.example", "xn--vuq298g.example"), ("a:80", "a"), ("[::1]:8080", "::1"),
    ):  # fmt: skip
        assert parse_host(written) == host
        assert host == "*" or name_of(host if ":" not in host else f"[{host}]:443") == host
    for wrong in ("", " ", "a b", "a/b", "a:b", "http://a", "-a.example", "*.example", "a" * 64, "a." * 127 + "aa"):
        with pytest.raises(ValueError):  # noqa: PT011
            parse_host(wrong)


def test_what_is_written_on_a_colour_can_be_read() -> None:
    for one, other, ratio in (
        ("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48), ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0), ("#00ff00", "#ffffff", 1.37), ("#0000ff", "#ffffff", 8.59),
        ("#0a0a0a", "#000000", 1.06), ("#ffffff", "#ffffff", 1),
    ):  # fmt: skip
        assert contrast(one, other) == pytest.approx(ratio, abs=0.01)
        assert contrast(other, one) == contrast(one, other)
    for red in range(0, 256, 15):
        for green in range(0, 256, 15):
            for blue in range(0, 256, 15):
                colour = f"#{red:02x}{green:02x}{blue:02x}"
                assert contrast(colour, Look(colour=colour).ink) >= 4.5, colour


def judge(velocity: Velocity, countries: Sequence[str], hourly: int = 0, new: int = 0) -> list[int]:
    """The places of those that are too many."""
    refused = velocity.judge(Abroad(n, country, hourly, new) for n, country in enumerate(countries))
    assert all(code == CODE for code, _ in refused.values())
    return sorted(refused)


def test_messages_and_new_countries_of_an_hour_are_counted() -> None:
    velocity = Velocity()
    assert judge(velocity, ["US", "US", "US"], hourly=2) == [2]
    assert judge(velocity, ["US"], hourly=2) == [0]
    assert judge(velocity, ["US"], hourly=3) == []
    assert velocity.sent == 3, "those that were refused do not count"
    velocity = Velocity()  # countries are counted that are new
    velocity.known = {"US"}
    assert judge(velocity, ["US", "FR", "FR", "DE", "US", "GB", "DE", "GB"], new=2) == [5, 7]
    assert (velocity.fresh, velocity.known) == (2, {"US", "FR", "DE"})
    assert judge(velocity, ["US", "GB"], new=2) == [1]
    assert judge(velocity, ["GB"], new=3) == []
    velocity = Velocity()  # the limit is told
    velocity.sent, velocity.fresh = 5, 4
    told = velocity.judge([Abroad(0, "US", 5, 0), Abroad(1, "US", 0, 4), Abroad(2, "US", 0, 0)])
    assert {index: reason[1] for index, reason in told.items()} == {
        0: {"rule": phrase("abroad.hourly", most=5)},
        1: {"rule": phrase("abroad.countries", most=4)},
    }


EVERYBODY = Scope()
MARKETING = Scope(0, "marketing", "")
NOW = 1000.0
numbers = st.integers(8613800000000, 8613800000005)
scopes = st.sampled_from([EVERYBODY, MARKETING, Scope(1), Scope(1, "marketing", "店")])
entries = st.builds(
    Entry, numbers, scopes, st.sampled_from([MANUAL, OPT_OUT]), st.just(5), st.sampled_from([0, 900, 1100])
)


def state(entries: list[Entry]) -> dict[tuple[int, Scope], Entry]:
    return {(e.number, e.scope): e for e in entries}


@given(st.lists(entries), st.lists(st.tuples(entries, st.booleans())), st.integers(0, 30))
def test_like_a_plain_list(first: list[Entry], later: list[tuple[Entry, bool]], fold_after: int) -> None:
    known = state(first)
    list_ = BlockList(sorted(known.values(), key=lambda e: e.number))
    for n, (entry, removed) in enumerate(later):
        if n == fold_after:
            list_ = list_.folded()
        change = Entry(entry.number, entry.scope, entry.source, entry.since, entry.until, removed)
        list_.change(change)
        known.pop((entry.number, entry.scope), None)
        if not removed:
            known[entry.number, entry.scope] = change
    for candidate in (list_, list_.folded()):
        for number in range(8613800000000, 8613800000006):
            of_number = [e for e in known.values() if e.number == number]
            assert state(candidate.entries(number)) == state(of_number)
            for subject in ((1, "marketing", "店"), (1, "otp", ""), (2, "marketing", "店"), (2, "notice", "")):
                hits = [e for e in of_number if e.scope.covers(*subject) and (not e.until or e.until > NOW)]
                found = candidate.find(str(number), *subject, NOW)
                assert (found in hits) if hits else found is None
                if found is not None and found.source == OPT_OUT:
                    assert all(e.source == OPT_OUT for e in hits)  # a block is the graver reason


def test_scopes_and_the_order_of_entries() -> None:
    scope = Scope(7, "marketing", "店")
    assert scope.covers(7, "marketing", "店")
    assert not scope.covers(7, "marketing", "别家")
    assert not scope.covers(7, "notice", "店")
    assert not scope.covers(8, "marketing", "店")
    assert EVERYBODY.covers(8, "otp", "")
    with pytest.raises(ValueError, match="in order"):  # order is checked
        BlockList([Entry(2, EVERYBODY, MANUAL, 1), Entry(1, EVERYBODY, MANUAL, 1)])
    with pytest.raises(ValueError, match="in order"):
        BlockList([Entry(1, EVERYBODY, MANUAL, 1, removed=True)])


def test_many_entries_are_small_and_folded_in_at_some_time() -> None:
    list_ = BlockList()
    for n in range(FOLD_AT):
        assert not list_.heavy
        list_.change(Entry(8613000000000 + n, EVERYBODY, MANUAL, 1))
    assert list_.heavy
    assert not list_.folded().heavy
    assert len(list_.folded()) == FOLD_AT
    list_ = BlockList(Entry(8613000000000 + n, EVERYBODY, CARRIER, 1) for n in range(50_000))  # entries are small
    arrays = [v for name in BlockList.__init__.__code__.co_names for v in [getattr(list_, name, None)] if v]
    octets = sum(sys.getsizeof(a) for a in arrays if type(a).__name__ == "array")
    assert 20 <= octets / len(list_) < 25
    assert list_.find("8613000049999", 1, "otp", "", NOW)
    assert not list_.find("8613000050000", 1, "otp", "", NOW)


def test_names_scopes_and_duties() -> None:
    for actor, label in (
        (Actor.operator("root"), "cli:root"), (Actor.key("ak_live_1", 7, {"send"}), "ak_live_1"),
        (Actor.partner("smpp", "bank", 7), "smpp:bank"), (Actor.system("rule"), "rule"),
        (Actor(ActorKind.PERSON, "li", 3), "li"),
    ):  # fmt: skip
        assert (actor.label, actor.author) == (label, Author(ActorLabel(label), actor.address))
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


def test_a_scope_covers_what_its_roles_see_and_no_more() -> None:
    own, one = Sight((7,), (), "li"), Sight((7,))
    assert own.whole == ()
    for scope, account in ((own, 7), (Sight(None, None, "li"), 7), (one, 8), (NOTHING, 7)):
        assert not scope.covers(account)
    assert one.covers(7)
    assert EVERYTHING.covers(8)
    assert [within(scope, own) for scope in (NOTHING, own, one, Sight(None, ()))] == [True, True, False, False]
    for scope, department, covered in (
        (NOTHING, None, False), (EVERYTHING, None, True), (Sight((), (4,)), 4, True), (Sight((), (4,)), 5, False),
    ):  # fmt: skip
        assert scope.covers_department(department) is covered
    for one, other, both in (  # two roles see what either sees and no more
        (Sight((1,)), Sight((2, 1)), Sight((1, 2))),
        (Sight((1,)), EVERYTHING, EVERYTHING),
        (NOTHING, Sight((1,), (4,)), Sight((1,), (4,))),
        (Sight((1,), (), "li"), Sight((2,), (), "li"), Sight((1, 2), (), "li")),
        # Own submissions of account 1 and all of account 2: what is not all of 1 must not become it.
        (Sight((1,), (), "li"), Sight((2,)), Sight((2,))),
        (Sight((2,)), Sight((1,), (), "li"), Sight((2,))),
        (Sight(None, (), "li"), Sight((2,)), Sight((2,))),
    ):
        assert (one | other, other | one) == (both, both)
