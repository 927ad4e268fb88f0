"""What people paste and ask for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgw.admin.forms import RecordFilter, SendForm, read_id, recipients
from smsgw.core.ids import CHINA

NOW = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)  # already 2 March in China
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


def test_bad_and_repeated_numbers_are_counted_apart() -> None:
    got = recipients("13800138000, 8613800138000, 1380013800, abc")
    assert got.valid == ("8613800138000",)
    assert got.duplicates == 1
    assert [written for written, _ in got.invalid] == ["1380013800", "abc"]
    assert got.total == 4


def form(**fields: str) -> SendForm:
    return SendForm.read({"to": "13800138000", "type": "notice", "content": "你好", "key": KEY} | fields)


def test_a_good_form() -> None:
    good = form(sign="【市政服务】")
    assert good.check(recipients(good.to))
    assert good.sign == "市政服务"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", ""),
        ("to", "abc"),
        ("to", "\n".join(f"13800{n:06d}" for n in range(1001))),
        ("type", "spam"),
        ("sign", "一"),
        ("sign", "长" * 21),
        ("sign", "括】号"),
        ("content", "  \n "),
        ("content", "字" * 1001),
    ],
)
def test_what_is_wrong_is_said_at_its_field(field: str, value: str) -> None:
    bad = form(**{field: value})
    assert not bad.check(recipients(bad.to))
    assert list(bad.errors) == [field]


def test_a_form_without_its_key_is_refused() -> None:
    assert not form(key="short").check(recipients("13800138000"))


def test_days_are_chinas() -> None:
    today = RecordFilter.read({}, NOW)
    assert today.from_time == datetime(2026, 3, 2, tzinfo=CHINA)
    assert today.to_time == datetime(2026, 3, 3, tzinfo=CHINA)
    yesterday = RecordFilter.read({"time": "yesterday"}, NOW)
    assert (yesterday.from_time, yesterday.to_time) == (
        datetime(2026, 3, 1, tzinfo=CHINA),
        datetime(2026, 3, 2, tzinfo=CHINA),
    )
    week = RecordFilter.read({"time": "7d"}, NOW)
    assert week.from_time == datetime(2026, 2, 24, tzinfo=CHINA)


def test_custom_days_include_the_last() -> None:
    wanted = RecordFilter.read({"time": "custom", "from": "2026-02-01", "to": "2026-02-01"}, NOW)
    assert wanted.from_time == datetime(2026, 2, 1, tzinfo=CHINA)
    assert wanted.to_time == datetime(2026, 2, 2, tzinfo=CHINA)
    assert not wanted.errors


@pytest.mark.parametrize(
    "query",
    [
        {"time": "custom", "from": "2026-02-31"},
        {"time": "custom", "from": "2026-02-02", "to": "2026-02-01"},
        {"time": "custom", "to": "9999-12-31"},
        {"phone": "12"},
    ],
)
def test_a_filter_that_cannot_be_is_said(query: dict[str, str]) -> None:
    assert RecordFilter.read(query, NOW).errors


def test_the_address_carries_the_filter() -> None:
    wanted = RecordFilter.read(
        {"time": "7d", "phone": "13800138000", "status": "failed", "account": "2"}, NOW
    )
    assert wanted.number == "8613800138000"
    assert wanted.account_id == 2
    assert wanted.query(before="77") == "time=7d&account=2&phone=13800138000&status=failed&before=77"
    assert (
        RecordFilter.read({"status": "x", "time": "?", "account": "-1"}, NOW).query()
        == "time=today&account=-1"
    )


@pytest.mark.parametrize("text", ["", "0", "-1", "1e3", "9223372036854775808", "١", "1" * 40, "7 "])
def test_what_is_no_id(text: str) -> None:
    assert read_id(text) is None
