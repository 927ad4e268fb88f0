"""The sender of one channel: claim, submit, outcome.

It claims whole messages ahead of window and rate, so that the carrier never waits for a commit.
Before parts are handed to the transport their WRITE record is in the journal; what was claimed and never written goes
back when the channel stops or its carrier falls silent.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog

from smsgw.channels.claims import Claims
from smsgw.channels.intake import Intake
from smsgw.channels.ready import Ready
from smsgw.channels.services import Services
from smsgw.channels.transport import Request, Source, Transport
from smsgw.core.model import ChannelSpec, Claimed, Inbound, Lane, Outcome, OutcomeKind, Report
from smsgw.core.pacing import Pacer
from smsgw.core.throttling import Throttling
from smsgw.pipeline.fleet import Queue
from smsgw.runtime import aio, clock, failpoints
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import CONFLICT, OUTAGE
from smsgw.store.engine.leases import Lease
from smsgw.store.messages.calls import Fence

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

POLL = 0.5
"""Seconds between looks for work that nobody has announced: other nodes' messages, deferred parts come due."""
RELEASE_AFTER = 2.0
"""Claimed parts of a channel without a bound connection go back to the pool after this many seconds."""
STALLED_AFTER = 3.0
"""A carrier that answers nothing for so long gets no claims ahead; what is not written yet goes to its neighbours."""
URGENT_FOR = 60.0
"""Seconds for which a reserve of the window is kept after an emergency message: more of them will come."""
AHEAD = 0.25
"""Seconds of a limited rate that are claimed ahead: a slow channel does not sit on much."""
WINDOWS_AHEAD = 2
"""And at most so many windows: when a node is lost for good, what it had claimed is unknown."""
JOURNAL_PAUSE = 1.0
"""Seconds until the next try when the journal cannot be written."""


