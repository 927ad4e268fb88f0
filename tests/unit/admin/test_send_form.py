"""What people paste and ask for."""

from __future__ import annotations

import pytest

from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.numbers import recipients
from smsgw.admin.pages.sending.form import SendForm
from smsgw.core.model import MessageType

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


def test_a_good_form_and_one_without_its_key() -> None:
    good = form(sign="【市政服务】")
    assert good.check(recipients(good.to), set(MessageType))
    assert good.sign == "市政服务"
    assert not form(key="short").check(recipients("13800138000"), set(MessageType))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", ""), ("to", "abc"), ("to", "\n".join(f"13800{n:06d}" for n in range(1001))),
        ("to", "13800138000\n" * 2000), ("type", "spam"), ("sign", "一"), ("sign", "长" * 21), ("sign", "括】号"),
        ("content", "  \n "), ("content", "字" * 1001),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field(field: str, value: str) -> None:
    bad = form(**{field: value})
    assert not bad.check(recipients(bad.to), set(MessageType))
    assert list(bad.errors) == [field]


@pytest.mark.parametrize("text", ["", "0", "-1", "1e3", "9223372036854775808", "١", "1" * 40, "7 "])
def test_what_is_no_id(text: str) -> None:
    assert read_id(text) is None
