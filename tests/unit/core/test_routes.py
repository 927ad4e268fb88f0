from __future__ import annotations

import tomllib
from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.model import MessageType
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


@pytest.mark.parametrize(
    ("changes", "pool"),
    [
        ({}, "CMCC"), ({"account": "bank"}, "CMCC"), ({"account": "bank", "type": MessageType.OTP}, "otp"),
        ({"province": "广东", "at": time(23, 0)}, "night"), ({"province": "广东", "at": time(5, 59)}, "night"),
        ({"province": "广东", "at": time(6, 0)}, "CMCC"),
        ({"province": "广东", "at": time(23, 0), "carrier": "CTCC"}, "CTCC"),
        ({"number": "8613800130000", "content": "水费账单"}, "night"),
        ({"number": "8613900000000", "content": "请缴费"}, "night"),
        ({"number": "8613900000000", "content": "请缴费", "sign": "电力"}, "CMCC"), ({"carrier": "UNKNOWN"}, "CMCC"),
        ({"carrier": "INTL", "number": "447700900123"}, "INTL"),
    ],
)  # fmt: skip
def test_the_first_rule_that_matches_decides(changes: dict[str, Any], pool: str) -> None:
    assert table().pool_for(subject(**changes)) == pool


def test_members_keep_weight_and_standby() -> None:
    assert [(m.channel, m.weight, m.standby) for m in table().members("otp")] == [
        ("a", 3, False),
        ("b", 1, False),
        ("c", 1, True),
    ]
    assert table().members("CMCC") == ()


def test_the_explanation_names_each_rule_up_to_the_deciding_one() -> None:
    pool, lines = table().explain(subject(number="8613800130000", content="水费账单"))
    assert pool == "night"
    assert [(line.rule, line.miss) for line in lines] == [
        ("codes of the bank", "account"),
        ("guangdong nights", "province"),
        ("one prefix, one word", ""),
    ]
    pool, lines = table().explain(subject())
    assert (pool, lines[-1].rule, lines[-1].miss) == ("CMCC", "", "")


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


@pytest.mark.parametrize("channels", [None, 5, True, "a", {"a": 1}, []])
def test_a_pool_whose_channels_are_no_list_is_told(channels: object) -> None:
    document = {"pool": [{"name": "p", "channels": channels}]}
    with pytest.raises(InvalidRoutes, match="pool p: channels must name at least one channel"):
        parse(document, version=1, channels=["a"])


def test_all_problems_are_told_at_once() -> None:
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


@pytest.mark.parametrize(
    ("begin", "end", "at", "holds"),
    [
        (time(8), time(21), time(8), True), (time(8), time(21), time(21), False),
        (time(22), time(6), time(0), True), (time(22), time(6), time(12), False),
        (time(8), None, time(23, 59), True), (time(8), None, time(7, 59), False),
    ],
)  # fmt: skip
def test_hours(begin: time, end: time | None, at: time, holds: bool) -> None:
    assert Hours(begin, end).holds(at) is holds


def test_a_move_comes_before_all_rules_and_replaces_an_earlier_one() -> None:
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


def test_a_move_that_is_taken_back_leaves_nothing_and_what_waits_goes_by_the_rules() -> None:
    document = tomllib.loads(DOCUMENT)
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


def test_moves_of_accounts_that_begin_alike_do_not_meet() -> None:
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
            {"name": "bank", "account": "bank", "pool": "own"},
            {"name": "others", "account": "shop", "pool": "other"},
            {"name": "codes", "type": "otp", "pool": "fast"},
            {"name": "move account given", "account": "given", "pool": "own"},
            {"name": "rest", "pool": "far"},
        ],
    },
    version=1,
    channels=["a"],
)


@pytest.mark.parametrize(
    ("account", "kind", "open_to"),
    [
        ("bank", MessageType.OTP, ("own", "fast", "far")), ("bank", MessageType.NOTICE, ("own", "far")),
        ("given", MessageType.OTP, ("fast", "own")), ("given", MessageType.NOTICE, ("own",)),
    ],
)  # fmt: skip
def test_a_preferred_pool_is_one_that_rules_lead_to(account: str, kind: MessageType, open_to: tuple[str, ...]) -> None:
    """What lies behind the rule that decides, but not behind one that has given the account to a channel."""
    assert PREFERRING.open_to(account, kind) == open_to
    one = Subject(account, kind, "8613800138000", "CMCC", "广东", "", "", time(12))
    assert tuple(pool for pool in ("own", "fast", "far", "other") if PREFERRING.leads(one, pool)) == tuple(
        pool for pool in ("own", "fast", "far", "other") if pool in open_to
    )