class Dispatcher:
    """Runs from ``start`` to ``stop``; it is the ``transport.Traffic`` of the channel."""

    def __init__(self, spec: ChannelSpec, lease: Lease, claims: Claims, services: Services) -> None:
        self.spec = spec
        self.lease = lease
        self.transport: Transport
        """Given by the channel before ``start``."""
        self._claims = claims
        self._intake = Intake(services.outcomes)
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._ready = Ready()
        self.pacer = Pacer(spec.rate, time.monotonic())
        self.throttling = Throttling()
        self._paused_until = 0.0
        self._answered_at = self._loop.time()
        """When the carrier last answered, or had nothing to answer."""
        self._wary = False
        """Less is claimed than there would be room for: the carrier has not answered lately."""
        self._urgent_until = float("-inf")
        self._pump_timer: asyncio.TimerHandle | None = None
        self._pump_due = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._entering: asyncio.Task[None] | None = None
        """Waits for what is being entered as claimed, when it stops."""
        self._looked_at = float("-inf")
        self._stopping = False
        self._per_second: deque[tuple[int, int]] = deque(maxlen=8)

    # --- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Claim, and submit."""
        self._task = aio.spawn(self._run(), name=f"dispatch.{self.spec.name}")

    def stop(self) -> list[asyncio.Future[None]]:
        """Write nothing more and give back what was not written; done when no claim is under way.

        A claim that is under way ends by itself and gives back; cut short, it might be committed behind our back.
        So it is with what is being entered as claimed.
        """
        self._stopping = True
        self._wake.set()
        self.give_back()
        self._entering = aio.spawn(self._claims.all_entered(), name=f"entering.{self.spec.name}")
        return [self._entering, *([self._task] if self._task is not None else [])]

    async def end(self) -> None:
        """Whatever is still going on is cut short."""
        await aio.cancel(self._task)
        await aio.cancel(self._entering)
        self.give_back()
        if self._pump_timer is not None:
            self._pump_timer.cancel()
        self._claims.drop()

    def change(self, spec: ChannelSpec) -> None:
        """Follow a change of rate, window or desired state."""
        self.spec = spec
        self.pacer.set_limit(spec.rate, time.monotonic())
        if self._pump_timer is not None:  # what it waits for has changed
            self._pump_timer.cancel()
            self._pump_timer = None
        if self.draining:
            self.give_back()
        self.look_everywhere()

    # --- what others may know ----------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether claimed parts wait to be written."""
        return bool(self._ready)

    @property
    def draining(self) -> bool:
        """Writes nothing new; what it has written is still answered and reported."""
        return self.spec.desired != "started"

    @property
    def delivered_at(self) -> float:
        """When the last report of a delivery came."""
        return self._intake.delivered_at

    @property
    def rate_now(self) -> float:
        """Submits per second lately."""
        now = int(self._loop.time())
        return sum(n for second, n in self._per_second if now - 5 <= second < now) / 5

    @property
    def slowed_to(self) -> float | None:
        """Submits per second that the carrier lets through now; None: all that the channel's rate allows."""
        return self.pacer.rate if self.pacer.slowed else None

    def stalled(self) -> bool:
        """Whether the carrier has answered nothing for a while, of what is out or, where that is given up, was."""
        if not self.transport.outstanding and not self.transport.doubted:
            self._answered_at = self._loop.time()
        return self._loop.time() - self._answered_at > STALLED_AFTER

    def has_room(self) -> bool:
        """Could write a part at once."""
        now = time.monotonic()
        return (
            now >= self._paused_until
            and self.pacer.next_at(now) <= now
            and (self.transport.asleep > 0 or self.transport.room > 0)
        )

    # --- news --------------------------------------------------------------------------------------------------

    def look_everywhere(self) -> None:
        """There may be work in any queue."""
        self._claims.look_everywhere()
        self._wake.set()

    def wake(self) -> None:
        """There is work."""
        self._wake.set()

    def on_change(self) -> None:
        """``transport.Traffic``: there may be somewhere to send now."""
        self.look_everywhere()

    def on_room(self) -> None:
        """``transport.Traffic``: a connection takes octets again."""
        self._pump()

    # --- claim -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """The claim loop: woken by news, or looks by itself every ``POLL`` seconds."""
        backoff = aio.Backoff(0.1, 2.0)
        while not self._stopping:
            try:
                async with asyncio.timeout(POLL):
                    await self._wake.wait()
            except TimeoutError:
                due = True
            else:
                # News comes, and each tells of its own queue: of what others have queued there is none.
                due = not self._claims.waits and self._loop.time() - self._looked_at >= POLL
            if due:
                self._claims.look_everywhere()
                self._looked_at = self._loop.time()
            self._wake.clear()
            try:
                self._tend()
                await self._claims.look_after(self._ready)
                if (pause := self._claims.pause) > 0:
                    await asyncio.sleep(pause)
                while await self._claim_some():
                    pass
            except (*OUTAGE, *CONFLICT) as exc:
                log.warning("claim.failed", channel=self.spec.name, error=type(exc).__name__)
            except Exception:  # without its dispatcher a channel would stand still unnoticed
                log.exception("claim.failed", channel=self.spec.name)
            else:
                backoff.reset()
                continue
            self._claims.drop()
            self.look_everywhere()
            if not self._stopping:
                await asyncio.sleep(backoff.next())

    def _tend(self) -> None:
        """Things to look at now and then."""
        lost_at = self.transport.unbound_since
        stalled = self.stalled() and not self.transport.trial_due
        if stalled or (lost_at is not None and self._loop.time() - lost_at > RELEASE_AFTER):
            self.give_back()
        self._pump()

    async def _claim_some(self) -> bool:
        """Claim what there is room for; whether there may be more."""
        room, urgent = self._room()
        if room <= 0:
            return False
        trial = self.transport.doubted
        claimed = await self._claims.take(room, urgent=urgent, in_hand=self._ready, trial=trial)
        if not claimed:
            if self.transport.doubted and not self.transport.tried_in_vain:
                # One answer was lost, and there is nothing to try it with: that alone is no carrier that is silent.
                self._answered_at = self._loop.time()
            return False
        failpoints.reach("claim.committed")
        return self._take_up(claimed)

    def _take_up(self, claimed: list[Claimed]) -> bool:
        """Parts are claimed, and that is committed; False when nothing is to be written any more, and they go back."""
        self._ready.add(claimed)
        self.set_aside()
        if any(part.lane == Lane.EMERGENCY for part in claimed):
            self._urgent_until = self._loop.time() + URGENT_FOR
        if self._stopping or self.draining:
            self.give_back()
            return False
        self._pump()
        return True

    def offer(self, queue: Queue, account_id: int, parts: int) -> float | None:
        """``Running``: it has nothing to do, and room for so many parts."""
        had = self._claims.offer(queue, account_id)
        if had is None or self.transport.doubted or time.monotonic() < self._paused_until:
            return None
        room, urgent = self._room()
        return had if parts <= room and not urgent else None

    def reserve(self, message: Sequence[Claimed]) -> Fence:
        """``Running``: keep room for it."""
        return self._claims.reserve(message)

    def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
        """``Running``: this much of it is claimed, and that is committed. From here on it is as after a claim."""
        self._claims.entered(reserved, claimed)
        if claimed:
            self._take_up(sorted(claimed, key=lambda part: (part.lane, part.id, part.part)))
        if len(claimed) < len(reserved):
            self._wake.set()  # room was kept for nothing

    def in_doubt(self, reserved: Sequence[Claimed]) -> None:
        """``Running``: it is in nobody's hand, and may be claimed."""
        self._claims.in_doubt(reserved)
        self._wake.set()

    def _room(self) -> tuple[int, bool]:
        """Parts that may be claimed now, and whether only emergency ones.

        Taken in halves of what may be ahead, so that a claim carries many; emergency messages find room (their
        reserve) though others have taken all of it.
        """
        if (
            not self.transport.reachable
            or self._stopping
            or self.draining
            or not self.lease.still_mine()
            or self._services.outcomes.full
        ):
            return 0, False
        if self.transport.doubted:
            self._wary = True
            in_hand = self._ready or self._claims.entering
            return int(self.transport.trial_due and not in_hand), False
        if self.stalled():
            return 0, False
        ahead = self._ahead()
        room = ahead - len(self._ready) - self._claims.entering
        if room * 2 >= ahead:
            return room, False
        if not self._claims.emergency:
            return 0, False
        return max(1, self._reserve()) - self._ready.urgent, True

    def _ahead(self) -> int:
        """Parts that may be claimed and not written: a window, or where the rate holds the channel back, its work of
        a moment, so that a commit that takes long costs none of it (a second that was not full is not made up for)."""
        window = self.transport.window or self.spec.window
        if not self.spec.rate:
            return window
        return max(1, min(WINDOWS_AHEAD * window, int(self.pacer.rate * AHEAD)))

    def _reserve(self) -> int:
        """Places of the window that are for emergency messages; of what can be used of it, where connections are in
        doubt."""
        usable = min(self.transport.window, self.transport.room + self.transport.window_used)
        return usable * self._services.snapshots.current.settings.emergency_reserve // 100

    def give_back(self) -> None:
        """Return claimed parts that were never written: whole messages to the pool, others stay with the channel."""
        if not self._ready:
            return
        log.info("channel.gave_back", channel=self.spec.name, parts=len(self._ready))
        self._services.fleet.comes_back({claimed.pool_id for claimed in self._ready})
        self._services.outcomes.unsent([_unsent(claimed) for claimed in self._ready.clear()])
        self._claims.deferred_in(0.0)

    def set_aside(self) -> None:
        """Return what is in hand of accounts that are stopped; it is held where it goes."""
        if (halted := self._services.halted) and (aside := self._ready.remove(halted)):
            self._services.outcomes.unsent([_unsent(claimed) for claimed in aside])

    # --- write -------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Submit ready parts, as far as window, rate and lease allow. Journal first, then the transport."""
        if not self._ready or self._stopping:
            return
        now = time.monotonic()
        if now < self._paused_until:
            self._pump_at(self._paused_until)
            return
        if not self.lease.still_mine():
            return
        free = self.transport.room
        if free < len(self._ready):
            self.transport.call()
        budget = min(free, len(self._ready))
        if now < self._urgent_until and not self.transport.doubted:
            budget = min(budget, max(self._ready.urgent, free - self._reserve()))
        if self._pump_timer is not None and now < self._pump_due:
            return  # the rate is waited for; until then each answer would bring a write of one submit
        if budget:
            granted = self.pacer.take(now, budget)
            if granted < budget:
                self._pump_at(self.pacer.next_at(now, budget - granted))
            budget = granted
        if not budget:
            return
        self._write(self._ready.take(budget), now)
        self.pacer.wrote(time.monotonic(), budget)
        if len(self._ready) * 2 <= self._ahead():
            self._wake.set()

    def _write(self, batch: list[Claimed], now: float) -> None:
        """Write the parts; the transport has room for all of them."""
        wall = clock.now()
        refused: list[Outcome] = []
        unsent: list[Claimed] = []
        prepared: list[tuple[Claimed, Request]] = []
        for claimed in batch:
            if claimed.valid_until is not None and claimed.valid_until <= wall:
                unsent.append(claimed)  # becomes EXPIRED
                continue
            try:
                prepared.append((claimed, self.transport.prepare(claimed)))
            except ValueError as exc:
                refused.append(self._unencodable(claimed, exc))
        try:
            self._services.journal.write([claimed.key for claimed, _ in prepared])
            failpoints.reach("dispatch.recorded")
        except OSError as exc:
            log.error("journal.failed", channel=self.spec.name, error=str(exc))
            self._ready.put_back([claimed for claimed, _ in prepared])
            prepared = []
            self._paused_until = now + JOURNAL_PAUSE
            self._pump_at(self._paused_until)
        if not self.lease.still_mine():  # the disk, or whoever has stopped this process, has taken its time
            unsent += [claimed for claimed, _ in prepared]
            prepared = []
        submitted = self.transport.submit(prepared, now)
        refused += [self._unencodable(claimed, exc) for claimed, exc in submitted.refused]
        unsent += submitted.unsent
        if submitted.named:  # still before the first octet is written
            self._services.journal.name(submitted.named)
        self.transport.flush(self.lease.still_mine)
        failpoints.reach("dispatch.written")
        self._count(int(now), len(prepared))
        if refused:
            self._services.outcomes.answered(refused, self.spec.unknown_policy)
        if unsent:
            self._services.outcomes.unsent([_unsent(claimed) for claimed in unsent])

    def _unencodable(self, claimed: Claimed, exc: ValueError) -> Outcome:
        name = self.spec.name
        sparing.error("part.unencodable", name, channel=name, id=str(claimed.id), error=str(exc))
        return Outcome(*claimed.key, OutcomeKind.REFUSED, code="UNENCODABLE", cls="CHANNEL")

    def _pump_at(self, when: float) -> None:
        """Pump again at that time, or before."""
        if self._pump_timer is not None:
            if self._pump_due <= when:
                return
            self._pump_timer.cancel()
        self._pump_due = when
        self._pump_timer = self._loop.call_at(max(when, self._loop.time()), self._pump_now)

    def _pump_now(self) -> None:
        self._pump_timer = None
        self._pump()

    def _count(self, second: int, n: int) -> None:
        if self._per_second and self._per_second[-1][0] == second:
            n += self._per_second.pop()[1]
        self._per_second.append((second, n))

    # --- outcome -----------------------------------------------------------------------------------------------

    def on_answers(self, outcomes: list[Outcome]) -> None:
        """``transport.Traffic``: the carrier has answered."""
        self._answered_at = self._loop.time()
        if self._wary:
            self._wary = False
            self.look_everywhere()
        too_fast = 0
        for outcome in outcomes:
            if outcome.kind is OutcomeKind.DEFERRED:
                self._claims.deferred_in(outcome.delay)
            if outcome.cls == "FREQ_CARRIER":
                too_fast += 1
        taken = len(outcomes) - too_fast
        self.pacer.answered(time.monotonic(), taken, too_fast)
        if too_fast or self.throttling.open:
            self.throttling.answered(clock.now(), taken, too_fast, self.spec.rate, self.slowed_to)
        self._deliver(outcomes)

    def on_lost(self, outcomes: list[Outcome]) -> None:
        """``transport.Traffic``: there will be no answer."""
        self._deliver(outcomes)

    def _deliver(self, outcomes: list[Outcome]) -> None:
        failpoints.reach("answer.read")
        self._services.outcomes.answered(outcomes, self.spec.unknown_policy)
        self._pump()

    def on_incoming(self, incoming: Report | Inbound, source: Source) -> asyncio.Future[Any]:
        """``transport.Traffic``: a report, or a message from a phone."""
        return self._intake.take(incoming, source)


def _unsent(claimed: Claimed) -> Outcome:
    return Outcome(*claimed.key, OutcomeKind.UNSENT)
