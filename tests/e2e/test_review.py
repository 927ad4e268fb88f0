"""Approval: what a reviewer has to see first does not leave before that, and what is rejected never does."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from databases import change
from harness import Site, alarmed, site, until

from smsgw.core.ids import CHINA

CHANNEL = "cmpp30"


async def waiting(built: Site) -> list[dict[str, Any]]:
    return (await built.node.ctl("review", "list", "--json")).data


async def test_passed_rejected_expired(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=[CHANNEL]) as built:
        node, customer, carrier = built.node, built.customer, built.carriers[CHANNEL]
        await node.furnish("word", "add", "理财", "--category", "金融", "--action", "review")
        await node.furnish("policy", "set", "review_over", "2", "--type", "marketing")
        plain = await customer.send(CHANNEL)

        words = await customer.send(CHANNEL, customer.text("理 財 产品"))
        assert await customer.status(words.message_id) == "held"
        text = customer.text("促销")
        many = {"to": [customer.number(CHANNEL) for _ in range(3)], "content": text, "type": "marketing"}
        many_sent = customer.note(await built.client.post("/messages", many), [text])
        late = await customer.send(CHANNEL, customer.text("理财"))
        await customer.reaches(plain.message_id, "delivered")
        assert len(carrier.messages) == 1, "what is held does not leave"

        listed = {r["batch_id"]: r for r in await waiting(built)}
        assert listed[words.message_id]["reasons"] == ["敏感词：理财(金融)"]
        batch = many_sent[0].message_id
        assert listed[batch]["reasons"] == ["号码数 3 超过 2"]
        assert listed[batch]["numbers"] == 3
        assert "138" in (await node.ctl("review", "show", batch)).out

        await node.ctl("review", "pass", words.message_id)
        await customer.reaches(words.message_id, "delivered")
        again = await node.ctl("review", "pass", words.message_id, check=False)
        assert "STATE_CONFLICT" in again.err

        balance = (await built.client.get("/balance")).data["balance"]
        assert (await node.ctl("review", "reject", batch, " ", check=False)).code == 1
        await node.ctl("review", "reject", batch, "内容不合规")
        for sent in many_sent:
            message = await customer.reaches(sent.message_id, "rejected")
            assert message["carrier_code"] == "REVIEW_REJECTED"
            assert message["description"] == "审核未通过：内容不合规"
        assert (await built.client.get("/balance")).data["balance"] == balance + 3

        # Nobody decides: first an alarm, then it expires and is paid back.
        await change(dsn, "UPDATE review SET created_at = now() - interval '1 hour' WHERE state = 'pending'")

        await until(lambda: alarmed(node, "review_waiting"), what="the alarm")
        await change(dsn, "UPDATE part SET expires_at = now() WHERE state = 1")
        await change(dsn, "UPDATE review SET expires_at = now() WHERE state = 'pending'")
        await customer.reaches(late.message_id, "expired")

        async def nothing() -> bool:
            return not await waiting(built)

        await until(nothing, what="the review is over")
        books = await built.clean()
        assert books.statuses == {"delivered": 2, "rejected": 3, "expired": 1}


async def test_released_in_quiet_hours_waits_for_the_morning(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=[CHANNEL]) as built:
        node, customer = built.node, built.customer
        await node.furnish("policy", "set", "review", "all", "--account", "acme")
        sent = await customer.send(CHANNEL)
        hours = "00:00-00:01" if 6 <= datetime.now(CHINA).hour < 18 else "12:00-12:01"
        await node.furnish("policy", "set", "hours", hours)
        await node.ctl("review", "pass", sent.message_id)
        assert await customer.status(sent.message_id) == "scheduled"
        cancelled = await built.client.post(f"/messages/{sent.message_id}/cancel")
        assert cancelled.status == 200, cancelled.body
        await built.clean()
