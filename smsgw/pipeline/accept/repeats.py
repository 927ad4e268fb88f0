"""Repeated calls: one set of messages and one answer for each Idempotency-Key, however often and when it is repeated.

The database decides (the key is stored in the transaction of the messages). Here is what lies around that: repeats that
come while the first call is under way, and repeats that would be refused today although the first was accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from smsgw.core.errors import Invalid, SmsgwError, Temporary

PATIENCE = 1.0
"""Seconds that a repeat waits for the call under way before it is told to come again."""


class Repeatable(Protocol):
    """What is known of a call."""

    @property
    def idempotency_key(self) -> str | None:
        """The caller's key."""

    @property
    def request_sha256(self) -> bytes:
        """Whether a repeat is one."""


R = TypeVar("R")
Recall = Callable[[str, str], Awaitable[tuple[bytes, bytes] | None]]
"""(kind, key) -> hash of the request and the answer that are stored."""


class Repeats(Generic[R]):
    """The calls of a node that are under way, by account and key. As many as there are callers, no more."""

    def __init__(self, again: Callable[[R], R]) -> None:
        self._again = again
        """Makes of an answer one that was given before."""
        self._running: dict[tuple[int, str], tuple[bytes, asyncio.Future[R | None]]] = {}

    async def once(
        self, account_id: int, request: Repeatable, send: Callable[[], Awaitable[R]], stored: Callable[[R], bool]
    ) -> R:
        """``send``, unless a call with the same key is under way: then its answer, once it has one.

        Raises ``IDEMPOTENCY_IN_PROGRESS`` when that takes too long, ``IDEMPOTENCY_MISMATCH`` when that was another
        request. ``stored``: whether an answer has taken the key (nothing has, where every recipient failed).
        """
        if request.idempotency_key is None:
            return await send()
        key = account_id, request.idempotency_key
        while (running := self._running.get(key)) is not None:
            sha256, ended = running
            done, _ = await asyncio.wait({ended}, timeout=PATIENCE)
            if not done:
                raise Temporary("IDEMPOTENCY_IN_PROGRESS", retry_after=1)
            first = ended.result()
            if first is None:  # refused: the key is free
                continue
            if sha256 != request.request_sha256:
                raise Invalid("IDEMPOTENCY_MISMATCH")
            return self._again(first)
        future: asyncio.Future[R | None] = asyncio.get_running_loop().create_future()
        self._running[key] = request.request_sha256, future
        result: R | None = None
        try:
            answer = await send()
            result = answer if stored(answer) else None
            return answer
        finally:
            del self._running[key]
            future.set_result(result)


async def recalled(request: Repeatable, client_ref: str, recall: Recall, refusal: SmsgwError) -> bytes:
    """The stored answer to a call that would be refused now (stopped account, no channel, …) and is a repeat of one
    that was accepted; raises the refusal when it is none."""
    for kind, key in (("k", request.idempotency_key), ("r", client_ref)):
        if key:
            found = await recall(kind, key)
            if found is not None and found[1] and found[0] == request.request_sha256:
                return found[1]
    raise refusal
