"""Kinds of types: what they stand for, what holds for them, and which rules lead them."""

from __future__ import annotations

from datetime import time
from types import MappingProxyType

import pytest

from smsgw.core import routes
from smsgw.core.errors import Invalid
from smsgw.core.kinds import CustomKind, known, resolve
from smsgw.core.model import Account, MessageType
from smsgw.core.policy import PolicySet, Rate, parse
from smsgw.core.routes import InvalidRoutes, Subject

BILL = CustomKind("bill", "账单", MessageType.NOTICE)
ACCOUNT = Account(3, "a", "active", above=(2, 1))
KINDS = MappingProxyType({"bill": BILL, "old": CustomKind("old", "旧", MessageType.OTP, retired=True)})


def test_what_a_name_stands_for() -> None:
    assert resolve(KINDS, "otp") == (MessageType.OTP, None)
    assert resolve(KINDS, "bill") == (MessageType.NOTICE, BILL)
    assert known(KINDS) == ["otp", "notice", "marketing", "bill"]
    for name in ("old", "none", ""):
        with pytest.raises(Invalid):
            resolve(KINDS, name)


def test_a_kind_has_what_its_type_has_and_its_own_over_it() -> None:
    policies = PolicySet({
        (0, "notice"): {"frequency": parse("frequency", "5/1d"), "identical_seconds": 7},
        (0, "bill"): {"identical_seconds": 9},
        (ACCOUNT.id, ""): {"drop_empty": True},
        (ACCOUNT.id, "bill"): {"frequency": parse("frequency", "2/1d")},
    })  # fmt: skip
    plain, own = (policies.limits(ACCOUNT, MessageType.NOTICE, name) for name in ("", "bill"))
    assert (plain.frequency, plain.identical_seconds, plain.counted_as) == ((Rate(5, 86_400),), 7, "")
    assert (own.frequency, own.identical_seconds, own.counted_as) == ((Rate(2, 86_400),), 9, "bill")
    assert own.drop_empty
    other = policies.limits(ACCOUNT, MessageType.NOTICE, "news")
    assert (other.frequency, other.counted_as) == ((Rate(5, 86_400),), "")


def test_what_an_account_says_of_the_type_counts_a_kind_with_it_again() -> None:
    policies = PolicySet({
        (0, "bill"): {"frequency": parse("frequency", "2/1d")},
        (ACCOUNT.id, "notice"): {"frequency": parse("frequency", "1/1d")},
    })  # fmt: skip
    found = policies.limits(ACCOUNT, MessageType.NOTICE, "bill")
    assert (found.frequency, found.counted_as) == ((Rate(1, 86_400),), "")


def _subject(kind: str) -> Subject:
    return Subject("a", MessageType.NOTICE, "8613800138000", "CMCC", "", "", "", time(12), kind)


def test_rules_of_a_kind_and_of_its_type() -> None:
    document = {
        "pool": [{"name": "bills", "channels": ["c"]}, {"name": "notices", "channels": ["c"]}],
        "rule": [
            {"name": "bills", "type": ["bill"], "pool": "bills"},
            {"name": "notices", "type": ["notice"], "pool": "notices"},
        ],
    }
    table = routes.parse(document, version=1, channels=["c"], kinds=["bill"])
    assert [table.pool_for(_subject(kind)) for kind in ("bill", "news", "")] == ["bills", "notices", "notices"]
    assert table.open_to("a", "notice") == ("notices",)
    assert table.open_to("a", "notice", "bill") == ("bills", "notices")
    assert routes.parse(document, version=1, channels=["c"], kinds=None).rules == table.rules  # as nodes load it
    with pytest.raises(InvalidRoutes, match="type bill is none of otp, notice, marketing"):
        routes.parse(document, version=1, channels=["c"])
