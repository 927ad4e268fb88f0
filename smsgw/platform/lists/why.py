"""Why a number gets nothing: every list and rule that speaks of it, with what it says, and what would lift it.

The facts are read in the scope of who asks; what they come to is judged without a database (``judge``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from smsgw.core.blocklist import OPT_OUT
from smsgw.core.frequency import History, Watch, scope_of, seconds_of
from smsgw.core.ids import first_id
from smsgw.core.model import Account, MessageType
from smsgw.core.number_state import NumberState
from smsgw.core.policy import Listed, PolicySet, Reviewed
from smsgw.core.settings import Settings
from smsgw.core.words import Wording
from smsgw.platform.lists import carrier, queries, undoing
from smsgw.platform.lists import consents as ledger
from smsgw.platform.lists.carrier import CarrierLift, WantedLifts
from smsgw.platform.lists.consents import Consent
from smsgw.platform.lists.model import AllowEntry, BlockEntry, WantedAllowed
from smsgw.platform.lists.undoing import Undo, UndoState, WantedUndos
from smsgw.platform.numbers import queries as numbers
from smsgw.platform.numbers.model import KnownNumber
from smsgw.platform.paging import Window
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.states import by_name
from smsgw.store.messages.complaints import Rate
from smsgw.store.records import pseudonyms

LOOK_BACK = timedelta(days=30)
"""How far back what carriers have refused, and what is held, is looked at."""
MOST = 20
"""Rows of one kind."""
NO_TEXT = 1 << 32
"""No hash of a text: what is the same text cannot be asked of a number alone."""


class Standing(StrEnum):
    """What a rule does, the gravest first."""

    BLOCKS = "blocks"
    LIMITS = "limits"
    """For now, or for some messages."""
    NOTES = "notes"
    """It is good to know; nothing is kept back."""
    CLEAR = "clear"


class Lift(StrEnum):
    """What lifts a verdict."""

    NOTHING = ""
    ENTRY = "entry"
    """The entry of the block list is lifted; ``Verdict.ref`` is its id."""
    UNDO = "undo"
    """It is asked for with a proof, and somebody else decides; ``Verdict.ref`` as with ``ENTRY``."""
    EXEMPT = "exempt"
    """The number gets no limits of frequency."""
    ONLY = "only"
    """The number joins the list of those that the account sends to."""
    FORGET = "forget"
    """What is known of the number is forgotten."""
    CARRIER = "carrier"
    """The carrier is asked; ``Verdict.ref`` is the carrier."""
    REVIEW = "review"
    """A reviewer decides."""
    ABOVE = "above"
    """Somebody who sees all accounts."""
    CONSENT = "consent"
    """The owner agrees, and the proof is entered."""
    WAIT = "wait"
    """It is over by itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says. ``said``: key of a sentence; ``values`` fill it."""

    rule: str
    standing: Standing
    said: str
    values: Mapping[str, Any] = field(default_factory=dict)
    lift: Lift = Lift.NOTHING
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that a carrier has refused."""

    at: datetime
    cls: str
    code: str
    channel: str
    carrier: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is of a number."""

    number: str
    entries: Sequence[BlockEntry] = ()
    above: Sequence[str] = ()
    """Sources of entries that hold for all accounts, and that the reader does not see."""
    allowed: Sequence[AllowEntry] = ()
    known: KnownNumber | None = None
    history: bytes = b""
    complaints: int = 0
    complained_at: datetime | None = None
    held: int = 0
    refusals: Sequence[Refusal] = ()
    request: CarrierLift | None = None
    """What a carrier was asked last."""
    undos: Sequence[Undo] = ()
    """Wishes to undo opt-outs that wait."""
    consents: Sequence[Consent] = ()
    """What was said of getting marketing, the newest first; of accounts that the reader sees."""
    consented: Mapping[int, bool] = field(default_factory=dict)
    """By account, also of those above that the reader does not see: whether the newest word is a consent."""


_ABOVE = """
SELECT DISTINCT source FROM block_list
WHERE number = $1 AND account_id = 0 AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
_SAID = """
SELECT DISTINCT ON (account_id) account_id, withdrawn_at IS NULL AS holds FROM consent WHERE number = $1
ORDER BY account_id, id DESC
"""
_HISTORY = "SELECT sent FROM number_recent WHERE number = $1"
_COMPLAINTS = """
SELECT count(*) AS n, max(at) AS at FROM complaint
WHERE number = $1 AND at > $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))
"""
_HELD = by_name("""
SELECT count(*) FROM message m JOIN part p ON p.id = m.id AND p.part = 1 AND p.id >= $2
WHERE m.number = ANY($1::text[]) AND m.id >= $2 AND ($3::bigint[] IS NULL OR m.account_id = ANY($3))
  AND +p.state = :HELD
""")
_REFUSALS = by_name("""
SELECT p.final_at, p.class, p.code, COALESCE(c.name, '') AS channel, m.carrier
FROM message m JOIN part p ON p.id = m.id AND p.part = 1 AND p.id >= $2 LEFT JOIN channel c ON c.id = p.channel_id
WHERE m.number = ANY($1::text[]) AND m.id >= $2 AND ($3::bigint[] IS NULL OR m.account_id = ANY($3))
  AND +p.state IN (:UNDELIVERABLE, :REJECTED) AND NOT p.by_us AND p.final_at IS NOT NULL AND NOT m.test
ORDER BY m.id DESC LIMIT 5
""")


