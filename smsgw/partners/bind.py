"""One bound partner connection: its requests go through the one door for messages, its answers back in any order."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, OrderedDict
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, SmsgwError, Uncertain
from smsgw.core.ids import IdSource
from smsgw.core.model import Account
from smsgw.core.partners import Partner, ReplyTo
from smsgw.net.connection import Connection
from smsgw.partners.delivery import Delivery, Feed
from smsgw.partners.parts import Parts
from smsgw.partners.protocol_server import (
    Cancel,
    Count,
    Login,
    NotText,
    ProtocolServer,
    Query,
    Standing,
    Submit,
    Unfit,
    text_of,
)
from smsgw.partners.resubmits import Left, UnderWay
from smsgw.partners.sources import extension_of
from smsgw.pipeline.accept.acceptor import Acceptor, ItemResult, SendItem, SendRequest
from smsgw.pipeline.snapshot import Snapshots
from smsgw.protocols.events import Answer, Closed, Event, Expired, Late, Request, Violation
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.states import RECEIVING
from smsgw.runtime import aio, clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.messages.partner_parts import Part

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

UNANSWERED_PAUSE = 30.0
"""Seconds until an event is offered again that the partner has left without an answer."""
MAX_TOGETHER = 200
"""Submits that came in one read and are accepted as one call."""
REMEMBERED = 1024
"""CMPP: submits of a connection that are known when they come again with their Sequence_Id."""

LOGGED_OUT, HUNG_UP = "peer-logout", "closed by the peer"
"""How a connection is over whose partner has read all that it was sent, but for what was on its way then …"""
ON_THE_WAY = timedelta(seconds=0.2)
"""… at most so long. Of one that was lost that holds for when the partner last sent something."""

TOO_FAST = "rate"
"""Why a submit beyond the login's own rate is refused; other reasons are codes or sentences."""
SLOWED = frozenset({TOO_FAST, "RATE_LIMITED", "BACKPRESSURE"})
"""Refusals for too much at a time."""

Entry = tuple[Request, Submit, str, str]
"""A request, what it says, its text, and its extension."""


class Service(Protocol):
    """What all bound connections of a node share."""

    snapshots: Snapshots
    acceptor: Acceptor
    ids: IdSource
    left: Left
    parts: Parts

    def read_on(self, bind: Bind) -> None:
        """Read again, unless something else stands against it."""

    def read_later(self, bind: Bind) -> None:
        """Leave what it sends in the kernel for now."""

    def slow_down(self, bind: Bind) -> None:
        """Stop reading from it while too much waits for its commit."""

    def unbound(self, bind: Bind, why: str) -> None:
        """A bind is over."""

    def within_rate(self, partner: Partner, n: int) -> bool:
        """Take ``n`` destinations from the partner's rate, all or nothing."""

    def no_longer(self, expire_at: datetime | None) -> datetime | None:
        """An end of validity that can be kept."""

    def count_refusal(self, bind: Bind, why: str) -> None:
        """A request was answered with a refusal."""

    def count_accepted(self, bind: Bind) -> None:
        """A submit was accepted."""

    def count_violation(self, bind: Bind, kind: str, detail: str) -> None:
        """A partner has broken the protocol."""

    async def note_refused(self, refused: Sequence[tuple[Part, str]]) -> None:
        """Destinations of a group get a report each instead of a message."""

    async def standing(self, account_id: int, id_: int) -> Standing | None:
        """Where a message, or the message of a part, of this account stands."""

    async def counts(self, account_id: int, day: str) -> dict[str, int]:
        """The account's counters of a day, YYYYMMDD."""

    async def cancel(self, actor: Actor, account_id: int, order: Cancel) -> bool:
        """Withdraw what was not handed to a carrier yet; whether there was anything."""


