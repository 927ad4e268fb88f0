"""A way from node to node through Redis: words that are published, and nothing that is kept (docs/adr/090).

A word that does not get through is lost: whoever waits for one does without. Nobody waits for Redis: words are put into
a short queue, and a task of its own sends them, each within ``BUDGET``. What takes longer, or fails, ends the
connection; until there is another one (asked for every ``AGAIN`` seconds) words are dropped where they arise. A
connection is believed when an echo has come back, and while echoes do; it is the end of an outage when it has held for
``STEADY``. With Sentinel the master is asked for anew with each connection, and every ``LOOK`` seconds whether it still
is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from smsgw.core.rates import Meter
from smsgw.runtime import aio
from smsgw.runtime.config import RedisConfig, redis_server, split_address
from smsgw.runtime.rate_limited_logger import RateLimitedLogger

sparing = RateLimitedLogger(structlog.get_logger(__name__))

BUDGET = 0.5
"""Seconds for a word, and for the first echo."""
CONNECT = 1.0
"""Seconds for a connection, and for a sentinel's answer."""
AGAIN = 0.5
LOOK = 1.0
SILENCE = 3.0
"""Seconds without an echo, of which one is asked for with every look, after which the connection is not believed."""
STEADY = 3.0
WAITING = 256
"""Words that wait to be sent; older ones go."""
LONGEST = 256 * 1024
"""Octets of a word."""
MOST = 2000
"""Words a second, longer ones in pieces of 4 KiB: many times what nodes say. Somebody else says what is beyond, and is
not listened to."""
_ECHO = b"\0"
"""Begins what only he who said it hears."""
_ERRORS = (RedisError, OSError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a sentinel says; of one that does not answer, that."""

    sentinel: str
    problem: str = ""
    master: str = ""
    state: str = ""
    """``up``, ``down`` (it alone finds so) or ``gone`` (they agree)."""
    replicas: int = 0
    sentinels: int = 0
    """That it knows, itself among them."""
    quorum: int = 0


class Bus:
    """One a node. ``hear`` is called with each word on ``topic``, our own included; it must be quick."""

    def __init__(self, config: RedisConfig, topic: str, hear: Callable[[bytes], None]) -> None:
        self._config = config
        self._topic = topic
        self._hear = hear
        self._waiting: deque[bytes] = deque(maxlen=WAITING)
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._away_since: float | None = None
        self._unanswered = 0
        self._over = False
        self._echo = _ECHO + os.urandom(16)
        self._meter = Meter()
        self.server = ""
        """Where words go now; empty: nowhere."""
        self.problem = ""
        """Why there was no connection the last time."""
        self.seen: Sequence[Seen] = ()
        """What the sentinels said last."""
        self.sent = self.dropped = self.connects = 0

    async def start(self) -> None:
        """Begin, and do not wait for Redis."""
        self._away_since = time.monotonic()
        self._tasks.append(aio.spawn(self._run(), name="bus"))
        if self._config.sentinels:
            self._tasks.append(aio.spawn(self._watch(), name="bus.sentinels"))

    async def stop(self) -> None:
        """Say nothing more."""
        self._over = True
        await aio.cancel(*self._tasks)
        self._tasks.clear()

    @property
    def up(self) -> bool:
        """Words go out."""
        return bool(self.server)

    @property
    def busy(self) -> bool:
        """Words wait to go out: what can be gathered better is."""
        return bool(self._waiting)

    @property
    def away(self) -> float:
        """Seconds for which they did not, or not for long."""
        return 0.0 if self._away_since is None else time.monotonic() - self._away_since

    def say(self, word: bytes) -> None:
        """Send a word to all, or drop it."""
        if not self.up or len(word) > LONGEST:
            self.dropped += 1
            return
        self._waiting.append(word)
        self._wake.set()

    # --- the connection ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._over:  # a cancellation that meets an answer is lost in the client
            try:
                await self._connected()
            except _ERRORS as exc:
                self.problem = f"{type(exc).__name__}: {exc}"[:200].rstrip(": ")
            self._down()
            sparing.warning("redis.away", self._topic, problem=self.problem)
            await asyncio.sleep(AGAIN)

    def _down(self) -> None:
        self.server = ""
        self._waiting.clear()
        self._wake.set()
        if self._away_since is None:
            self._away_since = time.monotonic()

    async def _connected(self) -> None:
        """Until something fails, which it raises."""
        client, server = await self._client()
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        try:
            async with aio.timeout(2 * CONNECT):  # one that hears, and one that says
                await pubsub.subscribe(self._topic)
                if (await client.role())[0] not in (b"master", "master"):
                    raise ConnectionError(f"{server} is no master")
            self._meter = Meter()
            async with aio.timeout(BUDGET):
                await self._echoed(client, pubsub)
            self.server, self.connects = server, self.connects + 1
            sparing.info("redis.connected", self._topic, server=server, after=round(self.away, 1))
            parts = (self._send(client), self._read(pubsub), self._hold())
            working = [aio.spawn(_problem_of(one), name="bus.part") for one in parts]
            try:
                done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                raise done.pop().result()
            finally:
                self._down()  # whatever the rest takes
                await aio.cancel(*working)
        finally:
            await _close(pubsub, client)

    async def _client(self) -> tuple[Redis, str]:
        config = self._config
        if config.url:
            return Redis.from_url(config.url, **_patience()), redis_server(config.url)
        for seen in await self._ask():
            if seen.master:
                host, port = split_address(seen.master)
                login = _login(config.username, config.password)
                return Redis(host=host, port=port, **_patience(), **login), seen.master
        raise ConnectionError("no sentinel names a master")

    async def _echoed(self, client: Redis, pubsub: PubSub) -> None:
        """What we say comes back."""
        self._unanswered = 1
        await client.publish(self._topic, self._echo)
        while self._unanswered:
            self._take(await pubsub.get_message(timeout=BUDGET))

    async def _send(self, client: Redis) -> None:
        while self.up:  # here, too
            while self._waiting:
                async with aio.timeout(BUDGET):
                    await client.publish(self._topic, self._waiting[0])
                self.sent += 1
                if self._waiting:
                    self._waiting.popleft()
            await self._wake.wait()
            self._wake.clear()

    async def _read(self, pubsub: PubSub) -> None:
        while self.up:
            self._take(await pubsub.get_message(timeout=SILENCE))

    def _take(self, message: Mapping[str, Any] | None) -> None:
        if message is None or not isinstance(word := message.get("data"), bytes):
            return
        if self._meter.take(MOST, time.monotonic(), 1 + len(word) // 4096) or len(word) > LONGEST:
            raise ConnectionError("somebody says more than nodes do")
        if word == self._echo:
            self._unanswered = 0
        elif not word.startswith(_ECHO):
            self._hear(word)

    async def _hold(self) -> None:
        """Whether it is still the one, and says back what we say."""
        since = time.monotonic()
        while self.up:
            self.say(self._echo)
            self._unanswered += 1
            await asyncio.sleep(LOOK)
            if self._unanswered * LOOK >= SILENCE:  # looks, not seconds: our own loop may have stood still
                raise ConnectionError(f"{self.server} says nothing")
            if time.monotonic() - since > STEADY:
                self._away_since, self.problem = None, ""
            masters = {seen.master for seen in self.seen if seen.master}
            if self._config.sentinels and masters and self.server not in masters:
                raise ConnectionError(f"{self.server} is the master no more")

    # --- sentinels ---------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await self._ask()
            await asyncio.sleep(LOOK)

    async def _ask(self) -> Sequence[Seen]:
        """All of them at once; those that name the master of most come first."""
        found = await asyncio.gather(*(self._ask_one(address) for address in self._config.sentinels))
        masters = [seen.master for seen in found if seen.master]
        self.seen = found
        return sorted(found, key=lambda seen: -masters.count(seen.master))

    async def _ask_one(self, address: str) -> Seen:
        host, port = split_address(address)
        client = Redis(host=host, port=port, **_patience(), **_login("", self._config.sentinel_password))
        try:
            async with asyncio.timeout(CONNECT):
                said: Any = await client.sentinel_master(self._config.master)
        except _ERRORS as exc:
            return Seen(address, problem=f"{type(exc).__name__}: {exc}"[:120])
        finally:
            await _close(client)
        flags = str(said.get("flags", "")).split(",")
        return Seen(
            address, "", f"{said['ip']}:{said['port']}",
            "gone" if "o_down" in flags else "down" if "s_down" in flags else "up",
            int(said.get("num-slaves", 0)), int(said.get("num-other-sentinels", 0)) + 1, int(said.get("quorum", 0)),
        )  # fmt: skip


async def _problem_of(part: Coroutine[Any, Any, None]) -> Exception:
    """What ends it."""
    try:
        await part
    except _ERRORS as exc:
        return exc
    return ConnectionError("it has ended")


async def _close(*all_: Redis | PubSub) -> None:
    """Whatever is cancelled meanwhile."""

    async def close() -> None:
        for one in all_:
            with contextlib.suppress(*_ERRORS):
                async with asyncio.timeout(CONNECT):
                    await one.aclose()

    closing = aio.spawn(close(), name="bus.close")
    while not closing.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(closing)


def _patience() -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT, "socket_timeout": SILENCE + 1, "client_name": "smsgw",
        "retry": Retry(NoBackoff(), 0),  # another connection is ours to make
    }  # fmt: skip


def _login(username: str, password: str) -> dict[str, Any]:
    return {"username": username or None, "password": password} if password else {}
