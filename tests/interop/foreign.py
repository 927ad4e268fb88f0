"""SMPP peers that we did not write, as processes that are all spoken to alike; one program for each in ``peers``.

A program is called with ``esme PORT`` (it connects) or ``smsc 0`` (it listens, and says ``listening port=…``). A line
on its stdin is a PDU that it is to send, ``submit_sm seq=7 source_addr=… short_message=HEX``; in the role of an SMSC
also ``refuse status=N``, what it answers submits with from then on. A line on its stdout is a PDU that came, in the
same form, as the library has read it. Requests it answers itself, in the role of an SMSC with ids of its own, and a
bind with the password ``wrong`` with 0x0E. What its library cannot read it calls an ``error``.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from smsgw.runtime.aio import cancel, spawn

HERE = Path(__file__).parent / "peers"

Line = dict[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """A library, what is missing when it is not here (empty: nothing), and how its program is called."""

    name: str
    missing: Callable[[], str]
    command: Callable[[], Sequence[str | Path]]
    queries: bool = True
    """It knows more requests than binds, submits and deliveries."""
    payloads: bool = True
    """It can write a message_payload of more than one octet."""


def _perl() -> str:
    perl = shutil.which("perl")
    there = perl and subprocess.run([perl, "-MNet::SMPP", "-e", "1"], capture_output=True, check=False).returncode == 0
    return "" if there else "libnet-smpp-perl is not installed"


def _libsmpp34() -> str:
    there = shutil.which("cc") and Path("/usr/include/libsmpp34/smpp34.h").exists()
    return "" if there else "libsmpp34-dev, or a C compiler, is not installed"


@cache
def _compiled(folder: Path) -> Path:
    program = folder / "libsmpp34"
    source = HERE / "libsmpp34.c"
    subprocess.run(["cc", "-O1", "-Wall", "-o", program, source, "-lsmpp34"], check=True, timeout=60)
    return program


def kinds(folder: Path) -> dict[str, Kind]:
    """By name; programs that must be built are, into ``folder``, when they are first called."""
    return {
        kind.name: kind
        for kind in (
            Kind("Net::SMPP", _perl, lambda: ["perl", HERE / "net_smpp.pl"]),
            Kind("libsmpp34", _libsmpp34, lambda: [_compiled(folder)]),
            Kind("smpp.pdu3", lambda: "", lambda: [sys.executable, HERE / "smpp_pdu3.py"], payloads=False),
            Kind("smpp34", lambda: "", lambda: [sys.executable, HERE / "smpp34_rust.py"], queries=False),
        )
    }


NAMES = tuple(kinds(HERE))


class Foreign:
    """A peer that runs, and all that it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[Line] = []
        self._said = asyncio.Condition()
        self._sequence = 0

    async def listen(self) -> None:
        """Take in what it says until it ends."""
        assert self.process.stdout is not None
        async for octets in self.process.stdout:
            name, *words = octets.decode("latin-1").split()
            async with self._said:
                self.lines.append({"name": name} | dict(word.split("=", 1) for word in words))
                self._said.notify_all()

    def heard(self, name: str) -> list[Line]:
        return [line for line in self.lines if line["name"] == name]

    async def until(self, name: str, n: int = 1, within: float = 60.0) -> list[Line]:
        """All lines of that name, when there are so many."""
        try:
            async with asyncio.timeout(within), self._said:
                await self._said.wait_for(lambda: len(self.heard(name)) >= n)
        except TimeoutError:
            raise AssertionError(f"no {n} {name} within {within} s; it said {self.lines[-20:]}") from None
        return self.heard(name)

    def tell(self, name: str, **fields: str | int | bytes) -> int:
        """Have it send a request; its sequence number."""
        self._sequence += 1
        words = [name, *(() if name == "refuse" else (f"seq={self._sequence}",))]
        words += [f"{k}={v.hex() if isinstance(v, bytes) else v}" for k, v in fields.items()]
        assert self.process.stdin is not None
        self.process.stdin.write((" ".join(words) + "\n").encode())
        return self._sequence

    async def ask(self, name: str, **fields: str | int | bytes) -> Line:
        """Have it send a request, and wait for the answer as it has read it."""
        sequence = str(self.tell(name, **fields))
        answers = f"{name}_resp"
        for n in range(1, 10_000):
            for line in await self.until(answers, n):
                if line["seq"] == sequence:
                    return line
        raise AssertionError("unreachable")


@contextlib.asynccontextmanager
async def foreign(kind: Kind, role: str, port: int = 0) -> AsyncIterator[Foreign]:
    """A peer in one of its roles; skips the test where its library is not."""
    if kind.missing():
        pytest.skip(f"{kind.missing()}: {kind.name} has not spoken with us")
    process = await asyncio.create_subprocess_exec(
        *kind.command(), role, str(port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    peer = Foreign(process)
    listening = spawn(peer.listen(), name=kind.name)
    try:
        await peer.until("listening" if role == "smsc" else "connected")
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await cancel(listening)
