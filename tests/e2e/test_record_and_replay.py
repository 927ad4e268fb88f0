"""What a carrier did is recorded at the channel, masked, and done again by a simulated one: the ledger looks alike."""

from __future__ import annotations

import contextlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from harness import PASSWORD, PROTOCOLS, USER, Site, carrier_for, free_port, profile_of, site, until
from recordings import leaks

from smsgw.node import control_client
from smsgw.runtime.aio import spawn
from smsgw.simulator import Rule
from smsgw.simulator.config import Delay
from smsgw.simulator.plan import load
from smsgw.simulator.replay import Replay

pytestmark = pytest.mark.shard("protocols")

LONG = "这一条很长,要分成几段才能发出去。" * 9
CASES = ("普通", "失败", "拒绝", "无回执", "早到", "丢应答", "两次", LONG, "慢", "等等")
"""What the texts begin with; the carrier knows them."""


def odd(channel: str) -> dict[str, Any]:
    """A carrier's behaviour with something of everything."""
    refused = {"smpp34": 0x0B, "sgip12": 5}.get(channel, 9)
    rules = (
        Rule(contains="失败", report="MK:0012" if channel != "smpp34" else "UNDELIV", error="027"),
        Rule(contains="拒绝", answer=refused),
        Rule(contains="无回执", report="none"),
        Rule(contains="早到", answer_delay=Delay.fixed(0.3), report_delay=Delay.fixed(0.05)),
        Rule(contains="丢应答", lose_answer=True, report="none"),
        Rule(contains="慢", answer_delay=Delay.fixed(0.4), report_delay=Delay.fixed(0.7)),
        Rule(contains="等等", report="ENROUTE"),
    )
    return {"rules": rules, "answer_delay": "5..20", "report_delay": "30..60", "report_copies": 2}


async def story(built: Site, channel: str) -> list[tuple[str, str, str]]:
    """One message a case; the end of each, in order: status, class, the carrier's code."""
    sent = [await built.customer.send(channel, built.customer.text(case)) for case in CASES]
    ends = []
    for case, one in zip(CASES, sent, strict=True):
        wanted = {"无回执": ("submitted",), "等等": ("submitted",), "丢应答": ("uncertain",)}
        status = wanted.get(case, ("delivered", "failed"))
        message = await built.customer.reaches(one.message_id, *status)
        ends.append((message["status"], message["class"], message["carrier_code"]))
    return ends


async def begun_and_left(built: Site, channel: str) -> None:
    """A recording whose reader has gone ends, though nothing passes; the next one may begin."""
    body = {"channel": channel, "seconds": 600, "max_bytes": 1 << 20}

    async def begins() -> bool:
        pieces = control_client.stream(built.node.socket, "/channels/record", body, timeout_s=30)
        async with contextlib.aclosing(pieces):
            with contextlib.suppress(RuntimeError):
                return b'"recording":1' in await anext(pieces)
        return False

    assert await begins()
    await until(begins, what="the first recording is over")

    async def none_runs() -> bool:
        done = await built.node.ctl(
            "channel", "record", channel, str(built.node.data_dir / "probe"), "--seconds", "1", check=False
        )
        return done.code == 0

    await until(none_runs, what="the second recording is over")


def personal(built: Site, channel: str, texts: list[str]) -> set[str]:
    """All that must not be in the file."""
    numbers = {one.to for one in built.customer.sent.values()} | {PROTOCOLS[channel][2], "13700008888"}
    return {*numbers, USER, PASSWORD, *texts, *(one.content for one in built.customer.sent.values())}


@pytest.mark.parametrize("channel", list(PROTOCOLS))
async def test_the_same_trouble_again(channel: str, dsn: str, data_dir: Path, tmp_path: Path) -> None:
    profile: dict[str, Any] = {"response_timeout": 1}
    own: dict[str, Any] = {}
    if channel == "smpp34":
        profile["receipt_id"] = "hex-dec"
        own = {"answer_id": "HEX8", "report_id": "dec10", "report_form": "text"}
    first = carrier_for(channel, record=str(tmp_path / "by-carrier.jsonl"), **own)
    first.change(**odd(channel))
    async with first, site(data_dir, dsn=dsn, channels=[]) as built:
        built.carriers[channel] = first
        profile = profile_of(first, profile | ({"idle": 20} if channel == "sgip12" else {}))
        access = ("--access-code", PROTOCOLS[channel][2])
        await built.node.add_channel(channel, first.port, *access, profile=profile)
        await built.bound(channel)
        await begun_and_left(built, channel)
        file = tmp_path / "trouble.jsonl"
        recording = spawn(built.node.ctl("channel", "record", channel, str(file), "--seconds", "40"), name="record")
        await until(lambda: file.exists() and file.stat().st_size > 0, what="the recording has begun")
        second = await built.node.ctl("channel", "record", channel, str(tmp_path / "two"), check=False)
        assert second.code == 1
        assert "STATE_CONFLICT" in second.err
        assert not (tmp_path / "two").exists()

        before = await story(built, channel)
        first.send_mo("13700008888", PROTOCOLS[channel][2], "问一下,在吗")
        first.send_mo("13700008888", PROTOCOLS[channel][2], LONG, order=(2, 1, 3))
        await built.customer.replies(2)
        first.disconnect(rst=True)
        if channel != "sgip12":  # which rests until there is something to send
            await until(lambda: first.bound, what="logged in again")
        await built.node.furnish("channel", "set", channel, "--connections", "2")  # restarts it: the recording ends
        done = await recording
        assert "the channel was stopped" in done.out
        await first.stop()
        first.close()

        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        texts = [*CASES[:-2], "问一下,在吗", LONG]
        for path in (file, tmp_path / "by-carrier.jsonl"):
            assert not leaks(path, personal(built, channel, texts))
            plan = load(path)
            assert len(plan.parts) == len(CASES) + 2
            assert plan.recording.unreadable == 0
        await again(built, channel, file, before, profile, own)


async def again(
    built: Site, channel: str, file: Path, before: list[tuple[str, str, str]], profile: dict[str, Any],
    own: dict[str, Any],
) -> None:  # fmt: skip
    """The recording takes the carrier's place."""
    plan = load(file)
    second = carrier_for(channel, **own)
    second.replay = Replay(plan, second._dice, new_access_code=PROTOCOLS[channel][2])
    if channel == "sgip12":
        second.config.deliver_to = f"127.0.0.1:{free_port()}"
        profile |= {"sgip_listen": second.config.deliver_to}
    async with second:
        await built.node.furnish(
            "channel", "set", channel, "--port", str(second.port), "--connections", "1",
            "--profile", json.dumps(profile),
        )  # fmt: skip
        built.carriers[channel] = second
        await until(lambda: second.bound, what="logged in at the replay")
        assert await story(built, channel) == before
        assert (second.replay.replayed, second.replay.left) == (len(CASES) + 2, 0)
        # The replies come at their time after the login.
        texts = [reply["content"] for reply in await built.customer.replies(2)]
        assert sorted(map(len, texts)) == sorted([len("问一下,在吗"), len(LONG)])
        await until(lambda: second.counts.disconnects >= 1, what="the connection breaks as it did")
        sent = await built.customer.send(channel)
        await built.customer.reaches(sent.message_id, "delivered")
