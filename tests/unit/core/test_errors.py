"""Codes and their messages; raw report codes and their classes."""

from __future__ import annotations

import re

import pytest

from smsgw.core import words
from smsgw.core.errors import CODES, Refused, message_of
from smsgw.core.model import REPORT_CLASSES
from smsgw.core.report_codes import class_of


@pytest.mark.parametrize("code", CODES)
def test_a_message_says_something_with_and_without_its_details(code: str) -> None:
    status, (chinese, _) = CODES[code], words.CODES[code]
    assert 200 <= status < 600
    details = dict.fromkeys(re.findall(r"{(\w+)}", chinese), "X7")
    assert message_of(code, details).count("X7") == len(re.findall(r"{\w+}", chinese))
    for english in (False, True):
        assert "{" not in message_of(code, english=english)


def test_an_error_reads_as_its_message() -> None:
    assert str(Refused("BALANCE_INSUFFICIENT", need=3, left=1)) == "余额不足，需要 3 条，剩余 1 条，请充值后重试"


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("DELIVRD", ""), ("MK:0001", "EMPTY_NUMBER"), ("mk:0001", "EMPTY_NUMBER"), (" MK:0001/012", "EMPTY_NUMBER"),
        ("MA:9999", "TIMEOUT"), ("nonsense", "UNKNOWN"), ("", "UNKNOWN"),
    ],
)  # fmt: skip
def test_the_class_of_a_raw_code(code: str, cls: str) -> None:
    assert class_of(code) == cls
    assert cls == "" or cls in REPORT_CLASSES