class Bind:
    """The owner of a link whose partner has proved who it is."""

    def __init__(
        self,
        service: Service,
        link: Connection,
        face: ProtocolServer,
        partner: Partner,
        login: Login,
        number: int,
        mode: str,
    ) -> None:
        self.link = link
        self.face = face
        self.partner = partner
        self.number = number
        self.mode = mode
        self.ip = link.peer
        self.tlvs = login.tlvs
        self.bound_at = clock.now()
        self.submits = 0
        self.destinations = 0
        """Of those."""
        self.refused = 0
        self.slowed = 0
        """Refused for too much at a time."""
        self.delivered = 0
        self.codes: Counter[str] = Counter()
        """Why submits were refused."""
        self.last_at = self._heard_at = self.bound_at
        """When it last sent something, and the time before."""
        self.last_error = ""
        self.gone = False
        self.read_until: datetime | None = None
        """``again.Line``."""
        self.reads_from = 0.0
        """By the loop's clock: nothing is read before."""
        self.feed: Feed | None = None
        self._paced = (asyncio.get_running_loop().time(), 0)
        self._service = service
        self._recent: OrderedDict[object, tuple[int, Pdu]] = OrderedDict()
        self._under_way: dict[object, UnderWay] = {}
        """Submits without an answer, by their number."""

    @property
    def room(self) -> int:
        """Deliveries that may be written now."""
        return self.link.session.window_free if self.link.writable and not self.gone else 0

    @property
    def receives(self) -> bool:
        """Whether it takes reports and messages from phones."""
        return self.link.session.state in RECEIVING

    def pace(self, now: float) -> float:
        """Destinations a second since it was last asked, by the loop's clock: what the login's rate is of."""
        (at, before), self._paced = self._paced, (now, self.destinations)
        return max(0.0, (self.destinations - before) / (now - at)) if now > at else 0.0

    def change(self, partner: Partner) -> None:
        """Take up changed settings."""
        self.partner = partner
        session = self.link.session
        session.window = partner.window
        session.config = dataclasses.replace(session.config, max_unanswered_in=partner.window)

    # --- link.Owner --------------------------------------------------------------------------------------------

    def on_connected(self, link: Connection) -> None:
        """Long ago."""

    def on_writable(self, link: Connection) -> None:
        """The partner reads again."""
        self._service.read_on(self)
        if self.feed is not None:
            self.feed.wake()

    def on_events(self, link: Connection, events: list[Event]) -> None:
        """Submits first come, first served; what came in one read is accepted together."""
        requests: list[Request] = []
        feed = self.feed
        self._heard_at, self.last_at = self.last_at, clock.now()
        for event in events:
            match event:
                case Request():
                    requests.append(event)
                case Answer(tag=Delivery() as delivery, status=status) if feed is not None:
                    self.delivered += status == 0
                    feed.answered(delivery, status, self.face.refuses_for_good(status))
                    feed.wake()
                case Expired(tag=Delivery() as delivery) if feed is not None:
                    self.last_error = "deliveries without an answer"
                    feed.lost(delivery, UNANSWERED_PAUSE)
                    feed.wake()
                case Late(tag=Delivery() as delivery, status=status) if feed is not None:
                    feed.late(delivery, status)
                case Closed(why=why, lost=lost):
                    self._over(why, lost)
                case Violation(kind=kind, detail=detail):
                    self._service.count_violation(self, kind, detail)
                case _:
                    pass
        if requests:
            self._take(requests)
        if not link.writable:
            self._service.read_later(self)

    def _over(self, why: str, lost: Sequence[object]) -> None:
        self.gone = True
        if why != LOGGED_OUT:
            last = clock.now() if why == HUNG_UP else self._heard_at
            self.read_until = last - ON_THE_WAY
        if self.feed is not None:
            for delivery in lost:
                if isinstance(delivery, Delivery):
                    self.feed.lost(delivery, 0.0)
            self.feed.remove(self)
            self.feed.wake()
        self._leave(self._under_way.values())
        self._service.unbound(self, why)

    # --- requests ----------------------------------------------------------------------------------------------

    def _take(self, requests: list[Request]) -> None:
        now = clock.now()
        account = self._service.snapshots.current.account(self.partner.account_id)
        together: dict[tuple[datetime | None, datetime | None, bool], list[Entry]] = {}
        for request in requests:
            try:
                order = self.face.read(request.pdu, self.partner, now)
                if not isinstance(order, Submit):
                    self._later(self._other(request, order), request)
                    continue
                if self._repeated(request):
                    continue
                if account is None or account.halted:
                    raise Refused("ACCOUNT_STOPPED")
                if not self._service.within_rate(self.partner, len(order.destinations)):
                    raise Unfit(self.face.throttled, TOO_FAST)
                self.submits += 1
                self.destinations += len(order.destinations)
                self._under_way.setdefault(request.pdu.sequence, UnderWay(request))
                extension = extension_of(order.source, self.partner, account, self._service.snapshots.current.numbering)
                if order.concat is not None:
                    self._later(self._part(request, order, extension), request)
                    continue
                entry = (request, order, text_of(order.octets, order.coding), extension)
            except Unfit as exc:
                self._refuse(request, exc.status, exc.why)
                continue
            except NotText as exc:
                self._refuse(request, self.face.not_text, str(exc))
                continue
            except SmsgwError as exc:
                self._refuse(request, self.face.status_of(exc), exc.code)
                continue
            if len(order.destinations) > 1 or order.replies[0].group:
                self._later(self._group(account, entry), request)
            else:
                together.setdefault((order.send_at, order.expire_at, order.urgent), []).append(entry)
        if account is None:
            return
        for entries in together.values():
            for start in range(0, len(entries), MAX_TOGETHER):
                some = entries[start : start + MAX_TOGETHER]
                self._later(self._send(account, some), *(entry[0] for entry in some))
        self._service.slow_down(self)

    def _later(self, work: Coroutine[Any, Any, None], *requests: Request) -> None:
        aio.spawn(self._supervised(work, requests), name=f"partner.{self.partner.username}")

    async def _supervised(self, work: Coroutine[Any, Any, None], requests: Sequence[Request]) -> None:
        """Whatever happens: each request is answered."""
        try:
            await work
        except SmsgwError as exc:
            for request in requests:
                self._refuse(request, self.face.status_of(exc), exc.code)
        except Exception:  # a supervisor: our mistake must not keep the partner waiting
            name = self.partner.username
            sparing.error("partner.request_failed", name, partner=name, exc_info=True)
            for request in requests:
                self._refuse(request, self.face.failed, "INTERNAL")

    def _answer(self, request: Request, pdu: Pdu) -> bool:
        said = self.link.session.answer(request, pdu)
        self.link.flush_soon()
        return said

    def _refuse(self, request: Request, status: int, why: str) -> None:
        self.refused += 1
        self.last_error = why
        code = why if why.isupper() or why == TOO_FAST else "UNFIT"
        self.codes[code] += 1
        self.slowed += code in SLOWED
        self._service.count_refusal(self, why)
        pdu = self.face.refused(request.pdu, status)
        self.turn_down(request, pdu)
        first = self._ended(request)
        if first is not None:
            self._service.left.drop(first)
            for bind, again in first.again:
                bind.turn_down(again, dataclasses.replace(pdu))

    def turn_down(self, request: Request, pdu: Pdu) -> None:
        """Answer a submit that was refused, unless nobody is there to read it."""
        if self.link.session.owes(request):
            self._answer(request, pdu)

    def _repeated(self, request: Request) -> bool:
        """Whether a submit has come before; it has, or will have, the answer of the first, and is not done again."""
        first = self._under_way.get(request.pdu.sequence)
        if first is not None and first.request.pdu == request.pdu:
            first.again.append((self, request))
            return True
        known = self._recent.get(request.pdu.sequence) if self._recent else None
        if known is not None and known[0] == self.face.fingerprint(request.pdu):
            self._answer(request, dataclasses.replace(known[1]))
            return True
        left = self._service.left
        if not left:
            return False
        fingerprint = self.face.fingerprint(request.pdu)
        first = left.find(self.partner.id, request.pdu, fingerprint, asyncio.get_running_loop().time())
        if first is None:
            return False
        if first.answer is None:
            first.again.append((self, request))
        else:
            left.drop(first)
            self.tell(request, dataclasses.replace(first.answer))
        return True

    def _ended(self, request: Request) -> UnderWay | None:
        first = self._under_way.get(request.pdu.sequence)
        return self._under_way.pop(request.pdu.sequence) if first and first.request is request else None

    def _accepted(self, request: Request, pdu: Pdu) -> None:
        self._service.count_accepted(self)
        first = self._ended(request)
        told = self.tell(request, pdu)
        if first is None:
            return
        for bind, again in first.again:
            told |= bind.tell(again, dataclasses.replace(pdu))
        if told:
            self._service.left.drop(first)
        else:
            first.answer = pdu
            self._leave([first])

    def tell(self, request: Request, pdu: Pdu) -> bool:
        """Answer a submit that was accepted, and remember the answer; False when nobody is there to read it."""
        if not self.link.session.owes(request):
            return False
        fingerprint = self.face.fingerprint(request.pdu)
        if fingerprint is not None:
            self._recent[request.pdu.sequence] = (fingerprint, pdu)
            if len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
        return self._answer(request, pdu)

    def _leave(self, submits: Iterable[UnderWay]) -> None:
        """The connection is gone: its submits may come again over another one."""
        marked = ((self.face.fingerprint(one.request.pdu), one) for one in submits)
        repeated = [(fingerprint, one) for fingerprint, one in marked if fingerprint is not None]
        self._service.left.add(self.partner.id, repeated, asyncio.get_running_loop().time())

    def _request(self, account: Account, order: Submit, items: tuple[SendItem, ...]) -> SendRequest:
        partner = self.partner
        return SendRequest(
            account=account,
            items=items,
            type=partner.type,
            origin=self.face.origin,
            submitter=partner.label,
            send_at=order.send_at,
            expire_at=self._service.no_longer(order.expire_at),
            emergency=order.urgent and account.emergency,
        )

    async def _send(self, account: Account, entries: list[Entry]) -> None:
        """Accept submits with one destination each as one call; when the call fails, one by one."""
        items = tuple(
            SendItem(order.destinations[0], content, ext=order.replies[0].pack(), extend_code=extension)
            for _, order, content, extension in entries
        )
        try:
            result = await self._service.acceptor.send(self._request(account, entries[0][1], items))
        except Uncertain:  # they may be stored: by themselves they would be others
            raise
        except SmsgwError:
            if len(entries) == 1:
                raise
            await asyncio.gather(*(self._supervised(self._send(account, [entry]), (entry[0],)) for entry in entries))
            return
        for entry, item in zip(entries, result.items, strict=True):
            if item.message_id is not None:
                self._accepted(entry[0], self.face.accepted(entry[0].pdu, self.partner, int(item.message_id)))
            elif item.code == "NUMBER_DUPLICATE":
                # Two submits with the same text to the same number are two messages, as their sender wanted.
                self._later(self._send(account, [entry]), entry[0])
            else:
                self._refuse_item(entry[0], item)

    def _refuse_item(self, request: Request, item: ItemResult) -> None:
        code = item.code or "INTERNAL"
        self._refuse(request, self.face.status_of(Invalid(code)), code)

    async def _group(self, account: Account, entry: Entry) -> None:
        """One submit to several destinations."""
        request, order, content, extension = entry
        items = tuple(
            SendItem(to, content, ext=reply.pack(), extend_code=extension)
            for to, reply in zip(order.destinations, order.replies, strict=True)
        )
        result = await self._service.acceptor.send(self._request(account, order, items))
        failed = [(n, item) for n, item in enumerate(result.items) if item.message_id is None]
        if not result.accepted:
            self._refuse_item(request, failed[0][1])
            return
        position, taken = next((n, i) for n, i in enumerate(result.items) if i.message_id is not None)
        first = int(taken.message_id or 0)
        if self.face.lists_failures:
            places = [n for n in range(len(items) + len(order.unfit)) if n not in order.unfit]
            failures = sorted(
                [*order.unfit.items()]
                + [(places[n], self.face.status_of(Invalid(i.code or "INTERNAL"))) for n, i in failed]
            )
            answer = self.face.accepted(request.pdu, self.partner, first, failures)
        else:
            # The ids of a group follow each other by the places of its destinations, whatever became of them.
            base = first - position
            await self._service.note_refused(
                [
                    (self._part_row(base + n, order, order.replies[n], order.destinations[n], extension), i.code or "")
                    for n, i in failed
                ]
            )
            answer = self.face.accepted(request.pdu, self.partner, base)
        self._accepted(request, answer)

    async def _part(self, request: Request, order: Submit, extension: str) -> None:
        """A part of a long message, for each destination one: kept, and answered when it is safe."""
        base = self._service.ids.block(len(order.destinations))
        rows = [
            self._part_row(base + n, order, reply, to, extension)
            for n, (to, reply) in enumerate(zip(order.destinations, order.replies, strict=True))
        ]
        taken = await asyncio.gather(
            *(self._service.parts.take(row, self.partner, self) for row in rows), return_exceptions=True
        )
        failed: list[tuple[Part, str]] = []
        for row, result in zip(rows, taken, strict=True):
            if isinstance(result, SmsgwError):
                failed.append((row, result.code))
            elif isinstance(result, BaseException):
                raise result
        if len(failed) == len(rows):
            raise next(result for result in taken if isinstance(result, SmsgwError))
        if failed:
            await self._service.note_refused(failed)
        id_ = taken[0] if isinstance(taken[0], int) else base
        for one in taken:
            if isinstance(one, int):
                self._service.parts.answers.given(one, self, clock.now())
        self._accepted(request, self.face.accepted(request.pdu, self.partner, id_))

    def _part_row(self, id_: int, order: Submit, reply: ReplyTo, number: str, extension: str) -> Part:
        concat = order.concat
        ref, total, part, wide = (concat.ref, concat.total, concat.number, concat.wide) if concat else (0, 1, 1, False)
        return Part(
            id=id_,
            account_id=self.partner.account_id,
            partner_id=self.partner.id,
            key=f"{self.partner.protocol}|{reply.source}|{reply.destination}|{int(wide)}|{ref}|{total}".replace(
                "\0", ""
            ),
            total=total,
            part=part,
            number=number.replace("\0", ""),
            octets=order.octets,
            coding=order.coding.value,
            extend_code=extension,
            reply=reply.pack(),
            urgent=order.urgent,
            send_at=order.send_at,
            expire_at=self._service.no_longer(order.expire_at),
            received_at=clock.now(),
        )

    async def _other(self, request: Request, order: Query | Count | Cancel) -> None:
        service, account_id = self._service, self.partner.account_id
        actor = Actor.partner(self.partner.protocol, self.partner.username, account_id)
        match order:
            case Query(id=id_):
                answer = self.face.found(request.pdu, await service.standing(account_id, id_))
            case Count(day=day):
                answer = self.face.counted(request.pdu, await service.counts(account_id, day))
            case Cancel():
                answer = self.face.cancelled(request.pdu, await service.cancel(actor, account_id, order))
        self._answer(request, answer)
