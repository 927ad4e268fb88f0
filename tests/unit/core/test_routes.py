"""Route tables, moves, and changes of two people."""

from __future__ import annotations

import tomllib
from datetime import time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from smsgw.core.model import MessageType
from smsgw.core.route_edit import differences, merge, tidy
from smsgw.core.routes import DEFAULT_POOL, Hours, InvalidRoutes, RouteTable, Subject, moved, parse, restored

DOCUMENT = """
[[pool]]
name = "otp"
channels = [{ name = "a", weight = 3 }, "b", { name = "c", standby = true }]

[[pool]]
name = "night"
channels = ["b"]

[[rule]]
name = "codes of the bank"
account = "bank"
type = ["otp"]
pool = "otp"

[[rule]]
name = "guangdong nights"
carrier = ["CMCC", "CUCC"]
province = "广东"
hours = "22:00-06:00"
pool = "night"

[[rule]]
name = "one prefix, one word"
prefix = ["1380013", "8613900"]
keyword = ["缴费", "账单"]
sign = "水务"
pool = "night"
"""


def table() -> RouteTable:
    return parse(tomllib.loads(DOCUMENT), version=7, channels=["a", "b", "c"])


def subject(**changes: Any) -> Subject:
    values: dict[str, Any] = {
        "account": "shop", "type": MessageType.NOTICE, "number": "8613700000000", "carrier": "CMCC",
        "province": "北京", "sign": "水务", "content": "您好", "at": time(12, 0),
    }  # fmt: skip
    return Subject(**values | changes)


def test_the_first_rule_that_matches_decides_and_is_explained() -> None:
    for changes, pool in (
        ({}, "CMCC"), ({"account": "bank"}, "CMCC"), ({"account": "bank", "type": MessageType.OTP}, "otp"),
        ({"province": "广东", "at": time(23, 0)}, "night"), ({"province": "广东", "at": time(5, 59)}, "night"),
        ({"province": "广东", "at": time(6, 0)}, "CMCC"),
        ({"province": "广东", "at": time(23, 0), "carrier": "CTCC"}, "CTCC"),
        ({"number": "8613800130000", "content": "水费账单"}, "night"),
        ({"number": "8613900000000", "content": "请缴费"}, "night"),
        ({"number": "8613900000000", "content": "请缴费", "sign": "电力"}, "CMCC"), ({"carrier": "UNKNOWN"}, "CMCC"),
        ({"carrier": "INTL", "number": "447700900123"}, "INTL"),
    ):  # fmt: skip
        assert table().pool_for(subject(**changes)) == pool
    assert [(m.channel, m.weight, m.standby) for m in table().members("otp")] == [  # members keep weight and standby
        ("a", 3, False),
        ("b", 1, False),
        ("c", 1, True),
    ]
    assert table().members("CMCC") == ()
    pool, lines = table().explain(subject(number="8613800130000", content="水费账单"))
    assert pool == "night"
    assert [(line.rule, line.miss) for line in lines] == [
        ("codes of the bank", "account"),
        ("guangdong nights", "province"),
        ("one prefix, one word", ""),
    ]
    pool, lines = table().explain(subject())
    assert (pool, lines[-1].rule, lines[-1].miss) == ("CMCC", "", "")
    for begin, end, at, holds in (  # hours
        (time(8), time(21), time(8), True), (time(8), time(21), time(21), False),
        (time(22), time(6), time(0), True), (time(22), time(6), time(12), False),
        (time(8), None, time(23, 59), True), (time(8), None, time(7, 59), False),
    ):  # fmt: skip
        assert Hours(begin, end).holds(at) is holds


@given(
    st.builds(
        Subject,
        account=st.sampled_from(["bank", "shop"]),
        type=st.sampled_from(MessageType),
        number=st.sampled_from(["8613800130000", "8613900000000", "8613700000000"]),
        carrier=st.sampled_from(sorted(DEFAULT_POOL)),
        province=st.sampled_from(["广东", "北京", ""]),
        sign=st.sampled_from(["水务", "电力"]),
        content=st.sampled_from(["账单", "您好"]),
        at=st.times(),
    )
)
def test_the_explanation_always_agrees_with_the_decision(one: Subject) -> None:
    pool, lines = table().explain(one)
    assert pool == table().pool_for(one) == lines[-1].pool
    assert all(line.miss for line in lines[:-1])


