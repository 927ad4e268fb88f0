"""What a carrier brings, reports and messages from phones: stored, and answered only when that is committed."""

from __future__ import annotations

import asyncio

import structlog

from smsgw.channels.mapping import INTERMEDIATE, Incoming, Mapping
from smsgw.core.model import Report
from smsgw.core.states import PartState
from smsgw.link import Link
from smsgw.pipeline.outcomes import Outcomes
from smsgw.protocols.events import Request
from smsgw.protocols.pdu import Pdu

log = structlog.get_logger(__name__)


class Intake:
    """Of one channel."""

    def __init__(self, name: str, mapping: Mapping, outcomes: Outcomes) -> None:
        self._name = name
        self._mapping = mapping
        self._outcomes = outcomes
        self.delivered_at = float("-inf")
        """When the last report of a delivery came, on the loop's clock."""

    def take(self, link: Link, request: Request) -> None:
        """Store what has come; the link is read no further while the ledger cannot keep up."""
        incoming = self._read(request.pdu)
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

    def _read(self, pdu: Pdu) -> Incoming:
        try:
            return self._mapping.incoming(pdu)
        except ValueError as exc:
            # Nothing can be made of it, and a refusal would make the carrier send it for ever.
            log.warning("incoming.unreadable", channel=self._name, error=str(exc))
        except Exception:  # a mistake of ours must not take the link, and all that is on it, down
            log.exception("incoming.failed", channel=self._name, pdu=type(pdu).__name__)
        return INTERMEDIATE


def _acknowledge(link: Link, request: Request, done: asyncio.Future[int]) -> None:
    if done.cancelled() or done.exception() is not None:
        return  # not stored: not answered, so the carrier keeps it and sends it again
    link.session.answer(request)
    link.flush_soon()