async def read(
    database: Database, number: str, *, accounts: Sequence[int] | None, days: int, complaints: bool
) -> Facts:
    """What there is of a number (E.164 digits) in these accounts (None: all). ``days``: what is known of numbers and is
    older does not count; ``complaints``: whether the reader may know of any."""
    whose = None if accounts is None else list(accounts)
    since = clock.now() - LOOK_BACK
    entries = await queries.find(database, number, accounts=accounts)
    above = [] if accounts is None else [r["source"] for r in await database.fetch(_ABOVE, int(number))]
    seen = None if accounts is None else [0, *accounts]
    allowed = await queries.search_allowed(database, WantedAllowed(number), Window(limit=MOST), accounts=seen)
    known = await numbers.known(database, [number], days)
    complained = await database.fetchrow(_COMPLAINTS, number, since, whose) if complaints else None
    asked = (await pseudonyms.spellings(database, number), first_id(since), whose)
    refusals = await database.fetch(_REFUSALS, *asked, timeout=30)
    requests = await carrier.search(database, WantedLifts(number), Window(limit=1), accounts=accounts)
    undos: Sequence[Undo] = ()
    if any(entry.source == OPT_OUT for entry in entries):
        waiting = WantedUndos(number, UndoState.WAITING)
        undos = (await undoing.search(database, waiting, Window(limit=MOST), accounts=accounts)).rows
    consents = await ledger.search(database, ledger.WantedConsents(number), Window(limit=MOST), accounts=accounts)
    said = {r["account_id"]: r["holds"] for r in await database.fetch(_SAID, int(number))}
    return Facts(
        number, entries[:MOST], above, allowed.rows, known.get(number),
        await database.fetchval(_HISTORY, int(number)) or b"",
        complained["n"] if complained else 0, complained["at"] if complained else None,
        await database.fetchval(_HELD, *asked, timeout=30), [Refusal(*row.values()) for row in refusals],
        requests.rows[0] if requests.rows else None, undos, consents.rows, said,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """Of which messages it is asked. ``account`` None: whoever's; ``types``: these kinds."""

    account: Account | None = None
    types: Sequence[MessageType] = tuple(MessageType)
    sign: str = ""


def judge(
    facts: Facts, question: Question, policies: PolicySet, settings: Settings, rates: Sequence[Rate], now: datetime
) -> list[Verdict]:
    """What every rule says of the number, the gravest first."""
    found = [
        *_lists(facts, question), *_allowed(facts, question, policies), *_state(facts, question, policies),
        *_often(facts, question, policies, now), *_policies(facts, question, policies, now),
        *_consents(facts, question, policies),
        *_complaints(facts, question, settings, rates), *_reviews(facts), *_carrier(facts),
    ]  # fmt: skip
    order = list(Standing)
    return sorted(found, key=lambda one: order.index(one.standing))


def _clear(rule: str, found: list[Verdict]) -> list[Verdict]:
    """A rule that says nothing says that."""
    return found or [Verdict(rule, Standing.CLEAR, f"{rule}.clear")]


def _line(question: Question) -> tuple[int, ...]:
    account = question.account
    return () if account is None else (account.id, *account.above)


def _lists(facts: Facts, question: Question) -> list[Verdict]:
    blocked, opted = list[Verdict](), list[Verdict]()
    for entry in facts.entries:
        concerned = (
            (question.account is None or entry.account_id in (0, question.account.id))
            and (not entry.type or entry.type in [t.value for t in question.types])
            and (not entry.sign or not question.sign or entry.sign == question.sign)
        )
        out = entry.source == OPT_OUT
        values = {
            "account": entry.account or "", "type": entry.type, "sign": entry.sign, "source": entry.source,
            "reason": entry.reason, "actor": entry.actor, "at": entry.since, "until": entry.expires_at,
        }  # fmt: skip
        narrow = entry.type or entry.sign or (entry.account_id and question.account is None)
        standing = (Standing.LIMITS if narrow else Standing.BLOCKS) if concerned else Standing.NOTES
        rule = "opt_out" if out else "block"
        waits = any(undo.entry == entry.version for undo in facts.undos)
        lift = Lift.NOTHING if waits else Lift.UNDO if out else Lift.ENTRY
        (opted if out else blocked).append(
            Verdict(rule, standing, f"{rule}.entry", values, lift, str(entry.id))
        )  # fmt: skip
    for source in facts.above:
        rule = "opt_out" if source == OPT_OUT else "block"
        above = Verdict(rule, Standing.BLOCKS, f"{rule}.above", {"source": source}, Lift.ABOVE)
        (opted if source == OPT_OUT else blocked).append(above)
    opted += [
        Verdict("opt_out", Standing.NOTES, "opt_out.request", {"at": undo.asked_at}, ref=str(undo.id))
        for undo in facts.undos
    ]
    return [*_clear("block", blocked), *_clear("opt_out", opted)]


def _allowed(facts: Facts, question: Question, policies: PolicySet) -> list[Verdict]:
    line, found = _line(question), list[Verdict]()
    mine = [e for e in facts.allowed if not line or e.account_id in (0, *line)]
    kinds = {e.kind for e in mine}
    if line and not policies.restricted.isdisjoint(line) and Listed.ONLY.value not in kinds:
        found.append(Verdict("only", Standing.BLOCKS, "only.missing", {}, Lift.ONLY))
    found += [
        Verdict("only", Standing.NOTES, f"only.{e.kind}", {"account": e.account or "", "note": e.note}) for e in mine
    ]  # fmt: skip
    return _clear("only", found)


def _exempt(facts: Facts, question: Question) -> bool:
    return any(e.kind in (Listed.EXEMPT, Listed.TEST) for e in _listed(facts, question))


def _listed(facts: Facts, question: Question) -> list[AllowEntry]:
    """Entries of the allow list that hold for the account."""
    line = _line(question)
    return [e for e in facts.allowed if not e.account_id or e.account_id in line]


def _state(facts: Facts, question: Question, policies: PolicySet) -> list[Verdict]:
    known, account = facts.known, question.account
    if known is None or known.state == NumberState.LIVE:
        at = {} if known is None else {"at": known.at}
        return [Verdict("state", Standing.CLEAR, "state.live" if known else "state.clear", at)]
    values = {"state": known.state, "source": known.source, "code": known.code, "at": known.at}
    drops = account is not None and any(policies.limits(account, t).drop_empty for t in question.types)
    if known.state == NumberState.EMPTY and drops:
        return [Verdict("state", Standing.BLOCKS, "state.dropped", values, Lift.FORGET)]
    return [Verdict("state", Standing.NOTES, "state.known", values, Lift.FORGET)]


def _often(facts: Facts, question: Question, policies: PolicySet, now: datetime) -> list[Verdict]:
    account = question.account
    if account is None:
        return [Verdict("frequency", Standing.NOTES, "frequency.account")]
    if _exempt(facts, question):
        return [Verdict("frequency", Standing.CLEAR, "frequency.exempt")]
    found, history = list[Verdict](), History(facts.history)
    for kind in question.types:
        limits = policies.limits(account, kind)
        part = f"/{question.sign or account.default_sign}" if limits.frequency_per == "template" else ""
        watch = Watch(
            0, int(facts.number), seconds_of(now), scope_of(account.id, kind, part), NO_TEXT, limits.frequency,
            0, 0, limits.frequency_all if limits.frequency else (),
        )  # fmt: skip
        reason = history.judge(watch)
        if reason is not None:
            rule: Wording | str = reason[1]["rule"]
            values = {"type": kind.value, "rule": rule}
            found.append(Verdict("frequency", Standing.LIMITS, "frequency.reached", values, Lift.EXEMPT))
    return _clear("frequency", found)


def _policies(facts: Facts, question: Question, policies: PolicySet, now: datetime) -> list[Verdict]:
    account, found = question.account, list[Verdict]()
    if account is None:
        return [Verdict("policy", Standing.NOTES, "policy.account")]
    tested = any(e.kind == Listed.TEST for e in _listed(facts, question))
    for kind in question.types:
        limits = policies.limits(account, kind)
        opens = None if tested else limits.hours.opens(now)
        if opens is not None:
            values = {"type": kind.value, "at": opens}
            found.append(Verdict("policy", Standing.LIMITS, "policy.hours", values, Lift.WAIT))
        if limits.review is not Reviewed.OFF and not tested:
            found.append(Verdict("policy", Standing.NOTES, f"policy.review_{limits.review}", {"type": kind.value}))
    return _clear("policy", found)


def _consents(facts: Facts, question: Question, policies: PolicySet) -> list[Verdict]:
    """The nearest account to which anything was said decides, as when a message is taken."""
    account = question.account
    if account is None:
        return [Verdict("consent", Standing.NOTES, "consent.account")]
    asked = [t for t in question.types if policies.limits(account, t).consent == t]
    if not asked:
        return _clear("consent", [])
    nearest = next((one for one in _line(question) if one in facts.consented), None)
    newest = next((one for one in facts.consents if one.account_id == nearest), None)
    if nearest is not None and facts.consented[nearest]:
        values = {} if newest is None else {"at": newest.given_at}
        return [Verdict("consent", Standing.CLEAR, "consent.given" if newest else "consent.above", values)]
    standing = Standing.BLOCKS if len(asked) == len(question.types) else Standing.LIMITS
    withdrawn = None if newest is None else newest.withdrawn_at
    said = "consent.withdrawn" if withdrawn else "consent.none"
    return [Verdict("consent", standing, said, {"at": withdrawn} if withdrawn else {}, Lift.CONSENT)]


def _complaints(facts: Facts, question: Question, settings: Settings, rates: Sequence[Rate]) -> list[Verdict]:
    found = list[Verdict]()
    sign = question.sign or (question.account.default_sign if question.account else "")
    if MessageType.MARKETING in question.types and sign:
        over = next((r for r in rates if r.channel_id is None and r.name == sign and r.over(settings)), None)
        if over is not None:
            values = {"sign": sign, "n": over.complaints}
            found.append(Verdict("complaint", Standing.LIMITS, "complaint.ceiling", values, Lift.WAIT))
    if facts.complaints:
        values = {"n": facts.complaints, "at": facts.complained_at}
        found.append(Verdict("complaint", Standing.NOTES, "complaint.some", values))
    return _clear("complaint", found)


def _reviews(facts: Facts) -> list[Verdict]:
    if facts.held:
        return [Verdict("review", Standing.LIMITS, "review.held", {"n": facts.held}, Lift.REVIEW)]
    return _clear("review", [])


def _carrier(facts: Facts) -> list[Verdict]:
    found, request = list[Verdict](), facts.request
    blocking = next((r for r in facts.refusals if r.cls == "BLACKLIST_CARRIER"), None)
    for refusal in facts.refusals:
        values = {"at": refusal.at, "cls": refusal.cls, "code": refusal.code, "channel": refusal.channel}
        if refusal is blocking:
            lift = Lift.NOTHING if request is not None and request.state in carrier.STEPS else Lift.CARRIER
            found.append(Verdict("carrier", Standing.BLOCKS, "carrier.blocks", values, lift, refusal.carrier))
        elif refusal.cls != "BLACKLIST_CARRIER":
            found.append(Verdict("carrier", Standing.NOTES, "carrier.failed", values))
    if request is not None:
        values = {"state": request.state, "at": request.decided_at or request.sent_at or request.asked_at}
        found.append(Verdict("carrier", Standing.NOTES, "carrier.request", values, ref=str(request.id)))
    return _clear("carrier", found)
