"""Cancelled by the customer and by an operator, recalled by an opt-out: with the real daemon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness import PROTOCOLS, mark_of, site, until

CHANNEL = "cmpp30"


async def test_what_no_carrier_has_is_cancelled_or_recalled(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=[CHANNEL]) as built:
        client, customer, node = built.client, built.customer, built.node
        carrier = built.carriers[CHANNEL]
        first = await customer.send(CHANNEL)
        await customer.reaches(first.message_id, "delivered")
        late = await client.post(f"/messages/{first.message_id}/cancel")
        assert (late.status, late.code) == (409, "STATE_CONFLICT")
        assert (await client.post("/messages/123/cancel")).status == 404

        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
        one, two = await customer.send_many(2, CHANNEL, type="marketing", send_at=later)
        batch = await customer.send_many(5, CHANNEL, type="marketing", send_at=later)
        answer = await client.post(f"/messages/{one.message_id}/cancel")
        assert (answer.status, answer.data["status"]) == (200, "cancelled")
        assert (await client.post(f"/messages/{one.message_id}/cancel")).data["status"] == "cancelled"
        listed = (await node.ctl("cancel", "--batch", batch[0].message_id, "--json")).data
        assert listed == {"messages": 5, "cancelled": 5}
        assert "STATE_CONFLICT" in (await node.ctl("cancel", first.message_id, check=False)).err

        # The phone of the second opts out before its message is due; a code to it goes all the same.
        carrier.send_mo(two.to, PROTOCOLS[CHANNEL][2], "退订")
        recalled = await customer.reaches(two.message_id, "rejected")
        assert recalled["carrier_code"] == "NUMBER_OPTED_OUT"
        body = {"to": [two.to], "content": customer.text(), "type": "otp"}
        (code,) = customer.note(await client.post("/messages", body), [body["content"]])
        await customer.reaches(code.message_id, "delivered")

        await until(lambda: not carrier.owed(within=10), what="all reports")
        gone = {one.message_id, two.message_id, *(m.message_id for m in batch)}
        assert not any(carrier.inbox.tokens[mark_of(customer.sent[i].content)] for i in gone)
        steps = (await customer.trace(one.message_id))["steps"]
        assert any(s["step"] == "cancelled" and s["detail"]["actor"].startswith("ak_") for s in steps)
        books = await built.clean()
        assert books.statuses == {"delivered": 2, "cancelled": 6, "rejected": 1}
