"""Channels that carry nothing are tried out: a message of our own to a number of ours, at an interval.

A login says that the gateway is there, not that it delivers. A channel with a ``probe_number`` in its profile that no
report of a delivery has come from for ``probe_interval`` seconds gets a probe; its end is the verdict, and a failure is
an alarm. Whoever owns the channel does it; the verdicts are in the database, for all nodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import structlog

from smsgw.channels.channel import Channel
from smsgw.core import numbers, text
from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.model import ChannelSpec
from smsgw.core.states import FINAL, PartState
from smsgw.core.words import phrase
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.messages import probing as store
from smsgw.store.messages.probing import Probe

log = structlog.get_logger(__name__)

VALID = timedelta(minutes=5)
"""A probe that was not written within this time says nothing."""
REPORT_PATIENCE = timedelta(minutes=10)
"""From the probe to its report."""
AGAIN_AFTER_FAILURE = 3600.0
"""Seconds until a channel that has failed is tried again, where the interval is longer."""


class Probing:
    """Of a node: makes probes for its channels, and judges them."""

    def __init__(self, database: Database, ids: IdSource, now: Callable[[], datetime] = clock.now) -> None:
        self._database = database
        self._ids = ids
        self._now = now
        self._last: dict[int, Probe] = {}

    async def follow(self) -> None:
        """Read the verdicts, those of other nodes' channels included."""
        self._last = await store.load(self._database)

    def verdict(self, spec: ChannelSpec) -> tuple[str, str]:
        """``ok``, ``failed`` or ``under way`` (the first one), and what there is to say; empty for those not probed."""
        probe = self._last.get(spec.id)
        if probe is None or not spec.profile.get("probe_number"):
            return "", ""
        if probe.ok is None:
            return "" if probe.judged else "under way", probe.detail
        return "ok" if probe.ok else "failed", probe.detail

    async def step(self, channels: Iterable[Channel]) -> None:
        """Judge what is under way, and try out what is due."""
        loop_time = asyncio.get_running_loop().time()
        for channel in channels:
            probe = self._last.get(channel.spec.id)
            if probe is not None and not probe.judged:
                await self._judge(channel, probe)
            elif self._due(channel, probe, loop_time):
                await self.send(channel, channel.profile.probe_number)
            elif probe is not None and probe.ok is False and loop_time - channel.delivered_at < self._age(probe):
                await self._enter(channel, probe, ok=True, detail="delivers again")

    def _age(self, probe: Probe) -> float:
        """Seconds since the verdict."""
        return (self._now() - (probe.judged_at or probe.sent_at)).total_seconds()

    def _due(self, channel: Channel, probe: Probe | None, loop_time: float) -> bool:
        profile = channel.profile
        if not profile.probe_number or not channel.healthy():
            return False
        if loop_time - channel.delivered_at < profile.probe_interval:
            return False
        if probe is None:
            return True
        failed = probe.ok is False
        wait = min(profile.probe_interval, AGAIN_AFTER_FAILURE) if failed else profile.probe_interval
        return (self._now() - probe.sent_at).total_seconds() >= wait

    async def send(self, channel: Channel, to: str) -> int:
        """Send a probe through the channel; its id. ``STATE_CONFLICT`` while one is under way."""
        now = self._now()
        number = numbers.normalize(to)
        content = f"{channel.profile.probe_text} {now.astimezone(CHINA):%H:%M:%S}"
        message_id = self._ids.next()
        async with self._database.transaction() as connection:
            made = await store.make(
                connection, channel_id=channel.spec.id, message_id=message_id, number=number,
                carrier=min(channel.spec.carriers, default=numbers.UNKNOWN), province="", content=content,
                coding=text.choose(content, (text.Coding.ASCII, text.Coding.UCS2)), now=now, expires=now + VALID,
            )  # fmt: skip
        if not made:
            raise Invalid("STATE_CONFLICT", reason=phrase("probe.under_way"))
        channel.look_for_deferred()
        log.info("channel.probed", channel=channel.spec.name, id=str(message_id))
        return message_id

    async def _judge(self, channel: Channel, probe: Probe) -> None:
        now = self._now()
        found = await store.state_of(self._database, probe.message_id)
        state, code = found or (PartState.NO_REPORT, "")
        if state in (PartState.QUEUED, PartState.DEFERRED) and now - probe.sent_at > VALID:
            state = PartState.EXPIRED if await store.expire(self._database, probe.message_id, now) else state
        if state is PartState.DELIVERED:
            await self._enter(channel, probe, ok=True, detail="")
        elif state is PartState.EXPIRED and code in ("", "EXPIRED"):
            await self._enter(channel, probe, ok=None, detail="not written")
        elif state in FINAL:
            await self._enter(channel, probe, ok=False, detail=f"{state.name.lower()} {code}".strip())
        elif now - probe.sent_at > REPORT_PATIENCE:
            await self._enter(channel, probe, ok=False, detail=f"no report in {REPORT_PATIENCE.seconds // 60} min")

    async def _enter(self, channel: Channel, probe: Probe, *, ok: bool | None, detail: str) -> None:
        await store.judge(self._database, probe, ok=ok, detail=detail, now=self._now())
        say = log.warning if ok is False else log.info
        say("channel.probe", channel=channel.spec.name, ok=ok, detail=detail)
