"""Submits and their answers are kept for the trace while somebody has asked for it, and sending does not know of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import CHANNELS, PASSWORD, Site, site, until

from smsgw.recording.contents import decoded
from smsgw.store.messages.evidence import EARLY

pytestmark = pytest.mark.shard("protocols")

WORDS = "这一段很长，要分成几段。" * 12


async def rows(built: Site) -> list[Any]:
    async with built.node.database() as database:
        return await database.fetch("SELECT * FROM submit_pdu ORDER BY message_id, part, attempt, ours DESC")


async def begun(built: Site, *channels: str) -> None:
    for name in channels:
        await built.node.ctl("channel", "submits", name, "--hours", "1", "--reason", "投诉排查")


async def test_each_protocols_submits_are_kept_with_their_answers_and_nothing_else(tmp_path: Path) -> None:
    async with site(tmp_path) as built:
        before = [await built.customer.send(name) for name in CHANNELS]
        for one in before:
            await built.customer.reaches(one.message_id, "delivered")
        await begun(built, *CHANNELS)
        sent = {name: await built.customer.send(name, built.customer.text(WORDS)) for name in CHANNELS}
        ids = [int(one.message_id) for one in sent.values()]

        async def kept() -> bool:
            return len([row for row in await rows(built) if row["message_id"] in ids]) == 2 * sum(
                one.parts for one in sent.values()
            )

        await until(kept, what="submits of all protocols, with their answers")
        for one in sent.values():
            await built.customer.reaches(one.message_id, "delivered")
        found = await rows(built)
        for name, one in sent.items():
            mine = [row for row in found if row["message_id"] == int(one.message_id)]
            wanted = [(n, way) for n in range(1, one.parts + 1) for way in (True, False)]
            assert [(row["part"], row["ours"]) for row in mine] == wanted
            for row in mine:
                said = decoded(row["protocol"], row["pdu"])
                assert not said.trouble, (name, said.trouble)
                assert row["id"] >= int(one.message_id) - EARLY, "found by days"
                assert (
                    said.name.lower()
                    .replace("_", "")
                    .endswith(("submit", "submitsm") if row["ours"] else ("submitresp", "submitsmresp"))
                ), (name, said.name)
        assert not {row["message_id"] for row in found} & {int(one.message_id) for one in before}, "of before"
        everything = b"".join(row["pdu"] for row in found)
        assert PASSWORD.encode() not in everything
        for name in CHANNELS:
            await built.node.furnish("channel", "submits", name, "--end")
        told = (await built.node.ctl("channel", "submits", "cmpp30", "--json")).data
        assert told["recording"]["kept"] >= 6
        assert told["recording"]["left_out"] == 0
        assert not told["recording"]["running"]

        async def over() -> bool:
            one = await built.customer.send("cmpp30")
            await built.customer.reaches(one.message_id, "delivered")
            return not [row for row in await rows(built) if row["message_id"] == int(one.message_id)]

        await until(over, what="nothing is recorded any more")
        await built.clean()
