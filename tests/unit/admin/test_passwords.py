"""Passwords are checked outside of the daemon's interpreter, whatever becomes of the processes that do it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import argon2
import pytest
import pytest_asyncio
from argon2.exceptions import VerifyMismatchError

from smsgw.admin import hashing
from smsgw.admin.passwords import Passwords
from smsgw.admin.turns import Rank
from smsgw.core.errors import SmsgwError
from smsgw.runtime import aio, programs

STORED = hashing.hash_password("Right-Horse-7")


@pytest_asyncio.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords()
    yield made
    await made.stop()


async def test_what_was_hashed_fits_and_nothing_else(passwords: Passwords) -> None:
    stored = await passwords.hash("Right-Horse-7")
    assert await passwords.verify(stored, "Right-Horse-7")
    for hash_, typed in ((stored, "right-horse-7"), ("no hash at all", "x"), (stored, "\ud800\n"), (None, "x")):
        assert not await passwords.verify(hash_, typed)


async def test_many_at_once_take_no_thread_and_two_processes(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    begin = programs.begin

    async def counted(name: str) -> asyncio.subprocess.Process:
        begun.append(await begin(name))
        return begun[-1]  # type: ignore[return-value]

    def here(*_: object) -> bool:
        raise AssertionError("computed in the daemon")

    async def one(n: int) -> bool:
        async with passwords.turn(f"user{n}", Rank.STRANGER):
            return await passwords.verify(STORED, "Right-Horse-7" if n % 2 else "wrong")

    monkeypatch.setattr(programs, "begin", counted)
    monkeypatch.setattr(hashing, "verify_password", here)
    threads = threading.active_count()
    assert await asyncio.gather(*(one(n) for n in range(12))) == [bool(n % 2) for n in range(12)]
    assert threading.active_count() <= threads + 2, "the event loop's own, that wait for its children"
    assert len(begun) == 2


async def test_a_killed_process_and_one_who_gives_up_leave_nothing(passwords: Passwords) -> None:
    assert await passwords.verify(STORED, "Right-Horse-7")
    (process,) = passwords._idle
    process.kill()
    assert await passwords.verify(STORED, "Right-Horse-7")
    assert passwords._idle != [process]
    assert await passwords.verify(STORED, "Right-Horse-7")
    asking = aio.spawn(passwords.verify(STORED, "Right-Horse-7"), name="asking")
    await asyncio.sleep(0)  # the job is written
    await aio.cancel(asking)
    assert not await passwords.verify(STORED, "wrong")


async def test_without_a_process_nobody_is_wrong(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_: str) -> asyncio.subprocess.Process:
        raise BlockingIOError

    monkeypatch.setattr(programs, "begin", none)
    with pytest.raises(SmsgwError) as failed:
        await passwords.verify(STORED, "Right-Horse-7")
    assert failed.value.code == "BACKPRESSURE"


def test_nobodys_hash_takes_the_same_work_and_fits_nothing() -> None:
    nobody = hashing.nobodys_hash()
    assert argon2.extract_parameters(nobody) == argon2.extract_parameters(STORED)
    with pytest.raises(VerifyMismatchError):  # it was worked out and differs: it is no broken hash
        argon2.PasswordHasher().verify(nobody, "")
    assert nobody != hashing.nobodys_hash()
