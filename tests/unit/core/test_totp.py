"""One-time passwords as RFC 6238 has them."""

from __future__ import annotations

import pytest

from smsgw.core import totp

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
     (2000000000, "69279037"), (20000000000, "65353130")],
)  # fmt: skip
def test_codes_are_the_last_six_digits_of_those_of_the_rfc(at: int, code: str) -> None:
    """Appendix B, which has eight."""
    assert totp.code_at(SECRET, at // 30) == code[2:]


def test_a_clock_may_be_off_by_one_step_either_way() -> None:
    code = totp.code_at(SECRET, 1000)
    assert [totp.step_of(SECRET, code, step * 30.0) for step in range(998, 1003)] == [None, 1000, 1000, 1000, None]


def test_a_code_counts_once() -> None:
    code = totp.code_at(SECRET, 1000)
    assert totp.step_of(SECRET, code, 30_000.0, after=999) == 1000
    assert totp.step_of(SECRET, code, 30_000.0, after=1000) is None
    assert totp.step_of(SECRET, "１２３４５６", 30_000.0) is None


def test_the_address_is_read_as_it_was_meant() -> None:
    assert totp.address("ABC", "li@example.org", " 短信: A&B ") == (
        "otpauth://totp/%E7%9F%AD%E4%BF%A1%20A%26B:li%40example.org"
        "?secret=ABC&issuer=%E7%9F%AD%E4%BF%A1%20A%26B"
    )
