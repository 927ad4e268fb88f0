"""Decides about definite failures, inside the transaction that stores them: again here, again elsewhere, or final."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf

import structlog

from smsgw.core import numbers as core_numbers
from smsgw.core.code_book import Meaning
from smsgw.core.model import PROBE_POOL, TEST_POOL, MessageType, Outcome, OutcomeKind, Report
from smsgw.core.numbers import CMCC, CTCC, CUCC
from smsgw.core.retry import NEVER, NEVER_RETRIED, Decision, Fault, RetryAction, decide
from smsgw.core.states import PartState
from smsgw.pipeline.routing import Router
from smsgw.pipeline.snapshot import Snapshots
from smsgw.store.config import numbers as numbers_store
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import reattempt as store
from smsgw.store.messages.outcomes import Answer, Unseen, accounted_for
from smsgw.store.messages.reattempt import Again

log = structlog.get_logger(__name__)

NOTHING_TAKEN = frozenset({Fault.THROTTLE, Fault.BUSY})
"""Refusals that cost nothing: their tries are counted in attempts, and do not use up those of other faults."""
UNLISTED_FOR = 600.0
"""Seconds for which a code that no table has is remembered."""
UNLISTED_MANY = 1000
"""So many of them are remembered."""

Event = tuple[int, datetime, int, str, str]


class Retrying:
    """Judges refusals and failed reports by the tables. One a node, used by the outcomes' writer."""

    def __init__(self, snapshots: Snapshots, router: Router) -> None:
        self._snapshots = snapshots
        self._router = router
        self._unlisted: dict[tuple[int, str], float] = {}
        """(channel id, code) -> when it was last met."""
        self.unlisted = 0
        """Codes met that no table has."""

    def _possible(self, fault: Fault) -> bool:
        """Whether any type of message is retried after this."""
        table = self._snapshots.current.retry
        return fault not in NEVER_RETRIED and any(
            table.get((fault, kind), NEVER).how is not RetryAction.NEVER for kind in MessageType
        )

    def _note(self, channel_id: int, source: str, code: str, fault: Fault) -> None:
        if fault is not Fault.UNKNOWN:
            return
        self.unlisted += 1
        key = (channel_id, code[:40])
        if key not in self._unlisted:
            while len(self._unlisted) >= UNLISTED_MANY:
                del self._unlisted[next(iter(self._unlisted))]
            log.warning("alarm.unlisted_code", channel_id=channel_id, source=source, code=key[1])
        self._unlisted[key] = time.monotonic()

    def unlisted_codes(self) -> dict[int, list[str]]:
        """Channel id -> codes of the last 10 minutes that no table has, up to 20 of them."""
        recent = time.monotonic() - UNLISTED_FOR
        found: dict[int, set[str]] = {}
        for (channel_id, code), at in self._unlisted.items():
            if at >= recent:
                found.setdefault(channel_id, set()).add(code)
        return {channel_id: sorted(codes)[:20] for channel_id, codes in found.items()}

    # --- answers -----------------------------------------------------------------------------------------------

    async def answers(
        self, connection: Connection, answers: list[Answer], now: datetime
    ) -> tuple[list[Answer], list[Row], list[Event]]:
        """Take out of ``answers`` what is tried again; what is left, the changed parts, and the events."""
        refused = [a for a in answers if a.outcome.kind in (OutcomeKind.REFUSED, OutcomeKind.DEFERRED)]
        if not refused:
            return answers, [], []
        parts = await store.parts_of_answers(connection, [a.outcome for a in refused])
        rest = [a for a in answers if a.outcome.kind not in (OutcomeKind.REFUSED, OutcomeKind.DEFERRED)]
        wanted: list[tuple[Row, Meaning, str, bool]] = []
        final: list[tuple[Answer, Meaning]] = []
        taken: set[tuple[int, int]] = set()
        for n, answer in enumerate(refused):
            o = answer.outcome
            row = parts.get(n)
            if row is None or (o.id, o.part) in taken or row["expires_at"] <= now:
                rest.append(answer)  # too late, or said twice: the database's guard tells
                continue
            meaning = self._of_answer(row["channel_id"], o)
            self._note(row["channel_id"], "answer", o.code, meaning.fault)
            if meaning.fault is Fault.UNCERTAIN:
                rest.append(replace(answer, outcome=replace(o, kind=OutcomeKind.UNKNOWN), next_at=None))
                continue
            taken.add((o.id, o.part))
            wanted.append((row, meaning, o.code, False))
            final.append((answer, meaning))
        again = await self._again(connection, wanted, now)
        for (answer, meaning), decided in zip(final, again, strict=True):
            if decided is None:
                outcome = replace(answer.outcome, kind=OutcomeKind.REFUSED, cls=meaning.cls)
                rest.append(replace(answer, outcome=outcome, next_at=None))
        rows, events = await self._apply(connection, wanted, again, now)
        # What was decided about has changed under way: the guard of answers tells. What still waits was passed over.
        changed = {(row["id"], row["part"]) for row in rows}
        missed = [
            answer
            for (answer, _), decided in zip(final, again, strict=True)
            if decided is not None and (decided.id, decided.part) not in changed
        ]
        if missed:
            await accounted_for(connection, [answer.outcome for answer in missed])
            rest += missed
        return rest, rows, events

    def _of_answer(self, channel_id: int, outcome: Outcome) -> Meaning:
        default = Fault.BUSY if outcome.kind is OutcomeKind.DEFERRED else Fault.PERMANENT
        fault = Fault(outcome.fault) if outcome.fault else default
        return self._snapshots.current.codes.answer(channel_id, outcome.code, outcome.cls, fault)

    # --- reports -----------------------------------------------------------------------------------------------

    async def reports(
        self, connection: Connection, reports: Sequence[Report], now: datetime, *, oldest: int, newest: int
    ) -> tuple[list[Report], list[Row], list[Event]]:
        """Take out of ``reports`` the failures that are tried again; what is left, the changed parts, the events."""
        rest: list[Report] = []
        maybe: list[tuple[Report, Meaning]] = []
        for report in reports:
            if report.state is not PartState.UNDELIVERABLE:
                rest.append(report)
                continue
            meaning = self._snapshots.current.codes.report(report.channel_id, report.code, report.cls)
            self._note(report.channel_id, "report", report.code, meaning.fault)
            report = replace(report, cls=meaning.cls)
            if self._possible(meaning.fault):
                maybe.append((report, meaning))
            else:
                rest.append(report)
        if not maybe:
            return rest, [], []
        parts = await store.parts_of_reports(connection, [r for r, _ in maybe], oldest=oldest, newest=newest)
        wanted: list[tuple[Row, Meaning, str, bool]] = []
        asked: list[Report] = []
        for n, (report, meaning) in enumerate(maybe):
            row = parts.get(n)
            # What was sent twice may have arrived by the other attempt.
            if row is None or row["resent"]:
                rest.append(report)
            else:
                wanted.append((row, meaning, report.code, True))
                asked.append(report)
        again = await self._again(connection, wanted, now)
        rest += [report for report, decided in zip(asked, again, strict=True) if decided is None]
        rows, events = await self._apply(connection, wanted, again, now)
        changed = {(row["id"], row["part"]) for row in rows}
        missed = [
            report
            for report, decided in zip(asked, again, strict=True)
            if decided is not None and (decided.id, decided.part) not in changed
        ]
        if missed:
            waiting = await store.parts_of_reports(connection, missed, oldest=oldest, newest=newest)
            if waiting:
                raise Unseen(f"{len(waiting)} of {len(missed)} reports of failures that changed nothing")
            rest += missed
        return rest, rows, events

    # --- both --------------------------------------------------------------------------------------------------

    async def _again(
        self, connection: Connection, wanted: Sequence[tuple[Row, Meaning, str, bool]], now: datetime
    ) -> list[Again | None]:
        ported = [row["id"] for row, meaning, _, _ in wanted if meaning.fault is Fault.PORTED]
        messages = await store.messages(connection, ported) if ported else {}
        result: list[Again | None] = []
        for row, meaning, code, reported in wanted:
            pool_id = row["pool_id"]
            test = pool_id in (TEST_POOL, PROBE_POOL)  # it teaches nothing about real numbers, and goes nowhere else
            if meaning.fault is Fault.PORTED and not test and (message := messages.get(row["id"])) is not None:
                if meaning.carrier:
                    number = core_numbers.national(message["number"])
                    if len(number) == 11:
                        await numbers_store.learn(connection, number, meaning.carrier, code)
                pool_id = self._pool_of_other_carrier(row, message, meaning.carrier, now)
            decision = self._decide(row, meaning.fault, pool_id, now)
            if decision is None:
                result.append(None)
                continue
            other = decision.how is RetryAction.OTHER
            result.append(
                Again(
                    id=row["id"], part=row["part"], attempt=row["attempt"], total=row["total"], at=now,
                    due=now + timedelta(seconds=decision.delay), other=other,
                    pool_id=pool_id if other else row["pool_id"], reported=reported,
                    counted=meaning.fault not in NOTHING_TAKEN, code=code, cls=meaning.cls,
                )
            )  # fmt: skip
        return result

    def _decide(self, row: Row, fault: Fault, pool_id: int, now: datetime) -> Decision | None:
        tried = row["attempt"] - 1 if fault in NOTHING_TAKEN else row["tries"]
        # A message that was sent twice stays: the other attempt may still arrive there.
        others = not row["resent"] and bool(self._others(row, pool_id))
        # What was never taken may wait until its validity is over: then it has expired, not failed.
        left = inf if fault in NOTHING_TAKEN else (row["expires_at"] - now).total_seconds()
        age = (now - row["accepted_at"]).total_seconds()
        return decide(self._snapshots.current.retry, fault, row["lane"], tried=tried, age=age, left=left, others=others)

    def _others(self, row: Row, pool_id: int) -> frozenset[int]:
        return self._router.fleet.serving(pool_id) - {*row["avoid_channels"], row["channel_id"]}

    def _pool_of_other_carrier(self, row: Row, message: Row, carrier: str, now: datetime) -> int:
        """The pool of the carrier that the code names, else of the first other one that was not tried yet."""
        pool_id: int = row["pool_id"]
        candidates = [carrier] if carrier else [c for c in (CMCC, CUCC, CTCC) if c != message["carrier"]]
        snapshot = self._snapshots.current
        pools = [self._router.reroute(snapshot, message, candidate, now) for candidate in candidates]
        return next((pool for pool in pools if pool != pool_id and self._others(row, pool)), pool_id)

    async def _apply(
        self,
        connection: Connection,
        wanted: Sequence[tuple[Row, Meaning, str, bool]],
        again: Sequence[Again | None],
        now: datetime,
    ) -> tuple[list[Row], list[Event]]:
        rows = await store.try_again(connection, [a for a in again if a is not None])
        changed = {(row["id"], row["part"]) for row in rows}
        events: list[Event] = []
        for (row, meaning, code, reported), one in zip(wanted, again, strict=True):
            if one is None or (one.id, one.part) not in changed:
                continue
            detail: Mapping[str, str] = {
                "code": code,
                "class": meaning.cls,
                "fault": meaning.fault,
                "channel_id": str(row["channel_id"]),
                "where": "other" if one.other else "same",
                "retry_in_s": f"{(one.due - now).total_seconds():g}",
            }
            kind = "retried" if one.other or reported else "deferred"
            events.append((one.id, now, one.part, kind, json.dumps(detail)))
        return rows, events
