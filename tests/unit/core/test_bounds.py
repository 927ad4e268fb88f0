"""Bounds that keep a mistake in a configuration from becoming more than that."""

from __future__ import annotations

import pytest

from smsgw.core.accounts import resolve
from smsgw.core.model import Account
from smsgw.core.webhooks import parse_ports
from smsgw.protocols.smpp import reports


@pytest.mark.timeout(60)
def test_accounts_that_are_above_each_other_end_somewhere() -> None:
    one, two = resolve([Account(1, "a", "active", parent_id=2), Account(2, "b", "active", parent_id=1)])
    assert (one.id, two.id) == (1, 2)


def test_ports_have_sixteen_bits() -> None:
    assert parse_ports(["1", "8000-65535"]) == ((1, 1), (8000, 65535))
    for wrong in ("0", "65536", "9-8", "1-65536"):
        with pytest.raises(ValueError, match="ports are 1 to 65535"):
            parse_ports([wrong])


def test_kinds_of_deliver_sm_are_those_of_the_specification() -> None:
    """SMPP 3.4, 5.2.12: bits 5-2 of esm_class."""
    assert (reports.DELIVERY_RECEIPT, reports.INTERMEDIATE_NOTIFICATION) == (0x04, 0x20)
