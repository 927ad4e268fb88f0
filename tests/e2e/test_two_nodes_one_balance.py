"""Two nodes, two thousand calls at once: one balance, and one set of messages for a key."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from harness import Client, Customer, another_node, site

CALLS = 1000
BALANCE = 500


async def one_key(customer: Customer, *clients: Client) -> None:
    """A hundred calls with one key, over all nodes."""
    content = customer.text()
    body = {"to": [customer.number("cmpp30")], "content": content}
    answers = await asyncio.gather(
        *(client.surely("POST", "/messages", body, key="order-1") for client in clients for _ in range(50))
    )
    assert {answer.status for answer in answers} == {202}
    assert len({str(answer.data) for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    customer.note(answers[0], [content])


@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_two_nodes_never_spend_more_than_there_is(dsn: str, data_dir: Path) -> None:
    async with (
        site(data_dir, dsn=dsn, channels=["cmpp30"], balance=BALANCE) as built,
        another_node(built.node) as second,
        Client(second, built.client.key) as other,
    ):
        await built.node.unhurried(built.client.key["key_id"])
        await one_key(built.customer, built.client, other)
        codes: Counter[str] = Counter()

        async def send(client: Client, limit: asyncio.Semaphore) -> None:
            customer = built.customer
            to = customer.number("cmpp30")
            content = customer.text("长" * 80 if int(to) % 3 == 0 else "您好")
            async with limit:
                answer = await client.surely("POST", "/messages", {"to": [to], "content": content})
            codes[answer.code] += 1
            if answer.status == 202:
                customer.note(answer, [content])

        limits = [(client, asyncio.Semaphore(200)) for client in (built.client, other)]
        await asyncio.gather(*(send(client, limit) for client, limit in limits for _ in range(CALLS)))
        assert codes.keys() == {"OK", "BALANCE_INSUFFICIENT"}
        assert codes.total() == 2 * CALLS
        money = (await built.client.get("/balance")).data
        spent = sum(sent.parts for sent in built.customer.sent.values())
        assert money["balance"] == BALANCE - spent
        assert money["balance"] in (0, 1)  # 1: what was left was too little for a long one
        books = await built.clean()
        assert books.accepted == codes["OK"] + 1
        used = (await built.client.get("/usage")).data["items"]
        assert sum(line["units"] for line in used) == spent
