"""Filters and forms: what was typed, as values, and told where it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp.typedefs import MultiDict
from hypothesis import given, strategies as st

from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period, Problem, read_id
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.numbers import recipients
from smsgw.admin.pages.sending.form import SendForm
from smsgw.admin.words import kit as words
from smsgw.core.errors import Invalid
from smsgw.core.model import MessageType

NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
"""The second of March in China."""
FILTER = Filter(
    (
        Field("text"), Field("state", FieldKind.CHOICE, choices={"on": "on", "off": "off"}),
        Field("phone", FieldKind.PHONE), Field("id", FieldKind.ID, more=True),
        Field("n", FieldKind.NUMBER), Field("ip", FieldKind.ADDRESS),
        Field("seen", FieldKind.DAYS, more=True),
    )
)  # fmt: skip


def read(**query: str) -> Found:
    return FILTER.read(query, NOW)


def test_days_are_whole_days_in_china_and_others_are_told_at_the_time() -> None:
    begin, end = read(time="custom", **{"from": "2026-01-01", "to": "2026-01-31"}).times
    assert (begin, end - begin) == (datetime(2025, 12, 31, 16, tzinfo=UTC), timedelta(days=31))
    for first, last, said in (  # days that cannot be are told at the time
        ("2026-02-30", "", words.BAD_DAY), ("x", "", words.BAD_DAY), ("0001-01-01", "", words.FAR_DAY),
        ("9999-12-31", "", words.FAR_DAY), ("2026-02-01", "2026-01-01", words.DAYS_TURNED),
        ("2024-01-01", "2026-01-01", words.TOO_MANY_DAYS),
    ):  # fmt: skip
        found = read(time="custom", **{"from": first, "to": last})
        assert found.errors["time"].text == said
        assert found.texts["from"] == first, "what was typed stays"
    for preset, first, days in (("today", 2, 1), ("yesterday", 1, 1), ("7d", -4, 7), ("30d", -27, 30), ("evil", 2, 1)):
        begin, end = read(time=preset).times
        assert end - begin == timedelta(days=days)
        midnight = datetime(2026, 2, 28, 16, tzinfo=UTC) + timedelta(days=first - 1)
        assert begin == midnight


def test_values_of_a_filter_have_their_types_and_give_the_same_filter_again() -> None:
    found = read(text=" a ", state="on", phone="138 0013 8000", id="7", n="-3", ip="10.1.2.3/8", seen_from="2026-01-01")
    assert not found.errors
    assert found.values == {
        "text": "a", "state": "on", "phone": "8613800138000", "id": 7, "n": -3, "ip": "10.0.0.0/8",
        "seen": (datetime(2025, 12, 31, 16, tzinfo=UTC), None),
    }  # fmt: skip
    assert not found.plain
    assert found.folded == 2
    found = read(time="7d", text="a&b=c", state="off", seen_to="2026-02-01", evil="1")
    query = dict(parse_qsl(found.query(at="x")))
    assert query.pop("at") == "x"
    assert "evil" not in query
    again = FILTER.read(query, NOW)
    assert (again.state, again.values, again.times) == (found.state, found.values, found.times)
    filter_ = Filter((Field("account", FieldKind.CHOICE),), None)  # choices of the person are the only ones
    assert filter_.read({"account": "3"}, NOW, {"account": {"3": "mine"}}).values == {"account": "3"}
    assert filter_.read({"account": "4"}, NOW, {"account": {"3": "mine"}}).errors
    assert filter_.read({"time": "7d"}, NOW).state == {}
    with pytest.raises(ValueError, match="no time"):
        _ = filter_.read({}, NOW).times


def test_a_bad_value_is_told_at_its_field_and_looked_for_by_nobody() -> None:
    for key, typed, said in (
        ("state", "gone", words.NO_SUCH_CHOICE), ("phone", "12", words.BAD_PHONE), ("id", "0", words.BAD_ID),
        ("id", "9223372036854775808", words.BAD_ID), ("id", "١", words.BAD_ID), ("n", "1e9", words.BAD_NUMBER),
        ("ip", "1.2.3", words.BAD_ADDRESS), ("ip", "::1%eth0/99", words.BAD_ADDRESS),
        ("text", "a\x07", words.UNPRINTABLE),
        ("text", "x" * 65, words.TOO_LONG), ("seen_to", "2026-1-1", words.BAD_DAY),
    ):  # fmt: skip
        found = FILTER.read({key: typed}, NOW)
        (wrong,) = found.errors.items()
        assert (wrong[0], wrong[1].text) == (key.removesuffix("_to"), said)
        assert not found.values


KEYS = st.sampled_from([*FILTER.keys, "evil"])
KNOWN = st.sampled_from(["custom", "7d", "2026-01-01", "-1", "0x1", "1.2.3.4", "on"])
TEXTS = st.text("aé1-.:/% \x07'\"<٣", max_size=20) | KNOWN


@given(st.dictionaries(KEYS, TEXTS))
def test_no_address_breaks_it(query: dict[str, str]) -> None:
    found = FILTER.read(query, NOW)
    assert set(found.values) | set(found.errors) <= {*(one.key for one in FILTER.fields), "time"}
    assert Period().default == "today"
    assert FILTER.read(dict(parse_qsl(found.query())), NOW).values == found.values


CHOICES = {"a": "A", "b": "B"}


def turned(values: Any) -> dict[str, Problem]:
    return {"size": Problem(words.TOO_SMALL, {"n": 0})} if values["size"] == 13 else {}


FORM = Form(
    (
        Inputs((Input("name", required=True, least=2, most=8), Input("size", InputKind.NUMBER, least=1, most=99))),
        Inputs(
            (
                Input("kind", InputKind.CHOICE, choices=CHOICES),
                Input("role", InputKind.CHOICES, choices=CHOICES),
                Input("enabled", InputKind.SWITCH),
                Input("number", InputKind.PHONE),
                Input("email", InputKind.EMAIL),
                Input("ip", InputKind.NETWORKS, most=3),
                Input("content", InputKind.LINES),
                Input("code", InputKind.SECRET),
                Input("id", InputKind.ID),
            )
        ),
    ),
    turned,
)


def data(*pairs: tuple[str, str]) -> MultiDict[str]:
    return MultiDict([("name", "li wu"), *pairs])


def test_values_have_their_types_and_a_secret_is_never_shown_again() -> None:
    filled = FORM.read(
        data(("size", "1,0"), ("kind", "a"), ("role", "b"), ("role", "a"), ("role", "b"), ("enabled", "1"), ("id", "9"),
             ("number", "13800138000"), ("email", "a@b.cn"), ("ip", "10.1.1.1/8\r\n::1"), ("content", "a\r\nb"))
    )  # fmt: skip
    assert filled.good
    assert filled.values == {
        "name": "li wu", "size": 10, "kind": "a", "role": ("b", "a"), "enabled": True, "number": "8613800138000",
        "email": "a@b.cn", "ip": ("10.0.0.0/8", "::1/128"), "content": "a\nb", "code": "", "id": 9,
    }  # fmt: skip
    filled = FORM.read(data())  # what is left out is empty and a secret is never shown again
    assert filled.good
    empty = {key: filled.values[key] for key in ("size", "kind", "role", "enabled", "ip", "code", "id")}
    assert empty == {"size": None, "kind": "", "role": (), "enabled": False, "ip": (), "code": "", "id": None}
    filled = FORM.blank({"code": "s3cret", "role": {"a"}, "ip": ["::1"], "enabled": True, "name": "x"})
    assert filled.texts["code"] == []
    assert (filled.texts["role"], filled.text("ip"), filled.text("enabled")) == (["a"], "::1", "1")


def test_what_is_wrong_is_told_at_its_field_and_what_was_typed_stays() -> None:
    for key, typed, said in (
        ("size", "x", words.BAD_NUMBER), ("size", "0", words.TOO_SMALL), ("size", "100", words.TOO_LARGE),
        ("size", "13", words.TOO_SMALL), ("kind", "c", words.NO_SUCH_CHOICE), ("role", "c", words.NO_SUCH_CHOICE),
        ("number", "1", words.BAD_PHONE), ("email", "a b@c", words.BAD_EMAIL), ("ip", "1.2.3", words.BAD_ADDRESS),
        ("ip", "1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4", words.TOO_MANY), ("content", "a\x00b", words.UNPRINTABLE),
        ("content", "x" * 20_001, words.TOO_LONG), ("id", "-1", words.BAD_ID),
    ):  # fmt: skip
        filled = FORM.read(data((key, typed)))
        assert not filled.good
        assert (filled.errors[key].text, filled.first, filled.text(key)) == (said, key, typed)
        assert filled.text("name") == "li wu"
    for typed, said in (("", words.REQUIRED), ("x", words.TOO_SHORT), ("x" * 9, words.TOO_LONG)):  # lengths
        assert FORM.read({"name": typed}).errors["name"].text == said
    filled = FORM.read(data())  # what a service refuses stands at its field
    filled.refuse(Invalid("PARAM_INVALID", field="name", reason="taken"), "taken")
    assert filled.errors["name"] == Problem("%(said)s", {"said": "taken"})
    filled.refuse(Invalid("PARAM_INVALID", field="other", reason="x"), "no")
    assert (filled.refused, filled.good) == ("no", False)


@given(st.lists(st.tuples(st.sampled_from([one.key for one in FORM.fields]), st.text(max_size=60)), max_size=20))
def test_no_form_breaks_it(pairs: list[tuple[str, str]]) -> None:
    filled = FORM.read(MultiDict(pairs))
    assert set(filled.values) | set(filled.errors) == {one.key for one in FORM.fields}


KEY = "k" * 24


def test_numbers_as_people_paste_them() -> None:
    got = recipients(
        "13800138000\r\n138 0013 8001, +86-138-0013-8002\uff1b13800138003\t+852 6123 4567\n\n13800138004 13800138005\n"
    )
    assert got.valid == (
        "8613800138000", "8613800138001", "8613800138002", "8613800138003", "85261234567",
        "8613800138004", "8613800138005",
    )  # fmt: skip
    assert got.invalid == ()
    got = recipients("13800138000, 8613800138000, 1380013800, abc")
    assert got.valid == ("8613800138000",)
    assert got.duplicates == 1
    assert [written for written, _ in got.invalid] == ["1380013800", "abc"]
    assert got.total == 4


def form(**fields: str) -> SendForm:
    return SendForm.read({"to": "13800138000", "type": "notice", "content": "你好", "key": KEY} | fields)


def test_a_form_to_send_is_checked_field_by_field() -> None:
    good = form(sign="【市政服务】")
    assert good.check(recipients(good.to), set(MessageType))
    assert good.sign == "市政服务"
    assert not form(key="short").check(recipients("13800138000"), set(MessageType))
    for field, value in (  # what is wrong is said at its field
        ("to", ""), ("to", "abc"), ("to", "\n".join(f"13800{n:06d}" for n in range(1001))),
        ("to", "13800138000\n" * 2000), ("type", "spam"), ("sign", "一"), ("sign", "长" * 21), ("sign", "括】号"),
        ("content", "  \n "), ("content", "字" * 1001),
    ):  # fmt: skip
        bad = form(**{field: value})
        assert not bad.check(recipients(bad.to), set(MessageType))
        assert list(bad.errors) == [field]
    for text in ("", "0", "-1", "1e3", "9223372036854775808", "١", "1" * 40, "7 "):  # what is no id
        assert read_id(text) is None
