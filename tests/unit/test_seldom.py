"""Looked up seldom, asked all the time."""

from __future__ import annotations

import pytest

from smsgw.runtime.seldom import Seldom


async def test_what_was_found_holds_for_its_time_and_a_failed_look_is_repeated() -> None:
    now, looks, broken = 100.0, 0, False

    async def look() -> list[int]:
        nonlocal looks
        looks += 1
        if broken:
            raise OSError("away")
        return [looks]

    seldom = Seldom(5.0, look, monotonic=lambda: now)
    assert [await seldom(), await seldom()] == [[1], [1]]
    now = 104.9
    assert await seldom() == [1]
    now, broken = 105.0, True
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await seldom()
    broken = False
    assert await seldom() == [4]
