"""Accept: check, route, split, store; the caller hears of it only after the commit."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec

from smsgw.core import numbers, text
from smsgw.core.accounts import units_per_part
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary, message_of
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.model import LANE_OF, Account, Lane, MessageType, Origin, UnknownPolicy
from smsgw.core.numbers import InvalidNumber
from smsgw.core.rates import Meter
from smsgw.core.states import PartState
from smsgw.core.text import Coding, Unencodable
from smsgw.pipeline.lists import Reason
from smsgw.pipeline.outcomes import MAX_AGE
from smsgw.pipeline.repeats import Repeats, recalled
from smsgw.pipeline.routing import CARRIER_ZH, Home, Route, Router
from smsgw.pipeline.spooling import Known, Spooling
from smsgw.store import replaying
from smsgw.store.accepting import PART_COLUMNS, Gate, NewCall, RequestKey, Stored
from smsgw.store.batch import Batcher
from smsgw.store.db import Connection
from smsgw.store.spool import Spool

MAX_RECIPIENTS = 1000
MAX_CHARACTERS = 1000
MAX_QUEUED_PARTS = 20_000
OUTAGE_PATIENCE = 3.0
"""Seconds a caller waits for a database that does not answer."""

VALIDITY = {
    MessageType.OTP: timedelta(minutes=10),
    MessageType.NOTICE: timedelta(hours=24),
    MessageType.MARKETING: timedelta(hours=24),
}
MAX_SCHEDULE = timedelta(days=6)
"""Partitions are made a week ahead; what is later belongs into a task."""
DEFAULT_POLICY = {MessageType.OTP: UnknownPolicy.HOLD_SHORT}
"""Where the account has none: a code that may not have arrived is asked for again. Others follow their channel."""

_SIGN = re.compile(r"^【([^【】]{2,20})】")
_EXTEND = re.compile(r"[0-9]{0,12}")


@dataclass(frozen=True, slots=True)
class SendItem:
    """One recipient and what it gets."""

    to: str
    content: str
    client_ref: str = ""
    ext: str = ""
    extend_code: str = ""
    sign: str = ""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One send call, its shape already checked by the edge."""

    account: Account
    items: tuple[SendItem, ...]
    type: MessageType
    origin: Origin
    submitter: str
    idempotency_key: str | None = None
    request_sha256: bytes = b""
    send_at: datetime | None = None
    expire_at: datetime | None = None
    batch_client_ref: str = ""
    test: bool = False
    """Of a test key: it goes to the simulated carrier inside the daemon, costs nothing and counts nowhere."""
    callback_url: str = ""
    """Where the reports go instead of the account's way; its host must be on the account's list."""
    emergency: bool = False
    """Before everything else (特发); the account needs the right."""
    joins: tuple[int, ...] = ()
    """One recipient whose content was put together from these parts of a partner; they go over into the message."""
    first_id: int = 0
    """Of a block of ids, one an item: the items' messages have these, so that a row tells its message. 0: new ones."""
    gate: Callable[[Sequence[ItemResult]], Gate] | None = None
    """Given what becomes of the items: what has to hold, and is written, in the transaction that stores them."""


class ItemResult(msgspec.Struct, frozen=True):
    """What became of one recipient; ``to`` as given."""

    to: str
    message_id: str | None
    status: str
    parts: int
    code: str | None = None
    message: str | None = None


class SendResult(msgspec.Struct, frozen=True):
    """What became of a call."""

    batch_id: str
    accepted: int
    rejected: int
    items: tuple[ItemResult, ...]
    replayed: bool = False


def _lane(request: SendRequest) -> Lane:
    return Lane.EMERGENCY if request.emergency else LANE_OF[request.type]


def _queues_of(call: NewCall) -> set[tuple[int, int]]:
    """Where the messages of a call wait to be sent."""
    return {(part[_POOL], part[_LANE]) for part in call.parts if part[_STATE] == PartState.QUEUED}  # type: ignore[misc]


