"""The history of throttling in the database: the same row for the same spell, the newest of each channel, by node."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ledger import Ledger

from smsgw.core.throttling import Spell
from smsgw.platform.channels import throttles as shown
from smsgw.store.config import throttles

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPELL = Spell(NOW - 10 * MINUTE, NOW - 9 * MINUTE, 400, 210.0, 12_000, 31, over=False)


async def test_a_spell_that_goes_on_stays_one_row_and_a_node_that_is_gone_is_said(ledger: Ledger) -> None:
    of = ledger.channels["a"]
    await throttles.keep(ledger.database, 1, [(of, SPELL)])
    longer = replace(SPELL, until=NOW - MINUTE, refused=40, lowest=180.0)
    for _ in range(2):
        await throttles.keep(ledger.database, 1, [(of, longer)])
    await throttles.keep(ledger.database, 2, [(of, replace(SPELL, refused=5))])
    first, second = await shown.newest(ledger.database, of, NOW, 10)
    assert (first.node, first.spell, first.goes_on) == (1, longer, True)
    assert (second.node, second.spell.refused, second.goes_on) == (2, 5, False)


async def test_only_the_newest_stay_and_those_of_other_channels_untouched(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttles, "KEPT", 3)
    spells = [
        replace(SPELL, began_at=NOW - n * 60 * MINUTE, until=NOW - n * 60 * MINUTE + MINUTE, over=True)
        for n in range(9, 0, -1)
    ]
    await throttles.keep(ledger.database, 1, [(ledger.channels["a"], spell) for spell in spells])
    await throttles.keep(ledger.database, 1, [(10**6, SPELL)])  # a channel that nobody knows
    kept = await throttles.newest(ledger.database, ledger.channels["a"], None, 100)
    assert [one.spell for one in kept] == spells[:-4:-1]


def test_hours_take_the_lowest_of_what_lies_in_them() -> None:
    since = NOW - timedelta(days=7)
    one = replace(SPELL, began_at=since - MINUTE, until=since + 61 * MINUTE, lowest=200.0)
    two = replace(SPELL, began_at=since + 5 * MINUTE, until=since + 6 * MINUTE, lowest=150.0)
    none = replace(SPELL, began_at=since + 200 * MINUTE, until=since + 201 * MINUTE, lowest=None)
    hours = shown.hours([one, two, none], since)
    assert len(hours) == 7 * 24
    assert [hour.lowest for hour in hours[:4]] == [150.0, 200.0, None, None]


async def test_sums_are_of_seven_days(ledger: Ledger) -> None:
    old = replace(SPELL, began_at=NOW - timedelta(days=9), until=NOW - timedelta(days=8), over=True)
    await throttles.keep(ledger.database, 1, [(ledger.channels["a"], old), (ledger.channels["a"], SPELL)])
    found = await shown.history(ledger.database, ledger.channels["a"], NOW)
    assert (found.n, found.lasted, found.refused) == (1, MINUTE, 31)
    assert len(found.lines) == 2
    assert found.slowed
