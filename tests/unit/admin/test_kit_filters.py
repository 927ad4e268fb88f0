"""Filter bars: what an address says, as values, as an address again, and told where it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.words import kit as words

NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
"""The second of March in China."""
FILTER = Filter(
    (
        Field("text"), Field("state", FieldKind.CHOICE, choices={"on": "on", "off": "off"}),
        Field("phone", FieldKind.PHONE), Field("id", FieldKind.ID, more=True), Field("n", FieldKind.NUMBER),
        Field("ip", FieldKind.ADDRESS), Field("seen", FieldKind.DAYS, more=True),
    )
)  # fmt: skip


def read(**query: str) -> Found:
    return FILTER.read(query, NOW)


@pytest.mark.parametrize(
    ("preset", "first", "days"), [("today", 2, 1), ("yesterday", 1, 1), ("7d", -4, 7), ("30d", -27, 30), ("evil", 2, 1)]
)
def test_presets_are_days_in_china(preset: str, first: int, days: int) -> None:
    begin, end = read(time=preset).times
    assert end - begin == timedelta(days=days)
    midnight = datetime(2026, 2, 28, 16, tzinfo=UTC) + timedelta(days=first - 1)
    assert begin == midnight


def test_named_days_are_whole_days() -> None:
    begin, end = read(time="custom", **{"from": "2026-01-01", "to": "2026-01-31"}).times
    assert (begin, end - begin) == (datetime(2025, 12, 31, 16, tzinfo=UTC), timedelta(days=31))


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-02-30", "", words.BAD_DAY), ("x", "", words.BAD_DAY), ("0001-01-01", "", words.FAR_DAY),
        ("9999-12-31", "", words.FAR_DAY), ("2026-02-01", "2026-01-01", words.DAYS_TURNED),
        ("2024-01-01", "2026-01-01", words.TOO_MANY_DAYS),
    ],
)  # fmt: skip
def test_days_that_cannot_be_are_told_at_the_time(first: str, last: str, said: str) -> None:
    found = read(time="custom", **{"from": first, "to": last})
    assert found.errors["time"].text == said
    assert found.texts["from"] == first, "what was typed stays"


def test_values_have_their_types() -> None:
    found = read(text=" a ", state="on", phone="138 0013 8000", id="7", n="-3", ip="10.1.2.3/8", seen_from="2026-01-01")
    assert not found.errors
    assert found.values == {
        "text": "a", "state": "on", "phone": "8613800138000", "id": 7, "n": -3, "ip": "10.0.0.0/8",
        "seen": (datetime(2025, 12, 31, 16, tzinfo=UTC), None),
    }  # fmt: skip
    assert not found.plain
    assert found.folded == 2


@pytest.mark.parametrize(
    ("key", "typed", "said"),
    [
        ("state", "gone", words.NO_SUCH_CHOICE), ("phone", "12", words.BAD_PHONE), ("id", "0", words.BAD_ID),
        ("id", "9223372036854775808", words.BAD_ID), ("id", "١", words.BAD_ID), ("n", "1e9", words.BAD_NUMBER),
        ("ip", "1.2.3", words.BAD_ADDRESS), ("ip", "::1%eth0/99", words.BAD_ADDRESS),
        ("text", "a\x07", words.UNPRINTABLE),
        ("text", "x" * 65, words.TOO_LONG), ("seen_to", "2026-1-1", words.BAD_DAY),
    ],
)  # fmt: skip
def test_a_bad_value_is_told_at_its_field_and_looked_for_by_nobody(key: str, typed: str, said: str) -> None:
    found = FILTER.read({key: typed}, NOW)
    (wrong,) = found.errors.items()
    assert (wrong[0], wrong[1].text) == (key.removesuffix("_to"), said)
    assert not found.values


def test_the_address_of_a_filter_gives_the_same_filter() -> None:
    found = read(time="7d", text="a&b=c", state="off", seen_to="2026-02-01", evil="1")
    query = dict(parse_qsl(found.query(at="x")))
    assert query.pop("at") == "x"
    assert "evil" not in query
    again = FILTER.read(query, NOW)
    assert (again.state, again.values, again.times) == (found.state, found.values, found.times)


def test_choices_of_the_person_are_the_only_ones() -> None:
    filter_ = Filter((Field("account", FieldKind.CHOICE),), None)
    assert filter_.read({"account": "3"}, NOW, {"account": {"3": "mine"}}).values == {"account": "3"}
    assert filter_.read({"account": "4"}, NOW, {"account": {"3": "mine"}}).errors
    assert filter_.read({"time": "7d"}, NOW).state == {}
    with pytest.raises(ValueError, match="no time"):
        _ = filter_.read({}, NOW).times


KEYS = st.sampled_from([*FILTER.keys, "evil"])
KNOWN = st.sampled_from(["custom", "7d", "2026-01-01", "-1", "0x1", "1.2.3.4", "on"])
TEXTS = st.text("aé1-.:/% \x07'\"<٣", max_size=20) | KNOWN


@given(st.dictionaries(KEYS, TEXTS))
def test_no_address_breaks_it(query: dict[str, str]) -> None:
    found = FILTER.read(query, NOW)
    assert set(found.values) | set(found.errors) <= {*(one.key for one in FILTER.fields), "time"}
    assert Period().default == "today"
    assert FILTER.read(dict(parse_qsl(found.query())), NOW).values == found.values
