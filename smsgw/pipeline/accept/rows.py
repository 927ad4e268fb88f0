"""From checked recipients to the rows of a call, and what becomes of them when the database finds one too frequent."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from smsgw.core import numbers, states
from smsgw.core.abroad import Abroad
from smsgw.core.accounts import units_per_part
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Reason, messages_of
from smsgw.core.frequency import Watch, scope_of, seconds_of, tag_scope
from smsgw.core.ids import IdSource
from smsgw.core.model import LANE_OF, Lane, MessageType, Origin, UnknownPolicy
from smsgw.core.policy import Listed
from smsgw.core.sent_links import LinkCode
from smsgw.core.states import PartState
from smsgw.core.text import Coding
from smsgw.pipeline.accept.checks import Failed, Passed, Standing, Subject
from smsgw.pipeline.accept.requests import ItemResult, SendItem, SendRequest, SendResult
from smsgw.pipeline.numbering import Numbering
from smsgw.pipeline.snapshot import Snapshot
from smsgw.store.messages.calls import LinkRow, MessageRow, NewCall, NewFollow, NewReview, PartRow, Refusal, RequestKey

DEFAULT_POLICY = {MessageType.OTP: UnknownPolicy.HOLD_SHORT}
"""Where the account has none: a code that may not have arrived is asked for again. Others follow their channel."""
CLASS_OF = {
    "NUMBER_BLACKLISTED": "BLACKLIST_LOCAL",
    "NUMBER_OPTED_OUT": "BLACKLIST_LOCAL",
    "NUMBER_NOT_ALLOWED": "BLACKLIST_LOCAL",
    "NUMBER_EMPTY": "EMPTY_NUMBER",
    "NUMBER_FREQ_LIMITED": "FREQ_LOCAL",
    "CONTENT_DUPLICATE": "FREQ_LOCAL",
    "INTERNATIONAL_LIMITED": "FREQ_LOCAL",
    "CONTENT_SENSITIVE": "CONTENT_BLOCKED",
    "SIGN_NOT_REGISTERED": "SIGN_UNREGISTERED",
}
"""Class of our own refusals in records and reports; those not here are of the class ``POLICY``."""
_NOT_TOLD = frozenset({Origin.SMPP, Origin.CMPP})
"""A partner is refused in the answer to its submit, and knows no other id of it: nothing is reported."""
_UNCOUNTED = frozenset({Listed.EXEMPT, Listed.TEST})

LOOK = timedelta(seconds=1)
"""After which messages with a chain behind them are first looked at."""
AT_ONCE = 500
"""Parts that are built without a turn for others: a few milliseconds."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SendResult).decode


def lane_of(request: SendRequest) -> Lane:
    """The lane that a call goes on."""
    return Lane.EMERGENCY if request.emergency else LANE_OF[request.type]


