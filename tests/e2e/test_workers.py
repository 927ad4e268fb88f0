"""Several workers on one machine: one of them is killed under load, and they become one again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from ground import slow_enough
from harness import Client, Site, dice, intended, opened, site, until
from storm import WINDOW, loaded

from smsgw.node import control_client
from smsgw.store.engine import nodes

CHANNELS = 3


async def of_workers(built: Site) -> dict[int, set[str]]:
    """Which channels each worker runs, as the first one has it."""
    status = await built.node.status()
    told = {one["worker"]: set(one["channels"] or ()) for one in status["workers"]}
    others = set().union(*told.values())
    return told | {1: {c["name"] for c in status["channels"] if c["bound"]} - others}


async def one_daemon_to_the_outside(built: Site) -> None:
    """Both workers answer at its address, know a new key as soon as it is made, and act for each other."""
    node = built.node
    key = (await node.furnish("key", "add", "acme", "--json")).data
    for _ in range(12):  # a connection each
        async with Client(node, key) as client:
            assert (await client.get("/balance")).status == 200
    socket = node.socket
    name = sorted((await of_workers(built))[2])[0]
    submits = built.carriers[name].counts.submits
    asked = {"channel": name, "number": f"+86{built.customer.number(name)}"}
    assert int((await control_client.call(socket, "POST", "/channels/probe", asked))["message_id"])
    await until(lambda: built.carriers[name].counts.submits > submits, what="the probe is there")
    body = {"channel": name, "seconds": 1, "max_bytes": 100_000}
    lines = b"".join([piece async for piece in control_client.stream(socket, "/channels/record", body, timeout_s=20)])
    assert lines.count(b"\n") >= 2
    assert (await built.channel(name))["links"], "what only the other one knows"


@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_a_worker_is_killed_under_load(dsn: str, data_dir: Path) -> None:
    """Nothing is lost and nothing sent twice; its channels are its neighbour's within seconds, and it is replaced."""
    async with site(data_dir, dsn=dsn, behaviour=slow_enough, node_workers="2") as built:
        node, carriers = built.node, built.carriers

        async def shared() -> bool:
            runs = await of_workers(built)
            return all(runs.values()) and sum(map(len, runs.values())) == CHANNELS

        await until(shared, what="each worker runs channels")
        first = node.workers
        assert sorted(first) == [1, 2]
        await one_daemon_to_the_outside(built)
        async with loaded(built, 4000, dice()):
            before = {name: c.counts.submits for name, c in carriers.items()}
            await until(lambda: all(c.counts.submits > before[n] for n, c in carriers.items()), what="traffic")
            theirs = (await of_workers(built))[2]
            logins = {name: carriers[name].counts.logins for name in theirs}

            def taken() -> bool:
                return all(carriers[name].counts.logins > logins[name] for name in theirs)

            async def replaced() -> bool:
                return node.workers.get(2, first[2]) != first[2] and all(
                    one["state"] == "serving" for one in (await node.status())["workers"]
                )

            with intended():
                os.kill(first[2], signal.SIGKILL)
                await until(taken, what="the neighbour is logged in there", within=20)
                await until(replaced, what="it is replaced", within=60)
        await until(shared, what="its channels are its own again", within=60)
        books = await built.clean(within=120, unknown=CHANNELS * WINDOW)
        assert books.statuses.keys() <= {"delivered", "uncertain"}
        print(books)
        said = "\n".join(node.log_lines())
        assert all(f'"event": "{event}"' in said for event in ("worker.died", "worker.succeeded"))


@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_all_are_killed_and_one_goes_on(dsn: str, data_dir: Path) -> None:
    """What the second worker has left is brought to its end, though there is to be one only."""
    async with site(data_dir, dsn=dsn, behaviour=slow_enough, node_workers="2") as built:
        node = built.node
        async with loaded(built, 1500, dice()):
            await until(lambda: all(c.counts.submits > 50 for c in built.carriers.values()), what="traffic everywhere")
            node.kill()
            node._settings["NODE_WORKERS"] = "1"
            await node.start()

        def drained() -> bool:
            return any('"event": "worker.drained"' in line for line in node.log_lines())

        await until(drained, what="the second one has nothing left", within=120)
        async with opened(dsn) as database:
            assert not await nodes.missing(database), "nor is it missed"
        books = await built.clean(within=120, unknown=CHANNELS * WINDOW)
        assert books.statuses.keys() <= {"delivered", "uncertain"}
        assert sorted(node.workers) == [1]
        assert await node.stop() == 0
        await node.start()
        assert not node.workers, "one process, as ever"
        await built.bound()