def test_all_problems_are_told_at_once() -> None:
    for channels in (None, 5, True, "a", {"a": 1}, []):
        document = {"pool": [{"name": "p", "channels": channels}]}
        with pytest.raises(InvalidRoutes, match="pool p: channels must name at least one channel"):
            parse(document, version=1, channels=["a"])
    document = {
        "pol": [],
        "pool": [
            {"name": "Big", "channels": ["a"]},
            {"name": "p", "channels": ["a", "a", "nobody", {"name": "b", "weight": 0}]},
            {"name": "q", "channels": [{"name": "a", "standby": True}]},
            {"name": "r", "channels": []},
        ],
        "rule": [
            {"name": "x", "pool": "nowhere"},
            {"name": "y", "pool": "CMCC", "type": "spam", "carrier": ["XX"], "prefix": "abc", "hours": "9-5"},
            {"name": "y", "pool": "CMCC", "colour": "red", "keyword": [""]},
            {"pool": "CMCC"},
        ],
    }
    with pytest.raises(InvalidRoutes) as caught:
        parse(document, version=1, channels=["a", "b"])
    text = str(caught.value)
    for part in (
        "pol", "pool 1", "given twice", "no channel nobody", "weight of b", "pool q", "pool r", "no pool nowhere",
        "type spam", "carrier XX", "prefix abc", "hours", "two rules are called y", "unknown key colour", "keyword",
        "rule 4",
    ):  # fmt: skip
        assert part in text, part


def test_moves_come_first_do_not_meet_and_can_be_taken_back() -> None:
    document = tomllib.loads(DOCUMENT)
    once = moved(document, kind="account", value="bank", channel="A b", carriers=["CMCC"])
    twice = moved(once, kind="account", value="bank", channel="c")
    both = moved(twice, kind="sign", value="水务", channel="a")
    assert parse(once, version=1, channels=["a", "b", "c", "A b"]).members("only-a-b")[0].channel == "A b"
    assert once["rule"][0] == {
        "name": "move account bank", "account": ["bank"], "pool": "only-a-b", "carrier": ["CMCC"],
    }  # fmt: skip
    assert [r["pool"] for r in both["rule"][:2]] == ["only-a", "only-c"]
    assert {p["name"] for p in both["pool"]} == {"otp", "night", "only-a", "only-c"}
    assert both["rule"][2:] == document["rule"]
    document = tomllib.loads(DOCUMENT)  # a move that is taken back leaves nothing and what waits goes by the rules
    one = moved(document, kind="account", value="bank", channel="a")
    both = moved(one, kind="account", value="shop", channel="a")
    table = parse(both, version=1, channels=["a", "b", "c"])
    assert (table.given_to("account", "bank"), table.given_to("account", "nobody")) == ("a", None)
    back = restored(both, kind="account", value="bank")
    assert back is not None
    assert restored(one, kind="account", value="bank") == document
    assert restored(document, kind="account", value="bank") is None
    table = parse(back, version=2, channels=["a", "b", "c"])
    assert table.has("only-a"), "the shop's"
    assert table.follow(subject(account="bank"), "only-a") == table.pool_for(subject(account="bank")) != "only-a"
    assert table.follow(subject(account="shop"), "only-a") == "only-a"
    long, document = "city-hall-of-the-far-district-department-of-the-waters-", tomllib.loads(DOCUMENT)
    one = moved(document, kind="account", value=long + "a", channel="a")
    both = moved(one, kind="account", value=long + "b", channel="b")
    table = parse(both, version=1, channels=["a", "b", "c"])
    assert [table.given_to("account", long + end) for end in "abc"] == ["a", "b", None]
    back = restored(both, kind="account", value=long + "b")
    assert back is not None
    assert back["rule"] == one["rule"]
    assert restored(both, kind="account", value=long + "c") is None
    cut = one["rule"][0] | {"name": f"move account {long}"[:64]}
    written_before = {**one, "rule": [cut, *document["rule"]]}
    assert restored(written_before, kind="account", value=long + "a") == document


PREFERRING = parse(
    {
        "pool": [{"name": name, "channels": ["a"]} for name in ("own", "fast", "far", "other")],
        "rule": [
            {"name": "bank", "account": "bank", "pool": "own"}, {"name": "others", "account": "shop", "pool": "other"},
            {"name": "codes", "type": "otp", "pool": "fast"},
            {"name": "move account given", "account": "given", "pool": "own"}, {"name": "rest", "pool": "far"},
        ],
    },
    version=1,
    channels=["a"],
)  # fmt: skip


