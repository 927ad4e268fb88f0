"""Accept: check, route, split, store; the caller hears of it only after the commit."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec

from smsgw.core import numbers, text
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary, message_of
from smsgw.core.ids import IdSource
from smsgw.core.model import LANE_OF, Account, MessageType, Origin
from smsgw.core.numbers import InvalidNumber
from smsgw.core.states import PartState
from smsgw.core.text import Coding, Unencodable
from smsgw.pipeline.routing import CARRIER_ZH, Route, Router
from smsgw.store.accepting import NewCall, RequestKey, Stored, commit_calls
from smsgw.store.batch import Batcher
from smsgw.store.db import Connection

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
    billed: bool = True
    """False for test keys."""


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


@dataclass(frozen=True, slots=True)
class _Composed:
    """A content as it will be on the phone, and how it travels."""

    content: str
    sign: str
    coding: Coding
    parts: int


@dataclass(frozen=True, slots=True)
class _Checked:
    """A recipient that can be sent to."""

    item: SendItem
    number: str
    route: Route
    composed: _Composed


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SendResult).decode


class DiskGuard:
    """Knows whether the data folder has room, so that new messages are refused before a write fails half-way."""

    CHECK_EVERY = 1.0

    def __init__(self, folder: Path, min_free_mb: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._min_free = min_free_mb * 1024 * 1024
        self._clock = clock
        self._checked_at = float("-inf")
        self._free = 0

    def check(self) -> None:
        """Raise ``STORAGE_UNAVAILABLE`` when the folder has less than the configured free space."""
        now = self._clock()
        if now - self._checked_at >= self.CHECK_EVERY:
            self._checked_at = now
            try:
                self._free = shutil.disk_usage(self._folder).free
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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ids = ids
        self._router = router
        self._disk = disk
        self._on_queued = on_queued
        self._now = now
        self._refs = 0
        commit: Callable[[Connection, list[NewCall], bool], object] = partial(commit_calls, node=node)
        self._writer: Batcher[NewCall, Stored | SmsgwError] = Batcher(
            "accept",
            dsn,
            commit,  # type: ignore[arg-type]
            weigh=lambda call: max(1, len(call.parts)),
            max_batch=2000,
            limit=MAX_QUEUED_PARTS,
            give_up_after=OUTAGE_PATIENCE,
        )
        self.open = True
        """False while stopping: new calls are refused with ``BACKPRESSURE``."""

    async def start(self) -> None:
        """Connect the writer."""
        await self._writer.start()

    async def stop(self) -> None:
        """Refuse new calls and commit those that wait."""
        self.open = False
        await self._writer.stop()

    @property
    def waiting(self) -> int:
        """Parts in memory that are not committed yet."""
        return self._writer.waiting

    async def send(self, request: SendRequest) -> SendResult:
        """Accept a call. Returns after the commit; raises ``SmsgwError`` when nothing was stored.

        Recipients fail one by one (their result says why); what concerns the content or the account fails the call.
        """
        self._admit(request)
        now = self._now()
        due, expires = self._times(request, now)
        results, checked = self._check(request)
        self._require_route({c.route.pool for c in checked})

        batch_id = self._ids.next()
        messages: list[tuple[object, ...]] = []
        parts: list[tuple[object, ...]] = []
        lane = int(LANE_OF[request.type])
        state = PartState.QUEUED if due is None else PartState.SCHEDULED
        policy = request.account.unknown_policy
        queues = set()
        message_id = batch_id
        for one in checked:
            item, composed, route = one.item, one.composed, one.route
            total = composed.parts
            self._refs = self._refs + 1 & 0xFF
            ref = self._refs if total > 1 else 0
            price = total if request.billed else 0
            messages.append(
                (
                    message_id, batch_id, request.account.id, request.origin, request.type, one.number, route.carrier,
                    route.province, composed.content, composed.sign, composed.coding.value, total, ref, price,
                    item.client_ref or request.batch_client_ref, item.ext,
                    request.account.extend_code + item.extend_code, request.submitter,
                )
            )
            parts.extend(
                (
                    message_id, n, total, request.account.id, route.pool_id, lane, int(state), policy, due, expires,
                    "", "", False, now, None,
                )
                for n in range(1, total + 1)
            )
            results[item] = ItemResult(
                item.to, str(message_id), "queued" if due is None else "scheduled", total
            )
            queues.add((route.pool_id, lane))
            message_id = self._ids.next()

        outcome = SendResult(
            str(batch_id), len(checked), len(request.items) - len(checked), tuple(results[i] for i in request.items)
        )
        call = NewCall(
            request.account.id,
            batch_id,
            messages,
            parts,
            sum(p.composed.parts for p in checked) if request.billed else 0,
            self._keys(request),
            _encode(outcome),
        )
        stored = await self._writer.put(call)
        if isinstance(stored, Stored) and stored.replay is not None:
            first = _decode(stored.replay)
            return msgspec.structs.replace(first, replayed=True)
        if due is None:
            self._on_queued(queues)
        return outcome

    def explain(self, request: SendRequest) -> list[dict[str, object]]:
        """What would become of each recipient: the same checks as ``send``, and nothing is stored."""
        self._admit(request)
        self._times(request, self._now())
        results, checked = self._check(request)
        good = {c.item: c for c in checked}
        without = set(self._router.unavailable({c.route.pool for c in checked}))
        lines: list[dict[str, object]] = []
        for item in request.items:
            one = good.get(item)
            if one is None:
                failed = results[item]
                lines.append(
                    {"to": item.to, "verdict": "rejected", "code": failed.code, "message": failed.message}
                )
                continue
            blocked = one.route.pool in without
            detail = {"carrier": CARRIER_ZH[one.route.carrier]}
            lines.append(
                {
                    "to": item.to,
                    "verdict": "refused" if blocked else "accepted",
                    "code": "NO_ROUTE" if blocked else "OK",
                    "message": message_of("NO_ROUTE", detail) if blocked else message_of("OK"),
                    "number": one.number,
                    "carrier": one.route.carrier,
                    "carrier_name": CARRIER_ZH[one.route.carrier],
                    "carrier_known_by": one.route.known_by,
                    "province": one.route.province,
                    "pool": one.route.pool,
                    "content": one.composed.content,
                    "coding": one.composed.coding.value,
                    "units": text.count_units(one.composed.content, one.composed.coding),
                    "parts": one.composed.parts,
                    "price": one.composed.parts if request.billed else 0,
                    "lane": LANE_OF[request.type].name.lower(),
                }
            )
        return lines

    # --- checks ------------------------------------------------------------------------------------------------

    def _admit(self, request: SendRequest) -> None:
        if not self.open:
            raise Temporary("BACKPRESSURE", retry_after=5, n=5)
        if request.account.status != "active":
            raise Refused("ACCOUNT_STOPPED")
        if not request.items:
            raise Invalid("TO_EMPTY")
        if len(request.items) > MAX_RECIPIENTS:
            raise Invalid("TO_TOO_MANY")
        self._disk.check()

    def _times(self, request: SendRequest, now: datetime) -> tuple[datetime | None, datetime]:
        due = request.send_at
        if due is not None and due <= now:
            due = None  # "now or earlier" is now
        if due is not None and due > now + MAX_SCHEDULE:
            raise Invalid("TIME_INVALID", reason=f"send_at 最多可提前 {MAX_SCHEDULE.days} 天")
        start = due or now
        expires = request.expire_at or start + VALIDITY[request.type]
        if expires <= start:
            raise Invalid("TIME_INVALID", reason="expire_at 须晚于发送时间")
        return due, expires

    def _check(self, request: SendRequest) -> tuple[dict[SendItem, ItemResult], list[_Checked]]:
        """Results of the recipients that fail, and the others ready to be stored, in order."""
        results: dict[SendItem, ItemResult] = {}
        checked: list[_Checked] = []
        seen: set[tuple[str, str]] = set()
        composed: dict[tuple[str, str], _Composed] = {}
        for item in request.items:
            key = (item.sign, item.content)
            if key not in composed:
                composed[key] = self._compose(request.account, item)
            if not _EXTEND.fullmatch(item.extend_code):
                raise Invalid("EXTEND_CODE_INVALID")
            try:
                number = numbers.normalize(item.to)
            except InvalidNumber:
                results[item] = self._fail(item, "NUMBER_INVALID")
                continue
            if (number, item.content) in seen:
                results.setdefault(item, self._fail(item, "NUMBER_DUPLICATE"))
                continue
            seen.add((number, item.content))
            checked.append(_Checked(item, number, self._router.route(number), composed[key]))
        return results, checked

    @staticmethod
    def _fail(item: SendItem, code: str) -> ItemResult:
        return ItemResult(item.to, None, "rejected", 0, code, message_of(code))

    @staticmethod
    def _compose(account: Account, item: SendItem) -> _Composed:
        """The content with its signature in front, its coding and number of parts."""
        content = item.content
        if not content.strip():
            raise Invalid("CONTENT_EMPTY")
        leading = _SIGN.match(content)
        sign = item.sign or (leading[1] if leading else account.default_sign)
        if not sign:
            raise Invalid("SIGN_MISSING")
        if not 2 <= len(sign) <= 20 or "【" in sign or "】" in sign:
            raise Invalid("PARAM_INVALID", field="sign", reason="签名须为 2 到 20 个字符,不含【】")
        if leading is None:
            content = f"【{sign}】{content}"
        elif item.sign and leading[1] != item.sign:
            raise Invalid("PARAM_INVALID", field="sign", reason="与内容开头的签名不一致")
        if len(content) > MAX_CHARACTERS:
            raise Invalid("CONTENT_TOO_LONG", length=len(content))
        try:
            coding = text.choose(content)
            return _Composed(content, sign, coding, text.count_parts(content, coding))
        except Unencodable as exc:
            raise Invalid(
                "PARAM_INVALID", field="content", reason=f"第 {exc.position + 1} 个字符无法发送"
            ) from exc

    def _require_route(self, pools: set[str]) -> None:
        missing = self._router.unavailable(sorted(pools))
        if missing:
            names = {pool: CARRIER_ZH.get(pool, pool) for pool in missing}
            raise Temporary("NO_ROUTE", retry_after=10, carrier="、".join(names.values()))

    @staticmethod
    def _keys(request: SendRequest) -> tuple[RequestKey, ...]:
        keys = []
        if request.idempotency_key is not None:
            keys.append(RequestKey("k", request.idempotency_key, request.request_sha256))
        if len(request.items) == 1 and (ref := request.items[0].client_ref or request.batch_client_ref):
            keys.append(RequestKey("r", ref, request.request_sha256))
        elif len(request.items) > 1:
            # The references of a personalised call name its recipients one by one.
            keys += [RequestKey("r", i.client_ref, request.request_sha256) for i in request.items if i.client_ref]
        return tuple(keys)
