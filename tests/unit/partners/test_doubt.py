"""Submits of a partner whose commit has had no answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smsgw.core.errors import Refused, SmsgwError, Temporary, Uncertain
from smsgw.partners.bind import Bind


class Acceptor:
    """One that says the same of every call."""

    def __init__(self, error: SmsgwError) -> None:
        self._error = error
        self.calls: list[int] = []

    async def send(self, request: Any) -> None:
        self.calls.append(len(request.items))
        raise self._error


async def offered(acceptor: Acceptor, n: int) -> list[SmsgwError]:
    known: list[SmsgwError] = []

    async def supervised(work: Any, requests: tuple[Any, ...]) -> None:
        try:
            await work
        except SmsgwError as error:
            known.extend([error] * len(requests))

    bind: Any = SimpleNamespace(
        _service=SimpleNamespace(acceptor=acceptor),
        _request=lambda account, order, items: SimpleNamespace(items=items),
        _supervised=supervised,
        _send=lambda account, entries: Bind._send(bind, account, entries),
    )
    order = SimpleNamespace(destinations=("13800000001",), replies=(SimpleNamespace(pack=lambda: b""),))
    entries: list[Any] = [(SimpleNamespace(), order, "text", "") for _ in range(n)]
    await supervised(Bind._send(bind, SimpleNamespace(), entries), tuple(entry[0] for entry in entries))
    return known


async def test_what_may_be_stored_is_not_offered_again_one_by_one() -> None:
    """By themselves they would be other messages, and go out beside the first ones."""
    acceptor = Acceptor(Uncertain("STORAGE_UNCERTAIN"))
    known = await offered(acceptor, 3)
    assert acceptor.calls == [3]
    assert [error.code for error in known] == ["STORAGE_UNCERTAIN"] * 3


@pytest.mark.parametrize("error", [Refused("BALANCE_INSUFFICIENT"), Temporary("STORAGE_UNAVAILABLE")])
async def test_what_is_not_stored_is_offered_one_by_one(error: SmsgwError) -> None:
    acceptor = Acceptor(error)
    known = await offered(acceptor, 3)
    assert acceptor.calls == [3, 1, 1, 1]
    assert [one.code for one in known] == [error.code] * 3