def test_a_preferred_pool_is_one_that_rules_lead_to() -> None:
    """What lies behind the rule that decides, but not behind one that has given the account to a channel."""
    for account, kind, open_to in (
        ("bank", MessageType.OTP, ("own", "fast", "far")), ("bank", MessageType.NOTICE, ("own", "far")),
        ("given", MessageType.OTP, ("fast", "own")), ("given", MessageType.NOTICE, ("own",)),
    ):  # fmt: skip
        assert PREFERRING.open_to(account, kind) == open_to
        one = Subject(account, kind, "8613800138000", "CMCC", "广东", "", "", time(12))
        assert tuple(pool for pool in ("own", "fast", "far", "other") if PREFERRING.leads(one, pool)) == tuple(
            pool for pool in ("own", "fast", "far", "other") if pool in open_to
        )


def edited(*rules: str, pools: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Rules of these names for an account of the name each, to the pool ``own`` or as ``changed`` says."""
    found = {"own": ["a"]} if pools is None else pools
    return {
        "pool": [{"name": name, "channels": channels} for name, channels in found.items()],
        "rule": [{"name": one, "account": [one], "pool": changed.get(one, "own")} for one in rules],
    }


def told(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.name, one.what) for one in differences(before, after)]


def test_differences_are_what_changed_its_meaning() -> None:
    short = {"pool": [{"name": "own", "channels": ["a"]}], "rule": [{"name": "x", "account": "shop", "pool": "own"}]}
    long = {
        "rule": [{"pool": "own", "account": ["shop"], "name": "x"}],
        "pool": [{"channels": [{"standby": False, "name": "a", "weight": 1}], "name": "own"}],
    }
    assert differences(short, long) == []
    assert tidy(short) == tidy(long)
    assert differences({}, {"pool": [], "rule": []}) == []
    before = edited("x", "y", "z", pools={"own": ["a"], "old": ["b"]})  # what was added removed changed and moved
    after = edited("z", "x", "new", pools={"own": ["a", {"name": "b", "standby": True}]}, x="CMCC")
    assert told(before, after) == [
        ("pool", "own", "changed"), ("pool", "old", "removed"),
        ("rule", "z", "moved"), ("rule", "x", "changed"), ("rule", "new", "added"), ("rule", "y", "removed"),
    ]  # fmt: skip


def test_changes_of_two_people_come_together() -> None:
    base = edited("x", "y")
    mine = edited("x", "mine", "y", y="CMCC")
    theirs = edited("theirs", "x", "y", pools={"own": ["a", "b"]})
    found = merge(base, mine, theirs)
    assert found.clashes == ()
    assert [rule["name"] for rule in found.document["rule"]] == ["theirs", "x", "mine", "y"]
    assert found.document["rule"][3]["pool"] == "CMCC"
    assert [m["name"] for m in found.document["pool"][0]["channels"]] == ["a", "b"]
    assert merge(base, base, theirs).document == tidy(theirs)
    assert merge(base, mine, base).document == tidy(mine)
    base = edited("x", "y", "z")  # what both have changed is mine and is named
    mine = edited("x", "z", x="CMCC")
    theirs = edited("x", "y", x="CTCC", y="CUCC")
    found = merge(base, mine, theirs)
    assert found.clashes == (("rule", "x"), ("rule", "y"))
    assert [(rule["name"], rule["pool"]) for rule in found.document["rule"]] == [("x", "CMCC")]
    base = edited("x", pools={"own": ["a"], "spare": ["b"]})  # a pool that a rule still leads to is not lost
    mine = edited("x", "new", pools={"own": ["a"], "spare": ["b"]}, new="spare")
    theirs = edited("x")
    found = merge(base, mine, theirs)
    assert {pool["name"] for pool in found.document["pool"]} == {"own", "spare"}
    base = edited("x", "y", "z")  # an order that somebody has changed is kept
    assert [r["name"] for r in merge(base, edited("z", "x", "y"), edited("x", "y", "z", "w")).document["rule"]] == [
        "z", "w", "x", "y"]  # fmt: skip
    assert [r["name"] for r in merge(base, edited("x", "y", "z", "w"), edited("y", "x", "z")).document["rule"]] == [
        "y", "x", "z", "w"]  # fmt: skip
