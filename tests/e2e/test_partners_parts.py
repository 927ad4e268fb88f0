"""What partners send again, and what only looks like it: one number of a submit, one reference of long messages."""

from __future__ import annotations

import asyncio

import pytest
from harness import PATIENCE, until
from partner_client import PartnerClient, PartnerSite, id_of, in_parts, submit, submit_sm
from references import reused

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("left_as_found")]

PROTOCOLS = ("cmpp", "smpp")
MAKE = {"cmpp": submit, "smpp": submit_sm}


def a_text(mark: str, parts: int = 2) -> str:
    """A text of so many parts, all of which are its own."""
    return "".join(f"{mark}之{n}：".ljust(67, "长") for n in range(1, parts + 1))


async def _client(here: PartnerSite, protocol: str) -> PartnerClient:
    client: PartnerClient = await getattr(here, protocol)()
    return client


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_all_at_once_under_one_reference(here: PartnerSite, protocol: str) -> None:
    """The next message begins while the one before is whole, and still on its way into the ledger."""
    client = await _client(here, protocol)
    to = f"13800{PROTOCOLS.index(protocol)}00002"
    texts = [a_text(f"第{n}条") for n in range(10)]
    ids = [
        id_of(answer)
        for answer in await asyncio.gather(
            *(client.call(part) for text in texts for part in in_parts(MAKE[protocol], to, text, ref=7))
        )
    ]
    assert await here.told(ids) == {"DELIVRD": 20}
    assert sorted(here.texts_to(to)) == sorted(texts)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_lists_under_the_same_references(here: PartnerSite, protocol: str) -> None:
    """At full length: ``scripts/trials --only references``."""
    await reused(here, protocol, runs=3, messages=100, references=1, within=PATIENCE)


async def _owed(here: PartnerSite, n: int) -> None:
    """Wait until so many submits have come and are not answered."""

    async def come() -> bool:
        return sum(bind["unanswered"] for bind in await here.binds()) == n

    await until(come, within=2.5, every=0.02, what=f"{n} submits without an answer")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_submit_comes_again_before_its_answer(here: PartnerSite, protocol: str) -> None:
    client = await _client(here, protocol)
    to = f"13800{PROTOCOLS.index(protocol)}00003"
    submits = [MAKE[protocol](to, "once"), *in_parts(MAKE[protocol], to, a_text("一次"), ref=9)]
    async with here.slow_database():
        asked = [client.ask(pdu) for pdu in submits]
        await _owed(here, 3)
        for pdu in submits:
            client.again(pdu)
        await _owed(here, 6)
    ids = [id_of(answer) for answer in await asyncio.wait_for(asyncio.gather(*asked), 15)]
    await until(lambda: len(client.strays) == 3, what="answers to the repeats, too")
    assert await here.told(ids) == {"DELIVRD": 3}
    assert sorted(here.texts_to(to)) == ["once", a_text("一次")]


async def test_a_submit_comes_again_over_another_connection(here: PartnerSite) -> None:
    """CMPP: the connection goes before the answer; one repeat comes while the first is under way, one later."""
    to = "13800000004"
    waiting, later = submit(to, "at once"), submit(to, "later")
    first = await here.cmpp()
    async with here.slow_database():
        for pdu in (waiting, later):
            first.ask(pdu).add_done_callback(lambda done: done.exception())
        await _owed(here, 2)
        first.abort()
        client = await here.cmpp()
        await _owed(here, 0)
        client.again(waiting)
        await _owed(here, 1)
    await until(lambda: len(client.strays) == 1, what="the answer of the first")
    client.again(later)
    await until(lambda: len(client.strays) == 2, what="the answer that nobody had read")
    await until(lambda: len(client.reports()) == 2, what="two reports")
    assert sorted(here.texts_to(to)) == ["at once", "later"]
    client.session._counter = 100
    assert id_of(await client.call(submit(to, "at once"))), "under another number it is another message"
    await until(lambda: sorted(here.texts_to(to)) == ["at once", "at once", "later"], what="another message")
    await client.close()
