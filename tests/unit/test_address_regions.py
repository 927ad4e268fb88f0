"""Where addresses are, by the offline table."""

from __future__ import annotations

import pytest

from smsgw.core.words.places import ABROAD
from smsgw.runtime.address_regions import region_of


@pytest.mark.parametrize(
    ("address", "province", "city"),
    [
        ("112.96.33.1", "广东", "广州"), ("60.30.1.1", "天津", ""), ("101.6.6.6", "北京", ""),
        ("::ffff:222.240.1.1", "湖南", "长沙"), ("202.175.3.3", "澳门", ""), ("210.3.3.3", "香港", ""),
        ("124.117.235.203", "新疆", "乌鲁木齐"), ("8.8.8.8", ABROAD, ""), ("10.0.0.1", "", ""), ("127.0.0.1", "", ""),
        ("2409:8900::1", "", ""), ("#0123456789abcdef0123456789abcdef", "", ""), ("nonsense", "", ""), ("", "", ""),
        ("255.255.255.255", "", ""), ("192.0.2.1", "", ""), ("223.255.255.255", ABROAD, ""),
    ],
)  # fmt: skip
def test_an_address_is_in_a_city_a_province_abroad_or_unknown(address: str, province: str, city: str) -> None:
    assert region_of(address) == (province, city)
