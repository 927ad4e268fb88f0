"""Long messages of a partner over several binds, list after list under the same numbers and references: used by a test
for seconds, and at full length (five times 1,500) by ``scripts/trials --only references``."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field

from harness import dice, until
from partner_client import PartnerClient, PartnerSite, id_of, in_parts, submit, submit_sm

from smsgw.protocols.cmpp.pdus import SubmitResp
from smsgw.protocols.pdu import Pdu

Figures = dict[str, object]
MAKE = {"cmpp": submit, "smpp": submit_sm}
NUMBERS = 50
AT_ONCE = 40
"""Messages under way; the parts of each are sent together, the last ones first as often as not."""
COMMON = "".join(f"之{n}：".ljust(67, "长") for n in (2, 3))
"""Of all messages, but for their first part."""


@dataclass
class Answered:
    """What the partner knows."""

    texts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number and text of the messages of which all parts were taken."""
    ids: list[object] = field(default_factory=list)


async def reused(
    here: PartnerSite, protocol: str, *, runs: int, messages: int, references: int, binds: int = 4, within: float = 60.0
) -> Figures:
    """Lists of so many messages of three parts, which differ in the first one only, each by binds of its own: what was
    taken is sent, once, and reported."""
    chance, done = dice(), Answered()
    place = f"13807{sorted(MAKE).index(protocol)}"
    took: list[float] = []
    refused: Counter[int] = Counter()

    async def taken(line: PartnerClient, part: Pdu) -> object:
        """The id of a part, which is sent again while it is refused."""
        async with asyncio.timeout(within):
            while True:
                answer = await line.call(part)
                if status := answer.result if isinstance(answer, SubmitResp) else answer.command_status:
                    refused[status] += 1
                    await asyncio.sleep(0.1)
                else:
                    return id_of(answer)

    for run in range(runs):
        lines = [await getattr(here, protocol)() for _ in range(binds)]
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(n: int, run: int, lines: list[PartnerClient], gate: asyncio.Semaphore) -> None:
            number = f"{place}{n % NUMBERS:05d}"
            text = f"{run}轮第{n}条：".ljust(67, "头") + COMMON
            parts = in_parts(MAKE[protocol], number, text, ref=n // NUMBERS % references)
            chance.shuffle(parts)
            async with gate:
                done.ids += await asyncio.gather(*(taken(chance.choice(lines), part) for part in parts))
            done.texts[number, text] += 1

        began = time.monotonic()
        await asyncio.gather(*(one(n, run, lines, gate) for n in range(messages)))
        took.append(time.monotonic() - began)
        for line in lines:
            if run % 2:
                line.abort()
            else:
                await line.close()
        await until(lambda: _nobody(here), what="they are gone")
    last = await getattr(here, protocol)()  # reports of those that are gone go there
    arrived: Counter[tuple[str, str]] = Counter()

    def missing() -> int:
        arrived.clear()
        for carrier in here.site.carriers.values():
            came = ((m.destination.removeprefix("86"), m.text) for m in carrier.inbox.messages)
            arrived.update(one for one in came if one[0].startswith(place))
        return (done.texts - arrived).total()

    with contextlib.suppress(AssertionError):  # the figures say it
        await until(lambda: not missing(), within=within, every=0.5)
    states = await here.told(done.ids, within=within) if not missing() else Counter[str]()
    figures: Figures = {
        "messages": done.texts.total(),
        "seconds of each list": [round(seconds, 1) for seconds in took],
        "refused, and sent again": dict(refused),
        "accepted and not sent": missing(),
        "sent and not accepted": (arrived - done.texts).total(),
        "submits with the id of another": len(done.ids) - len(set(done.ids)),
        "reports": dict(states),
    }
    await last.close()
    wrong = ("accepted and not sent", "sent and not accepted", "submits with the id of another")
    assert not any(figures[what] for what in wrong), figures
    assert states.keys() == {"DELIVRD"}, figures
    return figures


async def _nobody(here: PartnerSite) -> bool:
    return not await here.binds()
