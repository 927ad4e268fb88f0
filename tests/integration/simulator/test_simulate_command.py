"""The command as a process: ports from flags, commands on standard input, counts by signal, summary at the end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from recordings import leaks
from simulator_client import Client, cmpp_client, smgp_client, smpp_client

ROOT = Path(__file__).parents[3]
RUN = "from smsgw.commands.simulate import simulate; simulate()"


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, event: str) -> dict[str, Any]:
        """The next line, which must be this event."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 20)
        said: dict[str, Any] = json.loads(line)
        assert said["event"] == event, said
        return said

    def tell(self, command: Any) -> None:
        assert self.process.stdin is not None
        line = command if isinstance(command, str) else json.dumps(command)
        self.process.stdin.write(line.encode() + b"\n")

    async def fails(self, code: int, told: bytes) -> None:
        """It ends by itself, saying why."""
        _, said = await self.process.communicate()
        assert (self.process.returncode, told in said) == (code, True), said


Run = Callable[..., Awaitable[Process]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
        )
        started.append(process)
        return Process(process)

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_flags_commands_signal_and_summary(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "pdus.jsonl"
    flags = ("--cmpp", "127.0.0.1:0", "--smpp", "127.0.0.1:0", "--report-delay", "0", "--log", str(log))
    process = await run(*flags, "--rule", "suffix=0001,report=UNDELIV", "--rule", "contains=流控,answer=8")
    ports = {c["protocol"]: c["port"] for c in (await process.says("ready"))["carriers"]}
    async with Client(cmpp_client(), ports["cmpp"]) as one, Client(smpp_client(), ports["smpp"]) as two:
        one.submit("13800130001", "一")
        one.submit("13800138000", "流控")
        await one.until(lambda: len(one.answers) == 2 and one.delivered)
        two.submit("13800138000", "二")  # the last: the connections are not read in the order in which they are written
        two.submit("13800138000", "二")
        await two.until(lambda: len(two.answers) == 2 and len(two.delivered) == 2)
        assert b"UNDELIV" in one.delivered[0].msg_content
        assert [answer.status for answer in one.answers] == [0, 8]

        process.tell({"do": "mo", "source": "13800138000", "destination": "1069", "text": "TD"})
        assert (await process.says("done"))["result"] == {"parts": 1}
        await one.until(lambda: len(one.delivered) == 2)
        process.tell({"do": "set", "carrier": "smpp-2", "reports": "none:1", "answers": "0:1"})
        assert (await process.says("done"))["result"] == ["answers", "reports"]
        process.tell({"do": "messages", "limit": 1})
        assert [m["text"] for m in (await process.says("done"))["result"]] == ["二"]
        for nonsense in ("{", "[]", {"do": "dance"}, {"do": "mo"}, {"do": "set", "rate": "x"}, {"carrier": "x"}):
            process.tell(nonsense)
            assert (await process.says("error"))["message"]
        process.process.send_signal(signal.SIGUSR1)
        counts = await process.says("counts")
        assert (counts["submits"], counts["accepted"], counts["doubled"]) == (4, 3, 1)
        process.tell({"do": "disconnect", "rst": True})
        assert (await process.says("done"))["result"] == {"closed": 2}
        await one.until(lambda: one.closed)
        assert one.reset
    process.process.send_signal(signal.SIGTERM)
    summary = await process.says("summary")
    assert await process.process.wait() == 0
    assert (summary["unique"], summary["max_receptions"], summary["doubled"]) == (2, 2, 1)
    names = [json.loads(line)["name"] for line in log.read_text("utf-8").splitlines()]
    assert names.count("Submit") == 2
    assert names.count("SubmitSmResp") == 2


async def test_a_scenario_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "one.toml"
    file.write_text(
        '[[carrier]]\nname="x"\nlisten="127.0.0.1:0"\nanswers="8"\n[[carrier.rule]]\nsuffix="1"\nanswer=0\n'
    )
    process = await run(str(file), "--answers", "7")
    (listener,) = (await process.says("ready"))["carriers"]
    async with Client(cmpp_client(), listener["port"]) as client:
        client.submit("13800138000", "a")
        client.submit("13800138001", "b")
        await client.until(lambda: len(client.answers) == 2)
        assert [answer.status for answer in client.answers] == [7, 0]
    process.tell({"do": "quit"})
    assert (await process.says("summary"))["messages"] == 1
    assert await process.process.wait() == 0


async def test_record_and_replay(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "exchange.jsonl"
    flags = ("--smgp", "127.0.0.1:0", "--report-delay", "0", "--answer-delay", "20")
    process = await run(*flags, "--rule", "suffix=0001,report=UNDELIV", "--record", str(file))
    port = (await process.says("ready"))["carriers"][0]["port"]
    async with Client(smgp_client(), port) as client:
        client.submit("13300130001", "一")
        client.submit("13300130002", "二")
        await client.until(lambda: len(client.answers) == 2 and len(client.delivered) == 2)
    process.tell({"do": "quit"})
    await process.says("summary")
    assert await process.process.wait() == 0
    assert not leaks(file, ("13300130001", "13300130002"))

    again = await run("--replay", str(file), "--smgp", "127.0.0.1:0", "--replay-speed", "10")
    ready = await again.says("ready")
    assert ready["carriers"][0]["protocol"] == "smgp"
    async with Client(smgp_client(), ready["carriers"][0]["port"]) as client:
        for phone in ("13300000007", "13300000008", "13300000009"):
            client.submit(phone, "三")
        await client.until(lambda: len(client.answers) == 3 and len(client.delivered) == 3)
        reports = {pdu.src_term_id: pdu.msg_content for pdu in client.delivered}
        assert b"UNDELIV" in reports["13300000007"]
        assert b"DELIVRD" in reports["13300000008"]
        ids = {answer.pdu.msg_id for answer in client.answers}
        assert all(any(id_ in content for id_ in ids) for content in reports.values())
    again.tell({"do": "counts"})
    counts = (await again.says("done"))["result"]
    assert (counts["replayed"], counts["left"], counts["submits"]) == (2, 0, 3)

    for wrong in (("--cmpp", "127.0.0.1:0"), ("--smgp", "127.0.0.1:0", "--smgp", "127.0.0.1:0")):
        await (await run("--replay", str(file), *wrong)).fails(2, b"replay")
    await (await run("--smgp", "127.0.0.1:0", "--record", str(file))).fails(2, b"exists")


async def test_usage_errors(run: Run, tmp_path: Path) -> None:
    for flags, code, told in (
        (("--answers", "x", "--rule", "report=UNDELIV"), 2, b"answers: no mix"),
        (("--log", str(tmp_path / "missing" / "log")), 2, b"log:"),
        (("--rule", "nonsense"), 2, b""),
        (("--cmpp", "192.0.2.1:7890"), 1, b"cannot listen"),
    ):
        await (await run(*flags)).fails(code, told)
