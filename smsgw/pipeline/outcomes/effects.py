"""Effects of a batch of outcomes: the steps that follow when parts and messages have ended, in their fixed order.

All of them run in the transaction that has changed the parts, each once a batch, whatever its size. A step finds what
there is in ``Effects`` and leaves there what those after it need; it may withhold the customer's report of a message
that has ended for its part only, as one does that has begun another attempt to reach the recipient.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Container, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from smsgw.core.model import Report
from smsgw.pipeline.outcomes.reattempt import Event
from smsgw.store.engine.cte_batch import Together
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import counters, inbound, outcomes
from smsgw.store.messages.inbound import Arrived
from smsgw.store.messages.outcomes import Ids


@dataclass(slots=True)
class Effects:
    """One batch: what it has changed, and what its steps have made of that."""

    connection: Connection
    """In the batch's transaction."""
    node: int
    ids: Ids
    callbacks: Container[int]
    """Accounts whose messages may have an address of their own for their reports."""
    optout_words: Collection[str]
    learn: Callable[[Sequence[Row], Sequence[Report]], None]
    """Notes what carriers' words say about numbers; never waits."""

    changed: list[Row] = field(default_factory=list)
    """Parts whose state has changed: final ones, and others."""
    retried: list[Row] = field(default_factory=list)
    """Parts that would have failed and are tried once more."""
    reports: list[Report] = field(default_factory=list)
    """As carriers have sent them."""
    arrived: list[Arrived] = field(default_factory=list)
    """Messages from phones."""
    trace: list[Event] = field(default_factory=list)
    """What was out of the ordinary."""

    final: list[Row] = field(default_factory=list)
    """Of ``changed``, the parts that are final now; without probes."""
    ended: dict[int, list[Row]] = field(default_factory=dict)
    """Messages that are final now, as all their parts are: id -> parts."""
    withheld: set[int] = field(default_factory=set)
    """Those of them whose end is not reported to the customer."""
    stored: list[Arrived] = field(default_factory=list)
    """Of ``arrived``, what had not come before."""
    told: dict[str, set[int]] = field(default_factory=lambda: {"report": set(), "mo": set()})
    """Accounts that have new events, by kind."""
    last: Together = field(default_factory=Together)
    """New rows that no step looks at: they are written with the last one's."""


# --- the steps ------------------------------------------------------------------------------------------------------


async def refund(effects: Effects) -> None:
    """Give back the price of parts that no carrier has taken, and of failed ones where that was promised."""
    effects.final = outcomes.final_parts(effects.changed)
    await outcomes.refund(effects.connection, effects.final)


async def find_ended(effects: Effects) -> None:
    """Find the messages of which these were the last parts."""
    effects.ended = await outcomes.ended_messages(effects.connection, effects.final)


async def report(effects: Effects) -> None:
    """Tell customers of the end of their messages."""
    ended = {id_: parts for id_, parts in effects.ended.items() if id_ not in effects.withheld}
    await outcomes.report(effects.connection, ended, effects.ids, effects.callbacks, along=effects.last)
    effects.told["report"] |= {parts[0]["account_id"] for parts in ended.values()}


async def store_replies(effects: Effects) -> None:
    """Store messages from phones, tell customers, and obey those that want no more."""
    told, effects.stored = await inbound.commit_inbound(
        effects.connection, effects.arrived, effects.ids, effects.optout_words
    )
    effects.told["mo"] |= told


async def learn(effects: Effects) -> None:
    """Learn which numbers are empty, and which are not."""
    effects.learn(effects.changed, effects.reports)


async def record_trace(effects: Effects) -> None:
    """Record what was out of the ordinary, for the trace of a message."""
    await outcomes.add_events(effects.connection, effects.trace)


async def count(effects: Effects) -> None:
    """Add to the counters of the minute, and write what was left for the end."""
    delta: counters.Delta = Counter()
    outcomes.count(effects.changed, delta)
    for row in effects.retried:
        delta[row["account_id"], row["channel_id"] or 0, "retried"] += 1
    for one in effects.stored:
        delta[one.account_id or 0, one.inbound.channel_id, "mo"] += one.inbound.concat_number == 1
    counters.add(effects.last, effects.node, +delta)
    await effects.last.run(effects.connection)


Step: TypeAlias = Callable[[Effects], Awaitable[None]]

STEPS: tuple[Step, ...] = (refund, find_ended, report, store_replies, learn, record_trace, count)
"""Accounts are locked before parts, and both before what is counted: nobody waits for another crosswise."""


async def follow_up(effects: Effects) -> None:
    """Take all steps. What one of them raises undoes the batch."""
    for step in STEPS:
        await step(effects)
