"""Codes of short links: a permutation, all of it; what may be chosen; where a link may lead."""

from __future__ import annotations

import itertools
import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.link_targets import checked, host_of
from smsgw.core.short_codes import ALPHABET, LENGTH, SERIALS, Permutation, is_chosen

CODES = Permutation(bytes(range(32)))


@given(st.integers(0, SERIALS - 1))
def test_a_code_leads_back_to_its_serial(serial: int) -> None:
    code = CODES.code(serial)
    assert len(code) == LENGTH
    assert set(code) <= set(ALPHABET)
    assert CODES.serial(code) == serial


@given(st.text(max_size=12))
def test_whatever_is_opened_has_one_serial_or_none(text: str) -> None:
    serial = CODES.serial(text)
    assert serial is None or CODES.code(serial) == text


def test_neighbours_have_nothing_in_common() -> None:
    """Codes of a link in order: no two the same, every character everywhere, and no step between them that repeats."""
    codes = [CODES.code(serial) for serial in range(20_000)]
    assert len(set(codes)) == len(codes)
    for place in range(LENGTH):
        counts = Counter(code[place] for code in codes)
        assert set(counts) == set(ALPHABET)
        assert max(counts.values()) < 1.35 * len(codes) / 58
    values = [int.from_bytes(code.encode()) for code in codes]
    steps = Counter(b - a for a, b in itertools.pairwise(values))
    assert steps.most_common(1)[0][1] <= 2


def test_another_key_makes_other_codes() -> None:
    other = Permutation(os.urandom(32))
    assert not {CODES.code(n) for n in range(500)} & {other.code(n) for n in range(500)}
    assert CODES.code(0) == Permutation(bytes(range(32))).code(0) == "rzYTvw3m"
    for serial in (-1, SERIALS):
        with pytest.raises(ValueError, match="serial"):
            CODES.code(serial)


def test_what_may_be_chosen_as_a_code() -> None:
    for code in ("spring", "a-b2", "618sale", "double-eleven-2026", "a" * 20):
        assert is_chosen(code), code
    for code in (
        "", "abc", "abcd5678", "Spring", "-abcd", "abcd-", "春天快乐", "a/bc", "a" * 21, "ready", "health", "ab\n",
    ):  # fmt: skip
        assert not is_chosen(code), code


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("https://www.example.cn/a?b=c#d", "https://www.example.cn/a?b=c#d"),
        (" http://Example.CN ", "http://Example.CN"),
        ("https://example.cn/~a%7eb?x=a+b&y=%2f&sign=%E4%bd", "https://example.cn/~a%7eb?x=a+b&y=%2f&sign=%E4%bd"),
        ("https://example.cn?a=[1]", "https://example.cn?a=[1]"),
        ("https://example.cn/?a=<i>", "https://example.cn/?a=%3Ci%3E"),
        ("https://example.cn/100%", "https://example.cn/100%25"),
        ("https://政务.中国/办事", "https://xn--zfr164b.xn--fiqs8s/%E5%8A%9E%E4%BA%8B"),
        ("https://8.8.8.8:8443/x", "https://8.8.8.8:8443/x"),
    ],
)
def test_a_target_stays_as_it_was_given_or_is_written_in_ascii(given: str, written: str) -> None:
    assert checked(given, ["s.example.cn"]) == written
    assert host_of(written)


@pytest.mark.parametrize(
    "target",
    [
        "", "www.example.cn", "javascript:alert(1)", "data:text/html,x", "//example.cn", "ftp://example.cn/", "https://",
        "https://user@example.cn/", "https://user:pw@example.cn/", "https://:pw@example.cn/", "https://example.cn/a b",
        "https://example.cn/\r\nSet-Cookie: a=b", "https://example.cn\\@evil.cn/", "https://s.example.cn/abc",
        "https://S.EXAMPLE.CN./abc", "http://localhost/", "http://intranet/", "http://127.0.0.1/", "http://10.1.2.3/",
        "http://[::1]/", "http://[fd00::1]/", "http://169.254.169.254/latest", "http://2130706433/", "http://0x7f.1/",
        "http://127.1/", "http://db.internal/", "https://example.cn:99999/", "https://example.cn/" + "a" * 2000,
        "http://[::ffff:127.0.0.1]/", "http://[::ffff:10.0.0.1]/", "https://example.cn/\u202egpj.exe",
        "https://exam%70le.cn/", "http://%31%30.0.0.1/",
        "http://１２７.0.0.1/", "http://127。0。0。1/",
    ],
)  # fmt: skip
def test_a_target_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        checked(target, ["s.example.cn"])
