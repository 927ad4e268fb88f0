"""A test key runs the whole way, against a carrier inside the daemon: every outcome, no real channel, no unit."""

from __future__ import annotations

from pathlib import Path

from harness import Client, Customer, site, until


async def test_every_outcome_by_number_and_nothing_for_the_real_carriers(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        key = (await built.node.furnish("key", "add", "acme", "--test", "--json")).data
        async with Client(built.node, key) as client:
            tester = Customer(client)

            async def routed() -> bool:
                dry = await client.post("/messages/explain", {"to": ["13800000000"], "content": "x"})
                return dry.data["items"][0]["code"] == "OK"

            await until(routed, what="the test channel is bound")
            body = {"type": "otp", "content": "验证码 1234"}
            tails = ["8888", "0001", "0002", "0003", "0004", "0005", "0008", "0009", "0010", "0012"]
            to = [f"1330000{tail}" for tail in tails]
            answer = await client.post("/messages", {**body, "to": to})
            ids = {tail: i["message_id"] for tail, i in zip(tails, answer.data["items"], strict=True)}
            tester.note(answer, [body["content"]])
            ends = {
                "8888": ("delivered", ""),
                "0001": ("failed", "UNKNOWN"),
                "0002": ("failed", "EMPTY_NUMBER"),
                "0003": ("submitted", ""),
                "0004": ("failed", None),
                "0005": ("uncertain", None),
                "0008": ("failed", "SUSPENDED"),
                "0009": ("failed", "POWERED_OFF"),
                "0010": ("failed", "BLACKLIST_CARRIER"),
                "0012": ("failed", "CONTENT_BLOCKED"),
            }
            for tail, (status, cls) in ends.items():
                message = await tester.reaches(ids[tail], status)
                assert message["test"]
                assert message["price"] == 0
                assert cls is None or message["class"] == cls, tail
            full = await client.post("/messages", {**body, "to": ["13300000006"], "content": "满"})
            tester.note(full, ["满"])
            queued = full.data["items"][0]["message_id"]
            # A real customer's pull does not meet what is being tested.
            assert await built.customer.pull() == 0
            told = len([t for t in ends if ends[t][0] in ("delivered", "failed")])

            async def all_told() -> bool:
                await tester.pull()
                return len(tester.reports) == told

            await until(all_told, what="the test key has its reports")
            assert {r[0]["test"] for r in tester.reports.values()} == {True}
            assert await tester.status(queued) == "queued"
            verified = (await built.node.ctl("evidence", "verify", "--json")).data
            assert verified["sound"], verified["problems"]
            assert verified["pdus"]
            # It comes through a restart like any other channel.
            await built.node.stop()
            await built.node.start()
            again = await client.surely("POST", "/messages", {**body, "to": ["13300009999"], "content": "再来"})
            tester.note(again, ["再来"])
            await tester.reaches(again.data["items"][0]["message_id"], "delivered")
        sent = await built.customer.send("cmpp30")
        await built.customer.reaches(sent.message_id, "delivered")
        books = await built.clean()
        assert books.received == books.accepted == 1
        assert (await built.client.get("/balance")).data["balance"] == 100_000 - 1
        shown = (await built.node.ctl("key", "list", "acme", "--json")).data
        assert {k["test"] for k in shown} == {True, False}
