"""The Idempotency-Key of calls that change something and send nothing: the first answer is kept, and given again.

Calls that send keep it in the transaction of what they store; here the key is taken before the call, and the answer
kept after it. A program that dies in between leaves a key without an answer: after ``kept_answers.ABANDONED`` a
repeat makes the call once more, which is safe for what these calls do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from smsgw.api import decode
from smsgw.api.context import Call
from smsgw.api.route import Route
from smsgw.core.errors import SmsgwError
from smsgw.pipeline.accept.kept_answers import KeptAnswers
from smsgw.pipeline.accept.repeats import Repeats


@dataclass(frozen=True, slots=True)
class _Request:
    idempotency_key: str
    request_sha256: bytes


class _Answer(msgspec.Struct, frozen=True):
    """What a repeat is answered. It is kept sealed: some answers hold a secret."""

    status: int
    data: msgspec.Raw
    replayed: bool = False


def _again(answer: _Answer) -> _Answer:
    return msgspec.structs.replace(answer, replayed=True)


class Repeating:
    """Makes a call once for each key."""

    def __init__(self, kept: KeptAnswers) -> None:
        self._kept = kept
        self._repeats = Repeats[_Answer](again=_again)

    async def handle(self, route: Route, call: Call) -> Any:
        """The handler's data, or what it answered the first time.

        Raises ``IDEMPOTENCY_IN_PROGRESS`` and ``IDEMPOTENCY_MISMATCH`` besides what the handler raises. A call that is
        refused leaves its key free.
        """
        key = decode.idempotency_key(call.request.headers.get("Idempotency-Key"))
        if key is None:
            return await route.handler(call)
        request = _Request(key, call.request_sha256)
        answer = await self._repeats.once(
            call.account.id, request, lambda: self._first(route, call, request), stored=lambda _: True
        )
        call.status = answer.status
        if answer.replayed:
            call.headers["Idempotent-Replayed"] = "true"
        return answer.data

    async def _first(self, route: Route, call: Call, request: _Request) -> _Answer:
        taken = await self._kept.take(call.account.id, request.idempotency_key, request.request_sha256)
        if isinstance(taken, str):
            return _again(msgspec.json.decode(taken, type=_Answer))
        try:
            data = await route.handler(call)
        except SmsgwError:
            await self._kept.release(taken)
            raise
        answer = _Answer(call.status or route.status, msgspec.Raw(msgspec.json.encode(data)))
        await self._kept.keep(taken, msgspec.json.encode(answer).decode())
        return answer
