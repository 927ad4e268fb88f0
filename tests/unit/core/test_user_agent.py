"""Browsers by what they call themselves: the buyer's, the usual ones, programs, and nonsense."""

from __future__ import annotations

import time

import pytest

from smsgw.core.user_agent import Device, device_of

_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.5359.95 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (f"Mozilla/5.0 (Windows NT 6.1; Win64; x64) {_CHROME} QIHU 360SE", Device("360 SE", "", "Windows 7")),
        (f"Mozilla/5.0 (Windows NT 10.0; WOW64) {_CHROME} QIHU 360EE", Device("360 EE", "", "Windows 10/11")),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Edg/120.0.2210.91",
         Device("Edge", "120", "Windows 10/11")),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_CHROME}", Device("Chrome", "108", "Linux")),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_CHROME} UOS", Device("Chrome", "108", "UOS")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0", Device("Firefox", "102", "Linux")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 "
         "Safari/605.1.15", Device("Safari", "17", "macOS")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Mobile/15E148 MicroMessenger/8.0.43(0x18002b2f) NetType/WIFI", Device("WeChat", "8", "iOS")),
        (f"Mozilla/5.0 (Linux; Android 12; HarmonyOS; ELS-AN00) {_CHROME} HuaweiBrowser/14.0.2.300",
         Device("Huawei", "14", "HarmonyOS")),
        ("curl/8.5.0", Device("curl", "8", "")),
        ("Python/3.11 aiohttp/3.9.1", Device("Python", "3", "")),
        ("Mozilla/5.0", Device()),
        ("", Device()),
        ("/" * 300, Device()),
    ],
)  # fmt: skip
def test_what_a_browser_is(agent: str, device: Device) -> None:
    assert device_of(agent) == device


def test_a_long_one_costs_no_more() -> None:
    agent = "Chrome/" * 1_000_000
    began = time.process_time()
    for _ in range(100):
        device_of(agent)
    assert time.process_time() - began < 1.0
