"""What a carrier brings, reports and messages from phones: stored, and answered only when that is committed."""

from __future__ import annotations

import asyncio

import structlog

from smsgw.channels.mapping import INTERMEDIATE, Incoming, Mapping
from smsgw.core.model import Report
from smsgw.core.states import PartState
from smsgw.net.connection import Link
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.protocols.events import Request
from smsgw.protocols.pdu import Pdu
from smsgw.runtime.sparing import Sparing

log = structlog.get_logger(__name__)
sparing = Sparing(log)


LOOK_AT_ROOM = 0.05
"""Seconds between two looks whether the ledger has caught up, while links wait for it."""


class Intake:
    """Of one channel."""

    def __init__(self, name: str, mapping: Mapping, outcomes: Outcomes) -> None:
        self._name = name
        self._mapping = mapping
        self._outcomes = outcomes
        self.delivered_at = float("-inf")
        """When the last report of a delivery came, on the loop's clock."""
        self._waiting: set[Link] = set()
        """Links that are not read because the ledger cannot keep up."""

    def take(self, link: Link, request: Request) -> None:
        """Store what has come; the link is read no further while the ledger cannot keep up."""
        incoming = self._read(request.pdu)
        if incoming is None:
            link.session.forget(request)
            return
        if isinstance(incoming, Report):
            if incoming.state is PartState.DELIVERED:
                self.delivered_at = asyncio.get_running_loop().time()
            future = self._outcomes.report(incoming)
        elif incoming is INTERMEDIATE:
            link.session.answer(request)
            link.flush_soon()
            return
        else:
            future = self._outcomes.inbound(incoming)  # type: ignore[arg-type]
        future.add_done_callback(lambda done: _acknowledge(link, request, done))
        if self._outcomes.full:
            link.pause_reading()
            if not self._waiting:
                self._look_later()
            self._waiting.add(link)

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(LOOK_AT_ROOM, self._look)

    def _look(self) -> None:
        """By a timer of its own: a link that nobody reads would be forgotten by whatever waits for something else."""
        if self._outcomes.roomy:
            for link in self._waiting:
                link.resume_reading()
            self._waiting.clear()
        else:
            self._waiting = {link for link in self._waiting if not link.closed.done()}
            if self._waiting:
                self._look_later()

    def _read(self, pdu: Pdu) -> Incoming | None:
        try:
            return self._mapping.incoming(pdu)
        except ValueError as exc:
            # Nothing can be made of it, and a refusal would make the carrier send it for ever.
            sparing.warning("incoming.unreadable", self._name, channel=self._name, error=str(exc))
        except (OSError, MemoryError) as exc:  # the machine lacks something: not answered, so it comes again
            sparing.error("incoming.put_off", self._name, channel=self._name, error=repr(exc))
            return None
        except Exception:  # a mistake of ours must not take the link, and all that is on it, down
            sparing.error(
                "incoming.failed", self._name, channel=self._name, pdu=type(pdu).__name__, exc_info=True
            )
        return INTERMEDIATE


def _acknowledge(link: Link, request: Request, done: asyncio.Future[int]) -> None:
    if done.cancelled() or done.exception() is not None:
        link.session.forget(request)  # not stored: not answered, so the carrier keeps it and sends it again
    else:
        link.session.answer(request)
    link.flush_soon()