def _price(request: SendRequest) -> int:
    """Units for one part."""
    return 0 if request.test else units_per_part(request.account, request.type)


@dataclass(frozen=True, slots=True)
class _Signed:
    """A content as it will be on the phone."""

    content: str
    sign: str


@dataclass(frozen=True, slots=True)
class _Coded:
    """How a content travels."""

    coding: Coding
    parts: int


@dataclass(frozen=True, slots=True)
class _Checked:
    """A recipient that can be sent to."""

    position: int
    item: SendItem
    number: str
    route: Route
    signed: _Signed
    coded: _Coded


_Prepared = tuple[datetime, datetime | None, datetime, list[ItemResult | None], list[_Checked]]
"""When it is, when it is due and expires, one result a recipient, and those that can be stored."""

_POOL, _LANE, _STATE = (PART_COLUMNS.index(c) for c in ("pool_id", "lane", "state"))

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SendResult).decode


class DiskGuard:
    """Knows whether the data folders have room, so that new messages are refused before a write fails half-way."""

    CHECK_EVERY = 1.0

    def __init__(
        self, folders: Sequence[Path], min_free_mb: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folders = folders
        self._min_free = min_free_mb * 1024 * 1024
        self._clock = clock
        self._checked_at = float("-inf")
        self._free = 0

    @property
    def low(self) -> str:
        """What is wrong with the free space, for people; empty while there is enough."""
        try:
            self.check()
        except Temporary as exc:
            return str(exc.detail["reason"])
        return ""

    def check(self) -> None:
        """Raise ``STORAGE_UNAVAILABLE`` when the folder has less than the configured free space."""
        now = self._clock()
        if now - self._checked_at >= self.CHECK_EVERY:
            self._checked_at = now
            try:
                self._free = min(shutil.disk_usage(folder).free for folder in self._folders)
            except OSError:
                self._free = 0
        if self._free < self._min_free:
            free_mb, need_mb = self._free // 2**20, self._min_free // 2**20
            raise Temporary(
                "STORAGE_UNAVAILABLE",
                retry_after=30,
                reason=f"数据目录剩余空间 {free_mb} MB,低于下限 {need_mb} MB,请联系管理员清理磁盘",
            )


class Acceptor:
    """The one door for messages, whichever edge they come through."""

    def __init__(
        self,
        dsn: str,
        *,
        node: int,
        ids: IdSource,
        router: Router,
        disk: DiskGuard,
        on_queued: Callable[[set[tuple[int, int]]], None],
        refusal: Callable[[str, int, MessageType, str], Reason | None] = lambda *_: None,
        check_callback: Callable[[Account, str], None] = lambda *_: None,
        extension: Callable[[Account, str], str] = lambda account, _: account.extend_code,
        nodes: Callable[[], int] = lambda: 1,
        spool: Spool | None = None,
        spool_seconds: float = 600.0,
        available: Callable[[], Mapping[int, int]] = dict,
        away: Callable[[], bool] = lambda: False,
        recall: Callable[[int, str, str], Awaitable[tuple[bytes, bytes] | None]] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ids = ids
        self._router = router
        self._disk = disk
        self._refusal = refusal
        self._extension = extension
        self._check_callback = check_callback
        self._on_queued = on_queued
        self._nodes = nodes
        self._recall = recall
        self._repeats: Repeats[SendResult] = Repeats(lambda r: msgspec.structs.replace(r, replayed=True))
        self._now = now
        self._monotonic = monotonic
        self._meters: dict[int, Meter] = {}
        """By account; only accounts that exist have one."""
        self._refs = 0
        self._away = away
        known = Known(available)
        commit: Callable[[Connection, list[NewCall], bool], object] = partial(
            replaying.commit, node=node, ids=ids.next, seen=known.note
        )
        self._writer: Batcher[NewCall, Stored | SmsgwError] = Batcher(
            "accept",
            dsn,
            commit,  # type: ignore[arg-type]
            weigh=lambda call: max(1, len(call.parts)),
            max_batch=2000,
            limit=MAX_QUEUED_PARTS,
            give_up_after=OUTAGE_PATIENCE,
        )
        self._spooling: Spooling | None = None
        if spool is not None:
            self._spooling = Spooling(
                spool, self._writer, seconds=spool_seconds, available=known, nodes=nodes, on_queued=on_queued,
                queues_of=_queues_of,
            )  # fmt: skip
        self.open = True
        """False while stopping: new calls are refused with ``BACKPRESSURE``."""

    async def start(self) -> None:
        """Connect the writer."""
        await self._writer.start()
        if self._spooling is not None:
            await self._spooling.start()

    async def stop(self) -> None:
        """Refuse new calls and commit those that wait."""
        self.open = False
        if self._spooling is not None:
            await self._spooling.stop()
        await self._writer.stop()

    @property
    def waiting(self) -> int:
        """Parts in memory that are not committed yet."""
        return self._writer.waiting

    @property
    def outage(self) -> float:
        """Seconds for which nothing could be committed; 0 while all is well."""
        return self._writer.outage

    @property
    def disk(self) -> DiskGuard:
        """What watches the free space."""
        return self._disk

    async def send(self, request: SendRequest) -> SendResult:
        """Accept a call. Returns after the commit; raises ``SmsgwError`` when nothing was stored.

        Recipients fail one by one (their result says why); what concerns the content or the account fails the call.
        """
        return await self._repeats.once(
            request.account.id, request, lambda: self._send(request), lambda result: result.accepted > 0
        )

    async def _send(self, request: SendRequest) -> SendResult:
        try:
            self._admit(request)
            self._meter(request)
            prepared = self._prepare(request)
        except SmsgwError as refusal:
            if self._recall is None:
                raise
            known = partial(self._recall, request.account.id)
            single = (
                request.items[0].client_ref or request.batch_client_ref if len(request.items) == 1 else ""
            )
            answer = await recalled(request, single, known, refusal)
            return msgspec.structs.replace(_decode(answer), replayed=True)
        return await self._store(request, *prepared)

    def _prepare(self, request: SendRequest) -> _Prepared:
        now = self._now()
        due, expires = self._times(request, now)
        results, checked = self._check(request)
        if self._spooling is None or not (self._spooling.active or self._away()):
            # Without the database channels let go of their carriers; what is spooled waits for them.
            self._require_route({c.route.pool for c in checked})
        return now, due, expires, results, checked

    async def _store(
        self,
        request: SendRequest,
        now: datetime,
        due: datetime | None,
        expires: datetime,
        results: list[ItemResult | None],
        checked: list[_Checked],
    ) -> SendResult:
        if not checked:  # every recipient failed: there is nothing to store
            return SendResult("0", 0, len(results), tuple(r for r in results if r is not None))

        first_id = request.first_id or self._ids.block(len(request.items))
        batch_id = first_id + checked[0].position
        messages: list[tuple[object, ...]] = []
        parts: list[tuple[object, ...]] = []
        lane = int(_lane(request))
        state = PartState.QUEUED if due is None else PartState.SCHEDULED
        policy = request.account.unknown_policy or DEFAULT_POLICY.get(request.type)
        per_part = _price(request)
        queues = set()
        keys: list[RequestKey] = []
        if request.idempotency_key is not None:
            keys.append(RequestKey("k", request.idempotency_key, request.request_sha256, batch_id))
        for one in checked:
            item, route = one.item, one.route
            message_id = first_id + one.position
            total = one.coded.parts
            self._refs = self._refs + 1 & 0xFF
            ref = self._refs if total > 1 else 0
            price = total * per_part
            client_ref = item.client_ref or request.batch_client_ref
            if item.client_ref or (client_ref and len(request.items) == 1):
                single = len(request.items) == 1
                keys.append(RequestKey("r", client_ref, request.request_sha256, message_id, answers=single))
            messages.append(
                (
                    message_id,
                    batch_id,
                    request.account.id,
                    request.origin,
                    request.type,
                    one.number,
                    route.home.carrier,
                    route.home.province,
                    one.signed.content,
                    one.signed.sign,
                    one.coded.coding.value,
                    total,
                    ref,
                    price,
                    client_ref,
                    item.ext,
                    self._extension(request.account, one.signed.sign) + item.extend_code,
                    request.submitter,
                    request.account.refund_failed,
                    request.test,
                )
            )
            whole = (total, request.account.id, route.pool_id, lane, int(state), policy, due, expires)
            parts.extend((message_id, n, *whole, "", "", False, now, None) for n in range(1, total + 1))
            status = "queued" if due is None else "scheduled"
            results[one.position] = ItemResult(item.to, str(message_id), status, total)
            queues.add((route.pool_id, lane))

        outcome = SendResult(
            str(batch_id),
            len(checked),
            len(results) - len(checked),
            tuple(r for r in results if r is not None),
        )
        call = NewCall(
            request.account.id,
            batch_id,
            messages,
            parts,
            sum(p.coded.parts for p in checked) * per_part,
            tuple(keys),
            _encode(outcome),
            (request.submitter or request.origin) if request.emergency else "",
            above=request.account.above,
            guards=() if request.test else request.account.guards,
            test=request.test,
            callback_url=request.callback_url,
            joins=request.joins,
            gate=request.gate(outcome.items) if request.gate is not None else None,
        )
        stored = await self._commit(call)
        if isinstance(stored, Stored) and stored.replay is not None:
            first = _decode(stored.replay)
            return msgspec.structs.replace(first, replayed=True)
        if due is None:
            self._on_queued(queues)
        return outcome

    async def _commit(self, call: NewCall) -> Stored | SmsgwError:
        """Into the ledger, or into the spool while that is away; what is fed from the ledger waits for it."""
        spooling = self._spooling if call.gate is None else None
        if spooling is not None and spooling.active:
            return await spooling.put(call)
        try:
            stored = await self._writer.put(call)
        except Temporary as problem:
            if spooling is None or not self.open or problem.code != "STORAGE_UNAVAILABLE":
                raise
            return await spooling.put(call, problem)
        if spooling is not None and call.keys:
            spooling.remember(call)
        return stored

    @property
    def spooling(self) -> Spooling | None:
        """What is done while the database is away; None: calls are refused."""
        return self._spooling

    def explain(self, request: SendRequest) -> list[dict[str, object]]:
        """What would become of each recipient: the same checks as ``send``, and nothing is stored."""
        self._admit(request)
        self._times(request, self._now())
        results, checked = self._check(request)
        good = {c.position: c for c in checked}
        without = set(self._router.unavailable({c.route.pool for c in checked}))
        lines: list[dict[str, object]] = []
        for position, item in enumerate(request.items):
            one = good.get(position)
            failed = results[position]
            if one is None and failed is not None:
                lines.append(
                    {"to": item.to, "verdict": "rejected", "code": failed.code, "message": failed.message}
                )
            if one is None:
                continue
            lines.append(self._explain_one(request, one, blocked=one.route.pool in without))
        return lines

    def _explain_one(self, request: SendRequest, one: _Checked, *, blocked: bool) -> dict[str, object]:
        home, content = one.route.home, one.signed.content
        version, considered = self._router.explain(
            request.account.name, request.type, one.number, home, one.signed.sign, content, self._now()
        )
        detail = {"carrier": CARRIER_ZH[home.carrier]}
        return {
            "to": one.item.to,
            "verdict": "refused" if blocked else "accepted",
            "code": "NO_ROUTE" if blocked else "OK",
            "message": message_of("NO_ROUTE", detail) if blocked else message_of("OK"),
            "number": one.number,
            "carrier": home.carrier,
            "carrier_name": CARRIER_ZH[home.carrier],
            "carrier_known_by": home.known_by,
            "province": home.province,
            "pool": one.route.pool,
            "route_version": version,
            "rules": [{"rule": c.rule, "pool": c.pool, "miss": c.miss} for c in considered],
            "content": content,
            "coding": one.coded.coding.value,
            "units": text.count_units(content, one.coded.coding),
            "parts": one.coded.parts,
            "price": one.coded.parts * _price(request),
            "lane": _lane(request).name.lower(),
        }

    # --- checks ------------------------------------------------------------------------------------------------

    def _admit(self, request: SendRequest) -> None:
        if not self.open:
            raise Temporary("BACKPRESSURE", retry_after=5, n=5)
        self._in_force(request.account)
        if request.emergency and not request.account.emergency:
            raise Refused("EMERGENCY_DENIED")
        if request.emergency and request.type is MessageType.MARKETING:
            raise Invalid("PARAM_INVALID", field="type", reason="特发短信不能是营销类型")
        if not request.items:
            raise Invalid("TO_EMPTY")
        if len(request.items) > MAX_RECIPIENTS:
            raise Invalid("TO_TOO_MANY")
        if request.callback_url:
            self._check_callback(request.account, request.callback_url)
        self._disk.check()

    def _in_force(self, account: Account) -> None:
        """The account may send at all: not stopped, its contract has begun and is not over (those above included)."""
        if account.halted:
            raise Refused("ACCOUNT_STOPPED")
        if account.first_day is None and account.last_day is None:
            return
        today = self._now().astimezone(CHINA).date()
        if account.first_day is not None and today < account.first_day:
            raise Refused("ACCOUNT_NOT_BEGUN", date=account.first_day.isoformat())
        if account.last_day is not None and today > account.last_day:
            raise Refused("ACCOUNT_EXPIRED", date=account.last_day.isoformat())

    def _meter(self, request: SendRequest) -> None:
        """Messages per second of the account, its share on this node."""
        account, now = request.account, self._monotonic()
        meter = self._meters.get(account.id)
        if meter is None:
            meter = self._meters[account.id] = Meter()
        rate = account.rate / max(1, self._nodes())
        wait = meter.take(rate, now, len(request.items))
        if wait:
            raise Temporary(
                "RATE_LIMITED", retry_after=wait, limit=account.rate, remaining=meter.remaining(rate, now),
            )  # fmt: skip

    def _times(self, request: SendRequest, now: datetime) -> tuple[datetime | None, datetime]:
        due = request.send_at
        if due is not None and due <= now:
            due = None  # "now or earlier" is now
        if due is not None and due > now + MAX_SCHEDULE:
            raise Invalid(
                "TIME_INVALID",
                reason=f"send_at 最多可提前 {MAX_SCHEDULE.days} 天,更晚的请使用任务接口 POST /tasks",
                reason_en=f"at most {MAX_SCHEDULE.days} days ahead; for later times use POST /tasks",
            )
        start = due or now
        expires = request.expire_at or start + VALIDITY[request.type]
        if expires <= start:
            raise Invalid("TIME_INVALID", reason="expire_at 须晚于发送时间")
        if expires > now + MAX_AGE:
            raise Invalid("TIME_INVALID", reason=f"expire_at 最多可晚于当前时间 {MAX_AGE.days} 天")
        return due, expires

    def _check(self, request: SendRequest) -> tuple[list[ItemResult | None], list[_Checked]]:
        """One result a recipient (None: not failed), and those that did not fail, ready to be stored, in order."""
        results: list[ItemResult | None] = [None] * len(request.items)
        checked: list[_Checked] = []
        seen: set[tuple[str, str]] = set()
        now = self._now()
        signed: dict[tuple[str, str, bool], _Signed] = {}
        coded: dict[tuple[str, str], _Coded] = {}
        for item in request.items:
            if not item.content.strip():
                raise Invalid("CONTENT_EMPTY")
            if not _EXTEND.fullmatch(item.extend_code):
                raise Invalid("EXTEND_CODE_INVALID")
        refs = [item.client_ref for item in request.items if item.client_ref]
        if len(set(refs)) < len(refs):
            raise Invalid("PARAM_INVALID", field="client_ref", reason="同一请求内流水号重复")
        for position, item in enumerate(request.items):
            try:
                number = numbers.normalize(item.to)
            except InvalidNumber:
                results[position] = self._fail(item, "NUMBER_INVALID")
                continue
            if (number, item.content) in seen:
                results[position] = self._fail(item, "NUMBER_DUPLICATE")
                continue
            seen.add((number, item.content))
            home = self._router.home(number)
            key = (item.sign, item.content, home.carrier == numbers.INTL)
            if key not in signed:
                signed[key] = self._sign(request.account, item, abroad=key[2])
            text_ = signed[key]
            refused = self._refusal(number, request.account.id, request.type, text_.sign)
            if refused is not None:
                results[position] = self._fail(item, *refused)
                continue
            route = self._route(request, number, home, text_, now)
            if request.type is MessageType.MARKETING and not self._router.marketing_open(route.pool):
                results[position] = self._fail(item, "COMPLAINT_CEILING", {"object": f"通道池 {route.pool}"})
                continue
            if (text_.content, route.pool) not in coded:
                coded[text_.content, route.pool] = self._code(text_.content, route.pool)
            checked.append(_Checked(position, item, number, route, text_, coded[text_.content, route.pool]))
        return results, checked

    def _route(self, request: SendRequest, number: str, home: Home, signed: _Signed, now: datetime) -> Route:
        if request.test:
            return self._router.test_route(home)
        return self._router.route(
            request.account.name, request.type, number, home, signed.sign, signed.content, now
        )

    @staticmethod
    def _fail(item: SendItem, code: str, detail: dict[str, str] | None = None) -> ItemResult:
        return ItemResult(item.to, None, "rejected", 0, code, message_of(code, detail))

    @staticmethod
    def _sign(account: Account, item: SendItem, *, abroad: bool) -> _Signed:
        """The content with its signature in front; numbers abroad need none."""
        content = item.content
        leading = _SIGN.match(content)
        sign = item.sign or (leading[1] if leading else account.default_sign)
        if sign:
            if not 2 <= len(sign) <= 20 or "【" in sign or "】" in sign:
                raise Invalid("PARAM_INVALID", field="sign", reason="签名须为 2 到 20 个字符,不含【】")
            if leading is None:
                content = f"【{sign}】{content}"
            elif item.sign and leading[1] != item.sign:
                raise Invalid("PARAM_INVALID", field="sign", reason="与内容开头的签名不一致")
        elif account.sign_required and not abroad:
            raise Invalid("SIGN_MISSING")
        if len(content) > MAX_CHARACTERS:
            raise Invalid("CONTENT_TOO_LONG", length=len(content))
        return _Signed(content, sign)

    def _code(self, content: str, pool: str) -> _Coded:
        """Coding and number of parts, as every channel of the pool can carry them."""
        try:
            coding = text.choose(content)
            if coding is Coding.GSM7 and not content.isascii() and self._router.ascii_only(pool):
                coding = Coding.UCS2
            return _Coded(coding, text.count_parts(content, coding))
        except Unencodable as exc:
            raise Invalid(
                "PARAM_INVALID", field="content", reason=f"第 {exc.position + 1} 个字符无法发送"
            ) from exc

    def _require_route(self, pools: set[str]) -> None:
        missing = self._router.unavailable(sorted(pools))
        if missing:
            names = {pool: CARRIER_ZH.get(pool, pool) for pool in missing}
            raise Temporary("NO_ROUTE", retry_after=10, carrier="、".join(names.values()))
