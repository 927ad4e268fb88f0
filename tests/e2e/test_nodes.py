"""A node that stops while its windows are full."""

from __future__ import annotations

from pathlib import Path

from harness import site, until
from trials import WINDOW, load

from smsgw.simulator import Behaviour, Delay


async def test_a_node_that_stops_waits_for_the_answers_of_its_window(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=lambda: Behaviour(answer_delay=Delay(1.5, 2.0))) as built:
        carriers = built.carriers
        await load(built, 1000, 0.12, *carriers, batch=30)
        await until(lambda: all(c.counts.submits >= WINDOW for c in carriers.values()), what="full windows")
        assert await built.node.stop() == 0
        written = {name: c.counts.submits for name, c in carriers.items()}
        assert set(written.values()) == {WINDOW}, "nothing was written after the signal"
        await built.node.start()
        await built.bound()
        books = await built.clean(unknown=0)
        assert set(books.statuses) == {"delivered"}
