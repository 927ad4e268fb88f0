"""The provider of number look-ups, asked over HTTP (docs/numbers.md has the contract).

A call asks about at most fifty numbers, by their digits or by MD5 alone. It is signed: HMAC-SHA256 of the body. What is
asked again, because an answer or its commit was lost, comes with the same nonce, and is paid for once. Calls go where
webhooks may go at most: to public addresses, and to networks that the operator has allowed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from smsgw.core.errors import Refused, Temporary
from smsgw.core.number_state import NumberState, parse
from smsgw.core.push_format import Call
from smsgw.core.webhooks import Reach
from smsgw.core.words import phrase
from smsgw.pipeline.delivery.push_http import NotAllowed, Sender
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.secrets import Sealer

MOST = 50
"""Numbers of one call."""
TRIES = 3
"""Calls that may fail one after the other."""
PAUSE = 0.1
"""Seconds between two calls: at most ten a second."""
CONTEXT = "number_vendor"
"""Of the sealed secret."""
ABSENT = "absent"
"""The provider does not know the number (库无)."""
_GET = "SELECT url, app_id, secret_sealed, md5, price FROM number_vendor"


@dataclass(frozen=True, slots=True)
class Vendor:
    """Where and how the provider is asked. ``price`` of one number, in thousandths of a yuan."""

    url: str
    app_id: str
    secret: str
    md5: bool
    price: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What people see of it."""

    url: str
    app_id: str
    md5: bool
    price: int


async def offer(database: Database | Connection) -> Offer | None:
    """The provider as people see it; None: there is none."""
    row = await database.fetchrow(_GET)
    return None if row is None else Offer(row["url"], row["app_id"], row["md5"], row["price"])


async def load(database: Database, sealer: Sealer) -> Vendor | None:
    """The provider with its secret."""
    row = await database.fetchrow(_GET)
    if row is None:
        return None
    secret = sealer.open(row["secret_sealed"], CONTEXT)
    return Vendor(row["url"], row["app_id"], secret, row["md5"], row["price"])


def national(number: str) -> str:
    """The digits that the provider knows of a number of mainland China (E.164 digits); empty for others."""
    digits = number.removeprefix("86")
    return digits if len(number) == 13 and number.startswith("861") else ""


@dataclass(frozen=True, slots=True)
class Outside:
    """What may be called from this node, as for webhooks: networks, further authorities, and its own ports, which may
    not."""

    reach: Reach
    ca_file: str = ""
    own_ports: Collection[int] = ()


def nonce_of(vendor: Vendor, job_id: int, number: str) -> str:
    """Of the call of a job that begins with this number: the same over tries and restarts."""
    return hmac.new(vendor.secret.encode(), f"{job_id}:{number}".encode(), hashlib.sha256).hexdigest()[:16]


def body_of(vendor: Vendor, digits: Sequence[str], nonce: str) -> bytes:
    """What is sent."""
    asked = (
        {"md5": [hashlib.md5(one.encode(), usedforsecurity=False).hexdigest() for one in digits]}
        if vendor.md5
        else {"numbers": list(digits)}
    )
    said = {"app_id": vendor.app_id, "time": int(clock.time()), "nonce": nonce, **asked}
    return json.dumps(said).encode()


def signature(secret: str, body: bytes) -> str:
    """Header ``X-Signature``."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Asking:
    """Calls of one job; ``async with``."""

    def __init__(self, vendor: Vendor, outside: Outside) -> None:
        self._vendor = vendor
        self._reach = outside.reach
        self._sender = Sender(ca_file=outside.ca_file, own_ports=outside.own_ports)

    async def __aenter__(self) -> Asking:
        await self._sender.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._sender.stop()

    async def ask(self, numbers: Sequence[str], nonce: str) -> dict[str, str]:
        """States of numbers (E.164 digits, at most ``MOST``) that the provider has told: names of ``NumberState``, or
        ``ABSENT``. ``BACKPRESSURE`` when it cannot answer now; ``STATE_CONFLICT`` when it refuses us, or may not be
        called."""
        digits = {national(n): n for n in numbers if national(n)}
        if not digits:
            return {}
        known = digits
        if self._vendor.md5:
            known = {hashlib.md5(d.encode(), usedforsecurity=False).hexdigest(): n for d, n in digits.items()}
        for left in reversed(range(TRIES)):
            try:
                answer = await self._post(body_of(self._vendor, list(digits), nonce))
                return _read(answer, known)
            except Temporary:
                if not left:
                    raise
                await asyncio.sleep(1)
        return {}

    async def _post(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json", "X-Signature": signature(self._vendor.secret, body)}
        try:
            status, text = await self._sender.exchange(Call("POST", self._vendor.url, headers, body), self._reach)
        except NotAllowed as exc:
            raise Refused("STATE_CONFLICT", reason=phrase("vendor.not_allowed")) from exc
        except (TimeoutError, OSError) as exc:
            raise Temporary("BACKPRESSURE", retry_after=30, n=30) from exc
        if status in (401, 403):
            raise Refused("STATE_CONFLICT", reason=phrase("vendor.refused", status=status))
        if status != 200:
            raise Temporary("BACKPRESSURE", retry_after=30, n=30)
        try:
            return json.loads(text)
        except ValueError as exc:
            raise Temporary("BACKPRESSURE", retry_after=30, n=30) from exc


def _read(answer: Any, known: dict[str, str]) -> dict[str, str]:
    match answer:
        case {"code": 0, "items": list(items)}:
            pass
        case {"code": int(code)}:
            raise Refused("STATE_CONFLICT", reason=phrase("vendor.refused", status=code))
        case _:
            raise Temporary("BACKPRESSURE", retry_after=30, n=30)
    found: dict[str, str] = {}
    for item in items:
        if not isinstance(item, dict) or str(item.get("id")) not in known:
            continue
        number, said = known[str(item["id"])], str(item.get("state"))
        try:
            found[number] = ABSENT if said == "3" else NumberState(parse(said)).value
        except ValueError:
            continue
    return found
