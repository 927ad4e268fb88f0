"""Why a number gets nothing: every list and rule that speaks of it, with what it says, and what would lift it.

The facts are read in the scope of who asks. Whether they keep a message back is what the checks of acceptance say of
it, without a database; here it is put into words (``explain``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.blocklist import OPT_OUT, UNREADABLE, BlockList, Entry, Scope
from smsgw.core.errors import Reason
from smsgw.core.frequency import History
from smsgw.core.ids import first_id
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.number_state import NumberState
from smsgw.core.policy import Listed, PolicySet, Reviewed
from smsgw.core.settings import Settings
from smsgw.pipeline.accept.checks import Draft, NumberChecks, Standing as Subject
from smsgw.pipeline.accept.number_lists import agreed, refusal_of
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.pipeline.accept.rows import watch_of
from smsgw.pipeline.routing import Home
from smsgw.platform.lists import carrier, consents as ledger, queries, undoing
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
_HOME = Home("", "", "default")


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
    code: str = ""
    """With which acceptance refuses such a message; empty: it does not."""


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
    above: Sequence[Entry] = ()
    """Entries that hold for all accounts, and that the reader does not see."""
    allowed: Sequence[AllowEntry] = ()
    listed: Sequence[tuple[int, Listed]] = ()
    """Of the allow list, also of accounts that the reader does not see."""
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
SELECT type, sign, source, since, expires_at FROM block_list
WHERE number = $1 AND account_id = 0 AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
_SAID = """
SELECT DISTINCT ON (account_id) account_id, withdrawn_at IS NULL AS holds FROM consent WHERE number = $1
ORDER BY account_id, id DESC
"""
_LISTED = "SELECT account_id, kind FROM allow_list WHERE number = $1"
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
    above = [] if accounts is None else await database.fetch(_ABOVE, int(number))
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
        number, entries[:MOST],
        [_held(number, Scope(0, r["type"], r["sign"]), r["source"], r["since"], r["expires_at"]) for r in above],
        allowed.rows, [(r["account_id"], Listed(r["kind"])) for r in await database.fetch(_LISTED, number)],
        known.get(number),
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


_Answers = Mapping[str, Mapping[MessageType, Mapping[str, Any]]]
"""With which codes acceptance refuses messages of which types, and the detail."""


def explain(
    facts: Facts, question: Question, policies: PolicySet, settings: Settings, rates: Sequence[Rate], now: datetime
) -> list[Verdict]:
    """What every rule says of the number, the gravest first."""
    over = {r.name: r for r in rates if r.channel_id is None and r.over(settings)}
    policies = replace(policies, allowed={facts.number: tuple(facts.listed)})
    answers = _answers(facts, question, policies, over, now)
    found = [
        *_lists(facts, question, now), *_allowed(facts, question, answers), *_state(facts, question, answers),
        *_often(facts, question, policies, answers), *_policies(facts, question, policies, answers, now),
        *_consents(facts, question, policies, answers), *_complaints(facts, question, over, now),
        *_reviews(facts), *_carrier(facts),
    ]  # fmt: skip
    order = list(Standing)
    return sorted(found, key=lambda one: order.index(one.standing))


@dataclass(frozen=True, slots=True)
class _Known:
    """The facts, as checks ask for them; entries of the block list are asked about one by one (``_entry``)."""

    facts: Facts
    over: Collection[str]
    now: datetime

    def refusal(self, number: str, account_id: int, type_: MessageType, sign: str) -> Reason | None:
        return refusal_of(BlockList(), self.over, number, account_id, type_, sign, self.now.timestamp())

    def consented(self, _: str, accounts: Sequence[int]) -> bool:
        return agreed(self.facts.consented, accounts)

    def empty(self, _: str) -> bool:
        return self.facts.known is not None and self.facts.known.state == NumberState.EMPTY


def _answers(facts: Facts, question: Question, policies: PolicySet, over: Collection[str], now: datetime) -> _Answers:
    """What acceptance says of a message of each type."""
    account, found = question.account, dict[str, dict[MessageType, Mapping[str, Any]]]()
    if account is None:
        return found
    known, line, history = _Known(facts, over, now), _line(question), History(facts.history)
    for kind in question.types:
        limits = policies.limits(account, kind)
        item = SendItem(facts.number, "")
        request = SendRequest(account, (item,), kind, Origin.PORTAL, ActorLabel(""))
        sign = question.sign or account.default_sign
        draft = Draft(
            request, limits, policies, line, sign, "", abroad=False, opens=limits.hours.opens(now), optout_words=(),
            at=now,
        )  # fmt: skip
        subject = Subject(draft, facts.number, _HOME, policies.listed(facts.number, line))
        said = [check(subject) for _, check in NumberChecks(known, known).asked]
        watch = watch_of(request, 0, subject, now)
        said.append(None if watch is None else history.judge(replace(watch, text=NO_TEXT)))
        for code, detail in filter(None, said):
            found.setdefault(code, {})[kind] = detail
    return found


def _standing(refused: Collection[MessageType], question: Question) -> Standing:
    """Of what keeps messages of these types back."""
    return Standing.BLOCKS if len(refused) == len(question.types) else Standing.LIMITS


def _clear(rule: str, found: list[Verdict]) -> list[Verdict]:
    """A rule that says nothing says that."""
    return found or [Verdict(rule, Standing.CLEAR, f"{rule}.clear")]


def _line(question: Question) -> tuple[int, ...]:
    account = question.account
    return () if account is None else (account.id, *account.above)


def _entry(entry: Entry, question: Question, now: datetime) -> tuple[Standing, str]:
    """What an entry of the block list does, and with which code."""
    scope, account = entry.scope, question.account
    account_id = scope.account_id if account is None else account.id
    sign = question.sign or scope.sign or (account.default_sign if account else "")
    rows, number, at = BlockList([entry]), str(entry.number), now.timestamp()
    said = {kind: refusal_of(rows, (), number, account_id, kind, sign, at) for kind in question.types}
    refused = [reason for reason in said.values() if reason is not None]
    if not refused:
        return Standing.NOTES, ""
    some = len(refused) < len(said) or (scope.account_id and account is None) or (scope.sign and not question.sign)
    return Standing.LIMITS if some else Standing.BLOCKS, refused[0][0]


def _held(number: str, scope: Scope, source: str, since: datetime, expires_at: datetime | None) -> Entry:
    """An entry as nodes hold it."""
    until = 0 if expires_at is None else int(expires_at.timestamp())
    held = Entry(int(number), scope, source, int(since.timestamp()), until)
    return held if held.readable else Entry.unreadable(held.number, scope)


def _lists(facts: Facts, question: Question, now: datetime) -> list[Verdict]:
    blocked, opted = list[Verdict](), list[Verdict]()
    for entry in facts.entries:
        out = entry.source == OPT_OUT
        values = {
            "account": entry.account or "", "type": entry.type, "sign": entry.sign, "source": entry.source,
            "reason": entry.reason, "actor": entry.actor, "at": entry.since, "until": entry.expires_at,
        }  # fmt: skip
        held = _held(entry.number, entry.scope, entry.source, entry.since, entry.expires_at)
        standing, code = _entry(held, question, now)
        rule = "opt_out" if out else "block"
        waits = any(undo.entry == entry.version for undo in facts.undos)
        lift = Lift.NOTHING if waits else Lift.UNDO if out else Lift.ENTRY
        said = "block.unreadable" if held.source == UNREADABLE else f"{rule}.entry"
        (opted if out else blocked).append(Verdict(rule, standing, said, values, lift, str(entry.id), code))
    for other in facts.above:
        out = other.source == OPT_OUT
        rule = "opt_out" if out else "block"
        standing, code = _entry(other, question, now)
        above = Verdict(rule, standing, f"{rule}.above", {"source": other.source}, Lift.ABOVE, code=code)
        (opted if out else blocked).append(above)
    opted += [
        Verdict("opt_out", Standing.NOTES, "opt_out.request", {"at": undo.asked_at}, ref=str(undo.id))
        for undo in facts.undos
    ]
    return [*_clear("block", blocked), *_clear("opt_out", opted)]


def _allowed(facts: Facts, question: Question, answers: _Answers) -> list[Verdict]:
    line, code = _line(question), "NUMBER_NOT_ALLOWED"
    missing = [Verdict("only", Standing.BLOCKS, "only.missing", {}, Lift.ONLY, code=code)] if code in answers else []
    mine = [e for e in facts.allowed if not line or e.account_id in (0, *line)]
    found = [
        Verdict("only", Standing.NOTES, f"only.{e.kind}", {"account": e.account or "", "note": e.note}) for e in mine
    ]
    return _clear("only", missing + found)


def _state(facts: Facts, question: Question, answers: _Answers) -> list[Verdict]:
    known, code = facts.known, "NUMBER_EMPTY"
    if known is None or known.state == NumberState.LIVE:
        at = {} if known is None else {"at": known.at}
        return [Verdict("state", Standing.CLEAR, "state.live" if known else "state.clear", at)]
    values = {"state": known.state, "source": known.source, "code": known.code, "at": known.at}
    if code in answers:
        standing = _standing(answers[code], question)
        return [Verdict("state", standing, "state.dropped", values, Lift.FORGET, code=code)]
    return [Verdict("state", Standing.NOTES, "state.known", values, Lift.FORGET)]


def _often(facts: Facts, question: Question, policies: PolicySet, answers: _Answers) -> list[Verdict]:
    code = "NUMBER_FREQ_LIMITED"
    if question.account is None:
        return [Verdict("frequency", Standing.NOTES, "frequency.account")]
    if not {Listed.EXEMPT, Listed.TEST}.isdisjoint(policies.listed(facts.number, _line(question))):
        return [Verdict("frequency", Standing.CLEAR, "frequency.exempt")]
    found = [
        Verdict("frequency", Standing.LIMITS, "frequency.reached", {"type": kind.value, "rule": detail["rule"]},
                Lift.EXEMPT, code=code)
        for kind, detail in answers.get(code, {}).items()
    ]  # fmt: skip
    return _clear("frequency", found)


def _policies(facts: Facts, question: Question, policies: PolicySet, answers: _Answers, now: datetime) -> list[Verdict]:
    account, found, code = question.account, list[Verdict](), "TIME_WINDOW_CLOSED"
    if account is None:
        return [Verdict("policy", Standing.NOTES, "policy.account")]
    tested = Listed.TEST in policies.listed(facts.number, _line(question))
    for kind in question.types:
        limits = policies.limits(account, kind)
        if kind in answers.get(code, ()):
            values = {"type": kind.value, "at": limits.hours.opens(now)}
            found.append(Verdict("policy", Standing.LIMITS, "policy.hours", values, Lift.WAIT, code=code))
        if limits.review is not Reviewed.OFF and not tested:
            found.append(Verdict("policy", Standing.NOTES, f"policy.review_{limits.review}", {"type": kind.value}))
    return _clear("policy", found)


def _consents(facts: Facts, question: Question, policies: PolicySet, answers: _Answers) -> list[Verdict]:
    account, code = question.account, "NUMBER_NO_CONSENT"
    if account is None:
        return [Verdict("consent", Standing.NOTES, "consent.account")]
    nearest = next((one for one in _line(question) if one in facts.consented), None)
    newest = next((one for one in facts.consents if one.account_id == nearest), None)
    if code in answers:
        withdrawn = None if newest is None else newest.withdrawn_at
        said, at = ("consent.withdrawn", {"at": withdrawn}) if withdrawn else ("consent.none", {})
        return [Verdict("consent", _standing(answers[code], question), said, at, Lift.CONSENT, code=code)]
    if all(policies.limits(account, t).consent != t for t in question.types):
        return _clear("consent", [])
    values = {} if newest is None else {"at": newest.given_at}
    return [Verdict("consent", Standing.CLEAR, "consent.given" if newest else "consent.above", values)]


def _complaints(facts: Facts, question: Question, over: Mapping[str, Rate], now: datetime) -> list[Verdict]:
    found, code = list[Verdict](), "COMPLAINT_CEILING"
    sign = question.sign or (question.account.default_sign if question.account else "")
    known = _Known(facts, over, now)
    if any(known.refusal(facts.number, 0, kind, sign) for kind in question.types):
        values = {"sign": sign, "n": over[sign].complaints}
        found.append(Verdict("complaint", Standing.LIMITS, "complaint.ceiling", values, Lift.WAIT, code=code))
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
