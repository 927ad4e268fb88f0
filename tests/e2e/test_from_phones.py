"""Messages from phones: short, long, in any order, and to codes that nobody owns."""

from __future__ import annotations

import pytest
from harness import CHANNELS, Site, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.shard("core")]


@pytest.mark.parametrize("channel", list(CHANNELS))
async def test_replies(shared: Site, channel: str) -> None:
    customer, carrier = shared.customer, shared.carriers[channel]
    asked = await customer.send(channel, client_ref=f"q-{channel}")
    await customer.reaches(asked.message_id, "delivered")
    phone = "86" + asked.to if channel == "smpp34" else asked.to
    code = CHANNELS[channel][2]

    carrier.send_mo(phone, code, "TD 退订😀")
    (short,) = await customer.replies(1)
    assert (short["content"], short["from"], short["to_code"]) == ("TD 退订😀", "86" + asked.to, code)
    assert short["in_reply_to"] == {"message_id": asked.message_id, "client_ref": f"q-{channel}"}
    assert short["complete"] is True

    text = "".join(f"第{n}句,很长的回复;" for n in range(25))
    assert carrier.send_mo(phone, code, text, order=(3, 1, 4, 2)) == 4
    (long,) = await customer.replies(1)
    assert (long["content"], long["complete"]) == (text, True)

    # Two phones, the same reference, their parts mixed.
    other = "86" + customer.number(channel) if channel == "smpp34" else customer.number(channel)
    one, two = "甲" * 100, "乙" * 100
    carrier.send_mo(phone, code, one, ref=7, order=(2,))
    carrier.send_mo(other, code, two, ref=7, order=(2,))
    carrier.send_mo(other, code, two, ref=7, order=(1,))
    carrier.send_mo(phone, code, one, ref=7, order=(1,))
    got = {item["content"]: item for item in await customer.replies(2)}
    assert got.keys() == {one, two}
    assert got[two]["in_reply_to"] is None
    assert got[one]["in_reply_to"]["message_id"] == asked.message_id
    await until(lambda: carrier.counts.replies_acknowledged == carrier.counts.replies, what="all are acknowledged")


async def test_reply_to_an_extension(shared: Site) -> None:
    """The account's digits and the call's stand behind the access code on the phone."""
    await shared.node.furnish("account", "set", "acme", "extend_code=11")
    customer, carrier = shared.customer, shared.carriers["cmpp20"]
    sent = await customer.send("cmpp20", extend_code="42")
    await customer.reaches(sent.message_id, "delivered")
    source = carrier.messages[-1].source
    assert source == CHANNELS["cmpp20"][2] + "11" + "42"
    carrier.send_mo(sent.to, source, "好")
    (reply,) = await customer.replies(1)
    assert (reply["extend_code"], reply["in_reply_to"]["message_id"]) == ("42", sent.message_id)
    await shared.clean()
