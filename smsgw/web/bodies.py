"""Bodies in memory: for whom they are held, how many octets of them, and how fast they have to come."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

from aiohttp import ClientPayloadError, web

from smsgw.core.errors import Invalid, SmsgwError, Temporary
from smsgw.core.words import Phrase, phrase
from smsgw.runtime.fair_queue import FairQueue
from smsgw.runtime.pace import Pace
from smsgw.web import listening

MAX_BODY = 2 * 1024 * 1024
"""Octets of a body."""
OWN_SHARE = 16
"""One account may hold a sixteenth of the room, one address without a proven key as much of its own."""
STRANGERS_SHARE = 4
"""All that is not proven holds a quarter of it at most."""
SMALL = 64 * 1024
"""Octets of a body that needs no room until it is there: a connection that nobody reads holds as many. So whoever fills
the room of an address with large bodies does not keep others behind it from their messages."""
OWN_RATE = 16 * 1024 * 1024
"""Octets per second, beyond what comes with the headers, that an account can send, or an address without a proven key;
faster ones are read no faster, as every octet is work of the event loop."""
BURST = 1.0
"""Seconds of that rate which may come at once."""
PATIENCE = 30.0
"""Seconds that a body waits for room."""


class Bodies:
    """Room for all bodies in memory, from their first octet until their calls are answered."""

    def __init__(self, total: int) -> None:
        """``total``: octets."""
        own = max(MAX_BODY, total // OWN_SHARE)
        strangers = total // STRANGERS_SHARE
        self.proven = FairQueue(max(total - strangers, 2 * own), own, patience=PATIENCE, own_waiting=1000)
        """By account."""
        self.strangers = FairQueue(max(strangers, 2 * own), own, patience=PATIENCE, own_waiting=1000)
        """By address."""
        self.pace = Pace(OWN_RATE, BURST)
        """By owner."""


class Body:
    """One of them. ``leave`` gives its room back, and may be called at any time."""

    __slots__ = ("_of", "_size", "digest", "octets")

    def __init__(self) -> None:
        self.octets = b""
        self.digest = hashlib.sha256().digest()
        self._of: tuple[FairQueue, Hashable] | None = None
        self._size = 0

    async def read(self, request: web.Request, rooms: Bodies, places: FairQueue, owner: Hashable) -> None:
        """Fill it, with at most 2 MiB; nothing is read before there is room for all of it, but for what is small: that
        has room when it is moved.

        Raises ``BODY_TOO_LARGE`` as soon as the limit is passed (or announced), ``REQUEST_TIMEOUT``, ``BACKPRESSURE``,
        ``PARAM_INVALID`` for a compressed body: its size could not be known before it is unpacked.
        """
        size = request.content_length
        if (size or 0) > MAX_BODY:
            raise Invalid("BODY_TOO_LARGE")
        refuse_packed(request)
        content = request.content
        if content.is_eof():  # small bodies come with their headers
            octets = content.read_nowait()
            if len(octets) > MAX_BODY:
                raise Invalid("BODY_TOO_LARGE")
            self.octets, self.digest, self._size = octets, hashlib.sha256(octets).digest(), len(octets)
            return
        self._size = MAX_BODY if size is None else size
        if self._size > SMALL:
            await self.move(places, owner)
        chunks: list[bytes] = []
        came, sha256 = 0, hashlib.sha256()
        try:
            async for chunk in listening.body_of(content):
                came += len(chunk)
                if came > MAX_BODY:
                    raise Invalid("BODY_TOO_LARGE")
                await rooms.pace.pay(owner, len(chunk))
                chunks.append(chunk)
                sha256.update(chunk)  # as it comes: never milliseconds at a time
        except TimeoutError:
            raise too_slow() from None
        except (ClientPayloadError, web.RequestPayloadError) as exc:
            raise Invalid("JSON_INVALID") from exc
        self.octets, self.digest = b"".join(chunks), sha256.digest()

    async def move(self, places: FairQueue, owner: Hashable) -> None:
        """Let the owner answer for its room from now on. ``BACKPRESSURE``."""
        if self._size and self._of != (places, owner):
            await places.take(owner, self._size)
            self.leave()
            self._of = places, owner

    def leave(self) -> None:
        """Its room is somebody else's."""
        if self._of is not None:
            places, owner = self._of
            self._of = None
            places.give(owner, self._size)


def refuse_packed(request: web.Request) -> None:
    """``PARAM_INVALID`` for a compressed body."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise invalid("Content-Encoding", phrase("body.packed"))


def too_slow() -> SmsgwError:
    """The body did not come, or not fast enough."""
    return Temporary("REQUEST_TIMEOUT", n=max(1, round(listening.GRACE)))


def invalid(field: str, reason: Phrase) -> SmsgwError:
    """A part of the request that cannot be used."""
    return Invalid("PARAM_INVALID", field=field, reason=reason)
