"""Two nodes, two thousand calls at once: one balance, and one set of messages for a key."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from harness import Client, Customer, Node, site

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
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], balance=BALANCE) as built:
        second = Node(
            data_dir.with_name(data_dir.name + "-2"), dsn=dsn, node_number="2",
            security_key_file=str(data_dir / "secret.key"),
        )  # fmt: skip
        await second.start()
        try:
            await built.node.furnish("account", "set", "acme", "rate=100000")
            await built.node.furnish("key", "set", built.client.key["key_id"], "--requests-per-second", "100000")
            async with Client(second, built.client.key) as other:
                await one_key(built.customer, built.client, other)
                codes: Counter[str] = Counter()

                async def send(customer: Customer, client: Client, limit: asyncio.Semaphore) -> None:
                    to = customer.number("cmpp30")
                    content = customer.text("长" * 80 if int(to) % 3 == 0 else "您好")
                    body = {"to": [to], "content": content}
                    async with limit:
                        answer = await client.surely("POST", "/messages", body)
                    codes[answer.code] += 1
                    if answer.status == 202:
                        customer.note(answer, [content])

                limits = [asyncio.Semaphore(200), asyncio.Semaphore(200)]
                await asyncio.gather(
                    *(
                        send(built.customer, client, limit)
                        for client, limit in zip((built.client, other), limits, strict=True)
                        for _ in range(CALLS)
                    )
                )
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
        finally:
            assert await second.stop() == 0
        assert not second.complaints()
