"""Forms: what was typed, as values; shown again with all of it; told at the field that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.typedefs import MultiDict
from hypothesis import given
from hypothesis import strategies as st

from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.forms import Field, Form, Kind, Section
from smsgw.admin.words import kit as words
from smsgw.core.errors import Invalid

CHOICES = {"a": "A", "b": "B"}


def turned(values: Any) -> dict[str, Problem]:
    return {"size": Problem(words.TOO_SMALL, {"n": 0})} if values["size"] == 13 else {}


FORM = Form(
    (
        Section((Field("name", required=True, least=2, most=8), Field("size", Kind.NUMBER, least=1, most=99))),
        Section(
            (
                Field("kind", Kind.CHOICE, choices=CHOICES), Field("role", Kind.CHOICES, choices=CHOICES),
                Field("enabled", Kind.SWITCH), Field("number", Kind.PHONE), Field("email", Kind.EMAIL),
                Field("ip", Kind.NETWORKS, most=3), Field("content", Kind.LINES), Field("code", Kind.SECRET),
                Field("id", Kind.ID),
            )
        ),
    ),
    turned,
)  # fmt: skip


def data(*pairs: tuple[str, str]) -> MultiDict[str]:
    return MultiDict([("name", "li wu"), *pairs])


def test_values_have_their_types() -> None:
    filled = FORM.read(
        data(("size", "1,0"), ("kind", "a"), ("role", "b"), ("role", "a"), ("role", "b"), ("enabled", "1"), ("id", "9"),
             ("number", "13800138000"), ("email", "a@b.cn"), ("ip", "10.1.1.1/8\r\n::1"), ("content", "a\r\nb"))
    )  # fmt: skip
    assert filled.good
    assert filled.values == {
        "name": "li wu", "size": 10, "kind": "a", "role": ("b", "a"), "enabled": True, "number": "8613800138000",
        "email": "a@b.cn", "ip": ("10.0.0.0/8", "::1/128"), "content": "a\nb", "code": "", "id": 9,
    }  # fmt: skip


def test_what_is_left_out_is_empty_and_a_secret_is_never_shown_again() -> None:
    filled = FORM.read(data())
    assert filled.good
    empty = {key: filled.values[key] for key in ("size", "kind", "role", "enabled", "ip", "code", "id")}
    assert empty == {"size": None, "kind": "", "role": (), "enabled": False, "ip": (), "code": "", "id": None}
    filled = FORM.blank({"code": "s3cret", "role": {"a"}, "ip": ["::1"], "enabled": True, "name": "x"})
    assert filled.texts["code"] == []
    assert (filled.texts["role"], filled.text("ip"), filled.text("enabled")) == (["a"], "::1", "1")


@pytest.mark.parametrize(
    ("key", "typed", "said"),
    [
        ("size", "x", words.BAD_NUMBER), ("size", "0", words.TOO_SMALL), ("size", "100", words.TOO_LARGE),
        ("size", "13", words.TOO_SMALL), ("kind", "c", words.NO_SUCH_CHOICE), ("role", "c", words.NO_SUCH_CHOICE),
        ("number", "1", words.BAD_PHONE), ("email", "a b@c", words.BAD_EMAIL), ("ip", "1.2.3", words.BAD_ADDRESS),
        ("ip", "1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4", words.TOO_MANY), ("content", "a\x00b", words.UNPRINTABLE),
        ("content", "x" * 20_001, words.TOO_LONG), ("id", "-1", words.BAD_ID),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_what_was_typed_stays(key: str, typed: str, said: str) -> None:
    filled = FORM.read(data((key, typed)))
    assert not filled.good
    assert (filled.errors[key].text, filled.first, filled.text(key)) == (said, key, typed)
    assert filled.text("name") == "li wu"


@pytest.mark.parametrize(("typed", "said"), [("", words.REQUIRED), ("x", words.TOO_SHORT), ("x" * 9, words.TOO_LONG)])
def test_lengths(typed: str, said: str) -> None:
    assert FORM.read({"name": typed}).errors["name"].text == said


def test_what_a_service_refuses_stands_at_its_field() -> None:
    filled = FORM.read(data())
    filled.refuse(Invalid("PARAM_INVALID", field="name", reason="taken"), "taken")
    assert filled.errors["name"] == Problem("%(said)s", {"said": "taken"})
    filled.refuse(Invalid("PARAM_INVALID", field="other", reason="x"), "no")
    assert (filled.refused, filled.good) == ("no", False)


@given(st.lists(st.tuples(st.sampled_from([one.key for one in FORM.fields]), st.text(max_size=60)), max_size=20))
def test_no_form_breaks_it(pairs: list[tuple[str, str]]) -> None:
    filled = FORM.read(MultiDict(pairs))
    assert set(filled.values) | set(filled.errors) == {one.key for one in FORM.fields}
