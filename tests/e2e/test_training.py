"""Nothing of an account that rehearses reaches a carrier: not after a kill, not while it is switched."""

from __future__ import annotations

from pathlib import Path

from harness import Site, opened, site, until

from smsgw.core.states import PartState


async def switched(built: Site, way: str) -> None:
    await built.node.ctl("account", "stop", "acme")
    await built.node.ctl("account", "training", "acme", way, "--reason", "新员工培训")
    await built.node.ctl("account", "start", "acme")


async def ready(built: Site) -> None:
    """The simulated carrier, which starts with the first that needs it, is bound."""

    async def routed() -> bool:
        dry = await built.client.post("/messages/explain", {"to": ["13800000000"], "content": "x"})
        return bool(dry.data and dry.data["items"][0]["code"] == "OK")

    await until(routed, what="messages are routed")


async def rehearsed(built: Site, number: str) -> str:
    """Send to a number whose last digits say what the simulated carrier makes of it; the message's id."""
    answer = await built.client.post("/messages", {"to": [number], "content": built.customer.text()})
    assert answer.status == 202, answer.body
    return str(answer.data["items"][0]["message_id"])


async def waits_again(dsn: str, message_id: str) -> bool:
    """Whether its carrier has said to try later: killed before that, nobody could know what the carrier took."""
    async with opened(dsn) as database:
        query = "SELECT count(*) FROM part WHERE id = $1 AND state = $2"
        return bool(await database.fetchval(query, int(message_id), int(PartState.DEFERRED)))


async def test_an_account_that_rehearses_runs_the_whole_way_and_reaches_no_carrier(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        customer, carrier = built.customer, built.carriers["cmpp30"]
        before = (await built.client.get("/account/balance")).data
        refused = await built.node.ctl("account", "training", "acme", "--on", "--reason", "培训", check=False)
        assert refused.code == 1, "it is not stopped"
        await switched(built, "--on")
        await ready(built)
        one = await rehearsed(built, "13800138888")
        message = await customer.reaches(one, "delivered")
        assert (message["test"], message["price"]) == (True, 0)
        stays = await rehearsed(built, "13800130006")
        await until(lambda: waits_again(dsn, stays), every=0.01, what="it is to be tried again")
        built.node.kill()
        await built.node.start()
        await ready(built)
        two = await rehearsed(built, "13800138889")
        await customer.reaches(two, "delivered")
        assert (await built.client.get(f"/messages/{stays}")).data["status"] not in ("delivered", "failed")
        assert not carrier.messages, "nothing of it went to the carrier"
        await built.node.ctl("account", "stop", "acme")
        waits = await built.node.ctl("account", "training", "acme", "--off", "--reason", "结束", check=False)
        assert waits.code == 1, "something of it waits"
        await built.node.ctl("account", "start", "acme")

        async def cancelled() -> bool:  # not while it is just being submitted once more
            answer = await built.client.post(f"/messages/{stays}/cancel")
            return answer.status == 200 and answer.data["status"] == "cancelled"

        await until(cancelled, what="what waited is cancelled")
        await switched(built, "--off")
        assert (await built.client.get("/account/balance")).data == before, "it cost nothing"
        real = await customer.send("cmpp30", customer.text())
        await customer.reaches(real.message_id, "delivered")
        assert len(carrier.messages) == 1
