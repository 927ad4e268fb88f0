"""Carriers whose reports come late, or not at all: by channel, by its own rule, and only where there is enough."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from portal_site import Site
from test_reports import send

from smsgw.core.alarm_rules import Rules, Stored
from smsgw.core.ids import stretch
from smsgw.pipeline.upkeep.lateness import Lateness
from smsgw.runtime import clock
from smsgw.store.messages import lateness
from smsgw.store.messages.lateness import Late

CHANNEL = "mobile-a"


async def looked(site: Site, minutes: int, values: Mapping[str, int], **own: int) -> list[Late]:
    stored = {(lateness.KIND, ""): Stored(True, values=values)}
    if own:
        stored[lateness.KIND, f"channel/{CHANNEL}"] = Stored(True, values=own)
    return await lateness.look(site.db, Rules(stored), [CHANNEL], clock.now() + timedelta(minutes=minutes))


async def test_what_was_accepted_long_enough_ago_and_has_no_report_is_late(site: Site) -> None:
    await send(site, "hall", 60, "您好")
    taken = await site.carrier_takes()
    rule = {"threshold": 600, "minutes": 30, "least": 50}
    assert await looked(site, 9, rule) == [], "it has had no ten minutes yet"
    assert await looked(site, 11, rule) == [Late(CHANNEL, 60, 60, 600, 50)]
    await site.carrier_reports(taken[:40])
    assert await looked(site, 11, rule) == [Late(CHANNEL, 60, 20, 600, 50)]
    assert await looked(site, 45, rule) == [], "of what is longer ago nothing is said"
    assert await looked(site, 11, rule, threshold=1200) == [], "by its own rule it has twenty minutes"
    await site.db.execute("UPDATE part SET answered_at = answered_at - interval '15 minutes' WHERE state = 40")
    (late,) = await looked(site, 11, rule)
    assert late.late == 60, "a report that came after a quarter of an hour is as late as none"


async def test_it_is_an_alarm_beyond_half_and_where_there_is_enough(site: Site) -> None:
    watching = Lateness(site.db, site.snapshots)
    await send(site, "hall", 60, "您好")
    taken = await site.carrier_takes()
    await site.db.execute("UPDATE part SET answered_at = answered_at - interval '11 minutes'")

    async def found(least: int = 50) -> list[str]:
        rules = Rules({(lateness.KIND, ""): Stored(True, values={"least": least})})
        watching.seen = await lateness.look(site.db, rules, [CHANNEL], clock.now() + timedelta(minutes=10, seconds=1))
        watching._looked = 1e12
        return [one.object for one in await watching.findings()]

    assert await found() == [f"channel/{CHANNEL}"]
    assert await found(61) == [], "sixty are too few to say anything"
    await site.db.execute("UPDATE part SET final_at = answered_at + interval '5 s', state = 40 WHERE id = ANY($1)",
                          [id_ for id_, _ in taken[:30]])  # fmt: skip
    assert await found() == [], "half of it is in time"


async def another(site: Site) -> str:
    """The name of another channel."""
    await site.db.execute("INSERT INTO channel (name, protocol, host, port, username, password_sealed)"
                          " VALUES ('small', 'cmpp20', '127.0.0.1', 1, 'x', '')")  # fmt: skip
    return "small"


async def judged(site: Site, name: str, limit: int, minutes: int) -> set[tuple[str, int, int]]:
    stored = {(lateness.KIND, ""): Stored(True, values={"threshold": 600, "minutes": 30, "least": 5}),
              (lateness.KIND, f"channel/{name}"): Stored(True, values={"threshold": limit})}  # fmt: skip
    found = await lateness.look(site.db, Rules(stored), [CHANNEL, name], clock.now() + timedelta(minutes=minutes))
    return {(one.channel, one.accepted, one.late) for one in found}


async def test_a_busy_channel_hides_no_small_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lateness, "SAMPLE", 50)
    name = await another(site)
    await send(site, "hall", 60, "您好")
    await site.carrier_takes()
    await site.db.execute("UPDATE part SET channel_id = (SELECT id FROM channel WHERE name = $1)"
                          " WHERE id IN (SELECT id FROM part ORDER BY id LIMIT 8)", name)  # fmt: skip
    assert await judged(site, name, 600, 16) == {(CHANNEL, 50, 50), (name, 8, 8)}


async def test_each_limit_has_a_sample_of_its_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lateness, "SAMPLE", 20)
    monkeypatch.setattr(lateness, "OWN", 0)
    name = await another(site)
    await send(site, "hall", 40, "您好")
    await site.carrier_takes()
    await site.db.execute(
        "UPDATE part SET id = id - $2::bigint, answered_at = answered_at - interval '20 minutes',"
        " channel_id = (SELECT id FROM channel WHERE name = $1) WHERE id IN (SELECT id FROM part ORDER BY id LIMIT 20)",
        name, stretch(timedelta(minutes=20)),
    )  # fmt: skip
    assert await judged(site, name, 1800, 11) == {(CHANNEL, 20, 20), (name, 20, 20)}