def price_of(request: SendRequest) -> int:
    """Units for one part."""
    return 0 if request.test else units_per_part(request.account, request.type)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call ready to be stored."""

    call: NewCall | None
    """None: there is nothing to store."""
    outcome: SendResult
    queues: set[tuple[int, int]]
    """(pool, lane) that it adds to."""


def result_of(batch_id: int, results: Mapping[int, ItemResult]) -> SendResult:
    """The result of a call from those of its recipients, by position."""
    items = tuple([results[position] for position in range(len(results))])
    accepted = sum([item.code is None for item in items])
    return SendResult(str(batch_id), accepted, len(items) - accepted, items)


def watch_of(
    request: SendRequest, index: int, subject: Standing, at: datetime, link: LinkCode | None = None
) -> Watch | None:
    """How the database counts a message; None: it does not. ``link``: the code in it, which makes it no other text."""
    draft, limits = subject.draft, subject.draft.limits
    tagged = request.tagged
    asked = request.dedupe or tagged is not None
    if not (limits.frequency or limits.identical_seconds or asked) or request.test:
        return None
    exempt = not _UNCOUNTED.isdisjoint(subject.listed)
    if exempt and not asked:
        return None
    part = ""
    if limits.frequency_per == "template":
        part = f"/{draft.template.id}" if draft.template else f"/{draft.sign}"
    if limits.counted_as:
        part = f"{limits.counted_as}:{part}"
    return Watch(
        index,
        int(subject.number),
        seconds_of(at),
        scope_of(request.account.id, request.type, part),
        zlib.crc32((draft.content if link is None else link.bare(draft.content)).encode("utf-8", "surrogatepass")),
        () if exempt else limits.frequency,
        0 if exempt else limits.identical_seconds,
        request.dedupe,
        limits.frequency_all if limits.frequency and not exempt else (),
        0 if tagged is None else tag_scope(request.account.id, tagged.tag),
        None if tagged is None else tagged.rate,
    )


def abroad_of(request: SendRequest, index: int, subject: Subject) -> Abroad | None:
    """How the database counts a message outside mainland China; None: it does not, or it is not."""
    if not subject.draft.abroad or request.test or not _UNCOUNTED.isdisjoint(subject.listed):
        return None
    limits = subject.draft.limits
    return Abroad(index, numbers.country(subject.number), limits.abroad_hourly, limits.abroad_countries)


class Builder:
    """Makes rows."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._refs = 0

    async def build(
        self,
        request: SendRequest,
        snapshot: Snapshot,
        passed: Sequence[Passed],
        failed: Sequence[Failed],
        now: datetime,
        due: datetime | None,
        expires: datetime,
    ) -> Prepared:
        """The rows of a call, its result, and the queues that it adds to; others have turns between a large one's."""
        results: dict[int, ItemResult] = {
            f.position: ItemResult(f.item.to, None, "rejected", 0, f.reason[0], *messages_of(*f.reason)) for f in failed
        }
        recorded = [f for f in failed if f.subject is not None]
        if not passed and not recorded:
            return Prepared(None, result_of(0, results), set())
        ids = request.ids
        if not ids:
            block = self._ids.block(len(request.items))
            ids = range(block, block + len(request.items))
        positions = [p.position for p in passed[:1]] + [f.position for f in recorded[:1]]
        batch_id = ids[min(positions)]
        messages: list[MessageRow] = []
        parts: list[PartRow] = []
        watches: list[Watch] = []
        abroad: list[Abroad] = []
        links: list[LinkRow] = []
        lane = int(lane_of(request))
        why = list(
            dict.fromkeys(
                str(reason)
                for p in passed
                if not request.reviewed and p.subject.draft.reviews and Listed.TEST not in p.subject.listed
                for reason in p.subject.draft.reviews
            )
        )
        validity_s = (expires - (due or now)).total_seconds()
        if why:
            # Until it is reviewed; its own validity begins with its release
            expires = now + timedelta(hours=snapshot.settings.review_expire_hours)
        state = PartState.HELD if why else PartState.QUEUED if due is None else PartState.SCHEDULED
        status = states.STATUS[state]
        policy = request.account.unknown_policy or DEFAULT_POLICY.get(request.type)
        per_part = price_of(request)
        queues: set[tuple[int, int]] = set()
        keys: list[RequestKey] = []
        if passed and request.idempotency_key is not None:
            keys.append(RequestKey("k", request.idempotency_key, request.request_sha256, batch_id))
        if request.nonce:
            keys.append(RequestKey("n", request.nonce, b"", batch_id, answers=False))
        single = len(request.items) == 1
        next_at = due if state is PartState.SCHEDULED else None
        resting = AT_ONCE
        for one in passed:
            if len(parts) >= resting:
                await asyncio.sleep(0)
                resting = len(parts) + AT_ONCE
            item, route = one.item, one.subject.route
            message_id = ids[one.position]
            total = one.coded.parts
            self._refs = self._refs + 1 & 0xFF
            client_ref = item.client_ref or request.batch_client_ref
            if item.client_ref or (client_ref and single):
                keys.append(RequestKey("r", client_ref, request.request_sha256, message_id, answers=single))
            ref = self._refs if total > 1 else 0
            watch = watch_of(request, len(messages), one.subject, due or now, item.link)
            if watch is not None:
                watches.append(watch)
            far = abroad_of(request, len(messages), one.subject)
            if far is not None:
                abroad.append(far)
            messages.append(self._row(
                request, snapshot.numbering, item, one.subject, message_id, batch_id, coding=one.coded.coding,
                parts=total, ref=ref, price=total * per_part,
            ))  # fmt: skip
            part = PartRow(
                id=message_id, part=1, total=total, account_id=request.account.id, pool_id=route.pool_id, lane=lane,
                state=int(state), unknown_policy=policy, next_at=next_at, expires_at=expires, code="", class_="",
                by_us=False, accepted_at=now, final_at=None,
            )  # fmt: skip
            parts += [part if n == 1 else part._replace(part=n) for n in range(1, total + 1)]
            address = None
            if item.link is not None:
                links.append(LinkRow(message_id, item.link.link_id, item.link.n, item.link.personal))
                address = item.link.address or None
            results[one.position] = ItemResult(item.to, str(message_id), status, total, link=address)
            queues.add((route.pool_id, lane))
        refused = []
        told = request.origin not in _NOT_TOLD
        for n, bad in enumerate(recorded, 1):
            if n % AT_ONCE == 0:
                await asyncio.sleep(0)
            subject = bad.subject
            if subject is None:
                continue
            message_id = ids[bad.position]
            code, words = bad.reason[0], messages_of(*bad.reason)
            row = self._row(request, snapshot.numbering, bad.item, subject, message_id, batch_id)
            part = PartRow(
                id=message_id, part=1, total=1, account_id=request.account.id, pool_id=subject.route.pool_id, lane=lane,
                state=int(PartState.REJECTED), unknown_policy=policy, next_at=None, expires_at=expires, code=code,
                class_=CLASS_OF.get(code, "POLICY"), by_us=True, accepted_at=now, final_at=now,
            )  # fmt: skip
            refused.append(Refusal(row, part, words[0], self._ids.next(), told))
            if told:
                known = str(message_id)
                results[bad.position] = ItemResult(bad.item.to, known, "rejected", 0, code, *words)
        outcome = result_of(batch_id, results)
        call = NewCall(
            request.account.id,
            batch_id,
            messages,
            parts,
            sum([p.coded.parts for p in passed]) * per_part,
            tuple(keys),
            _encode(outcome),
            # A task was entered into the audit log when it was made and passed: not once more for each of its calls.
            ActorLabel(request.submitter or request.origin)
            if request.emergency and passed and request.gate is None
            else None,
            above=request.account.above,
            guards=() if request.test else request.account.guards,
            departments=() if request.test else request.account.departments,
            test=request.test,
            training=request.account.training,
            joins=request.joins if passed else (),
            callback_url=request.callback_url,
            gate=request.gate(outcome.items) if request.gate is not None else None,
            refused=tuple(refused),
            watches=tuple(watches),
            abroad=tuple(abroad),
            review=_review(request, passed, why, due, validity_s, expires) if why else None,
            follow=_follow(request, ids, due or now) if passed and not request.test else None,
            links=tuple(links),
        )
        return Prepared(call, outcome, queues if state is PartState.QUEUED else set())

    def _row(
        self,
        request: SendRequest,
        numbering: Numbering,
        item: SendItem,
        subject: Subject,
        message_id: int,
        batch_id: int,
        *,
        coding: Coding = Coding.UCS2,
        parts: int = 1,
        ref: int = 0,
        price: int = 0,
    ) -> MessageRow:
        """A row of ``message``; of one that is refused, where nothing else is said. ``ref``: reference of the
        concatenation header."""
        draft, home = subject.draft, subject.home
        return MessageRow(
            id=message_id, batch_id=batch_id, account_id=request.account.id, origin=request.origin, type=request.type,
            number=subject.number, carrier=home.carrier, province=home.province, content=draft.content, sign=draft.sign,
            coding=coding.value, parts=parts, concat_ref=ref, price=price,
            client_ref=item.client_ref or request.batch_client_ref, ext=item.ext,
            extend_code=numbering.extension_of(request.account, draft.sign) + item.extend_code,
            submitter=request.submitter, refund_failed=request.account.refund_failed, test=request.test,
            template_id=draft.template.id if draft.template else 0, kind=request.kind_name,
        )  # fmt: skip

    def revise(self, call: NewCall, reasons: Mapping[int, Reason]) -> NewCall:
        """The call without the messages (by index) that are refused after all; they go over to its refusals."""
        gone = {call.messages[index].id: reason for index, reason in reasons.items()}
        first_parts = {p.id: p for p in call.parts if p.part == 1}
        # What was spooled has been answered: who sent it knows its id.
        told = call.spooled or call.messages[0].origin not in _NOT_TOLD
        refused = list(call.refused)
        items = list(_decode(call.answer).items)
        places = {item.message_id: position for position, item in enumerate(items)}
        for row in call.messages:
            reason = gone.get(row.id)
            if reason is None:
                continue
            code, words = reason[0], messages_of(*reason)
            state = PartState.DUPLICATE if code == "CONTENT_DUPLICATE" else PartState.REJECTED
            message = row._replace(parts=1, concat_ref=0, price=0)
            first = first_parts[row.id]
            part = first._replace(
                total=1, state=int(state), next_at=None, code=code, class_=CLASS_OF.get(code, "POLICY"), by_us=True,
                final_at=first.accepted_at,
            )  # fmt: skip
            refused.append(Refusal(message, part, words[0], self._ids.next(), told))
            position = places[str(row.id)]
            known = str(row.id) if told else None
            status = states.status_of(state, True)
            items[position] = ItemResult(items[position].to, known, status, 0, code, *words)
        left = [row for row in call.messages if row.id not in gone]
        places_left = {index: n for n, index in enumerate(i for i in range(len(call.messages)) if i not in reasons)}
        results = dict(enumerate(items))
        return replace(
            call,
            messages=left,
            parts=[p for p in call.parts if p.id not in gone],
            units=sum(row.price for row in left),
            keys=tuple(k for k in call.keys if k.kind == "n" or (left and (k.kind == "k" or k.message_id not in gone))),
            answer=_encode(result_of(call.batch_id, results)),
            emergency_by=call.emergency_by if left else None,
            joins=call.joins if left else (),
            refused=tuple(refused),
            watches=tuple(replace(w, index=places_left[w.index]) for w in call.watches if w.index in places_left),
            abroad=tuple(replace(a, index=places_left[a.index]) for a in call.abroad if a.index in places_left),
            review=replace(call.review, numbers=len(left)) if call.review and left else None,
            links=tuple(link for link in call.links if link.id not in gone),
        )


def _follow(request: SendRequest, ids: Sequence[int], begins: datetime) -> NewFollow | None:
    """What may follow; a first look when they can have failed."""
    one = request.follow
    if one is None:
        return None
    task_id, run = one.task or (None, None)
    until = one.until or begins + timedelta(minutes=one.chain.minutes)
    varied = one.values if one.chain.varied else ()
    values = {str(id_): dict(each) for id_, each in zip(ids, varied, strict=False)}
    return NewFollow(
        one.chain.plain(), one.hop, one.first_id, task_id, run, request.reviewed, values, until, begins + LOOK
    )


def _review(
    request: SendRequest,
    passed: Sequence[Passed],
    why: Sequence[str],
    due: datetime | None,
    validity_s: float,
    expires: datetime,
) -> NewReview:
    return NewReview(
        str(request.type),
        str(request.origin),
        request.submitter,
        tuple(why),
        len(passed),
        passed[0].subject.draft.content,
        due,
        validity_s,
        expires,
    )
