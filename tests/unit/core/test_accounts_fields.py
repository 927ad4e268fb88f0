"""The tree of accounts, and what people may write into fields."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from ipaddress import ip_network

import pytest

from smsgw.core.accounts import FIELDS, resolve, subtree
from smsgw.core.model import Account
from smsgw.core.webhooks import parse_ports


def test_what_follows_from_those_above() -> None:
    top = Account(1, "top", "active", quota_day=10, ends_on=date(2026, 6, 30))
    mid = Account(2, "mid", "active", parent_id=1, starts_on=date(2026, 2, 1), ends_on=date(2026, 12, 31))
    low = Account(3, "low", "active", parent_id=2, quota_month=5, starts_on=date(2026, 1, 1))
    by = {a.name: a for a in resolve([low, top, mid])}
    assert by["low"].above == (2, 1)
    assert by["low"].guards == (3, 1)
    assert (by["low"].first_day, by["low"].last_day) == (date(2026, 2, 1), date(2026, 6, 30))
    assert (by["top"].above, by["top"].first_day) == ((), None)
    assert subtree(by.values(), 2) == {2, 3}


def test_a_contract_that_does_not_stop_at_its_end() -> None:
    (one,) = resolve([Account(1, "a", "active", ends_on=date(2026, 1, 1), stops_at_end=False)])
    assert one.last_day is None


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("unit_price", "0.0385", Decimal("0.0385")), ("quota_day", "", None), ("quota_day", "500", 500),
        ("ip_allow", "10.0.0.1/8, 2001:db8::1", [ip_network("10.0.0.0/8"), ip_network("2001:db8::1")]),
        ("protocols", "http,smpp", ["http", "smpp"]), ("ends_on", "2026-12-31", date(2026, 12, 31)),
        ("emergency", "true", True), ("unknown_policy", "", None), ("credit_floor", "-100", -100),
    ],
)  # fmt: skip
def test_fields(field: str, text: str, value: object) -> None:
    assert FIELDS[field](text) == value
    assert FIELDS[field](value) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("unit_price", "0.00001"), ("unit_price", "NaN"), ("unit_price", "-1"), ("quota_day", "0"), ("rate", "0"),
        ("ip_allow", "10.0.0.300"), ("ip_allow", ",".join(f"10.0.{n}.1" for n in range(201))), ("protocols", "ftp"),
        ("ends_on", "31.12.2026"), ("credit_floor", "1"), ("units_otp", "1001"), ("sign_required", "maybe"),
        ("display_name", "x" * 65), ("default_sign", "【x】"), ("extend_code", "12a"), ("parent", "a b"),
        ("unknown_policy", "later"),
    ],
)  # fmt: skip
def test_what_is_no_value_says_what_is_wanted(field: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FIELDS[field](text)


@pytest.mark.timeout(60)
def test_accounts_that_are_above_each_other_end_somewhere() -> None:
    one, two = resolve([Account(1, "a", "active", parent_id=2), Account(2, "b", "active", parent_id=1)])
    assert (one.id, two.id) == (1, 2)


def test_ports_have_sixteen_bits() -> None:
    assert parse_ports(["1", "8000-65535"]) == ((1, 1), (8000, 65535))
    for wrong in ("0", "65536", "9-8", "1-65536"):
        with pytest.raises(ValueError, match="ports are 1 to 65535"):
            parse_ports([wrong])
