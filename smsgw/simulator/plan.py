"""What a carrier did in a recording (smsgw.recording), part by part: answers, reports, breaks, messages from phones.

Delays are taken from the submit that they follow. A report finds its submit by the id that it cites, in whichever
spelling, or by the number when the answer with the id was never given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smsgw.core import udh
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.pdu import RESPONSE, Pdu
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp, reports as smgp_reports
from smsgw.protocols.smpp import pdus as smpp, reports as smpp_reports, tlvs
from smsgw.recording import Recording, RecordingError, Seen, Turn, read

FROZEN_AFTER = 5.0
"""A connection that the client closed with a keep-alive unanswered for so long had frozen."""
Key = tuple[tuple[str, ...], bytes]
"""Which part a submit carries: its destinations and its content, header included."""

_SUBMITS = (cmpp.Submit, smgp.Submit, sgip.Submit, smpp.SubmitSm, smpp.SubmitMulti, smpp.DataSm)
_DELIVERIES = (cmpp.Deliver, smgp.Deliver, sgip.Deliver, sgip.Report, smpp.DeliverSm, smpp.DataSm)
_LOGINS = (
    cmpp.ConnectResp, smgp.LoginResp, sgip.BindResp,
    smpp.BindTransceiverResp, smpp.BindTransmitterResp, smpp.BindReceiverResp,
)  # fmt: skip
_LOGOUTS = (cmpp.Terminate, smgp.Exit, sgip.Unbind, smpp.Unbind)
_KEEPALIVES = (cmpp.ActiveTest, smgp.ActiveTest, smpp.EnquireLink)


def core(number: str) -> str:
    """A phone number without the country code of the mainland, however it is written."""
    plain = number.removeprefix("+").removeprefix("00")
    return plain.removeprefix("86") if len(plain) == 13 and plain.startswith("861") else plain


def key_of(pdu: Pdu) -> Key:
    """The part that a submit carries."""
    match pdu:
        case cmpp.Submit():
            return pdu.dest_terminal_id, pdu.msg_content
        case smgp.Submit():
            return pdu.dest_term_id, pdu.msg_content
        case sgip.Submit():
            return pdu.user_number, pdu.message_content
        case smpp.SubmitMulti():
            addresses = (getattr(d, "destination_addr", "") for d in pdu.dest_address)
            return tuple(addresses), pdu.short_message or pdu.tlv(tlvs.MESSAGE_PAYLOAD) or b""
        case smpp.SubmitSm():
            return (pdu.destination_addr,), pdu.short_message or pdu.tlv(tlvs.MESSAGE_PAYLOAD) or b""
        case smpp.DataSm():
            return (pdu.destination_addr,), pdu.tlv(tlvs.MESSAGE_PAYLOAD) or b""
    raise TypeError(type(pdu).__name__)


def source_of(pdu: Any) -> str:
    """The service number that a submit is from."""
    for name in ("src_id", "src_term_id", "sp_number", "source_addr"):
        value = getattr(pdu, name, None)
        if isinstance(value, str):
            return value
    return ""


def place(pdu: Pdu) -> tuple[int, int]:
    """(number, total) in a long message."""
    content = key_of(pdu)[1]
    flagged = getattr(pdu, "tp_udhi", 0) or getattr(pdu, "esm_class", 0) & 0x40 or pdu.tlv(smgp.TP_UDHI)
    if flagged:
        try:
            concat = udh.parse(content).concat
        except udh.InvalidUdh:
            concat = None
        if concat is not None:
            return concat.number, concat.total
    return 1, 1


@dataclass(slots=True)
class Delivery:
    """A report or a message from a phone, as it was recorded."""

    pdu: Pdu
    report: bool
    delay: float
    """Seconds after the submit that it belongs to, or after the start."""


@dataclass(slots=True)
class Try:
    """One submit, and what came of it. Delays are in seconds after it."""

    at: float
    link: int
    pdu: Pdu
    answers: list[tuple[float, Pdu]] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    cuts: list[tuple[float, str]] = field(default_factory=list)
    """Ends of its connection: `fin`, `rst`, `logout`, `freeze`."""


@dataclass(slots=True)
class Plan:
    """What the carrier of a recording did."""

    recording: Recording
    parts: list[list[Try]] = field(default_factory=list)
    """The tries of each part, in the order of their first."""
    logins: list[int] = field(default_factory=list)
    """Statuses of the answers to logins."""
    timed: list[Delivery] = field(default_factory=list)
    """What came without a part, seconds after the start."""
    cuts: list[tuple[float, str]] = field(default_factory=list)
    """Ends of connections that had carried no submit."""
    bases: dict[str, int] = field(default_factory=dict)
    """SMPP: base of ids in answers, texts of receipts and parameters of receipts; absent: no numbers."""


def load(path: Path) -> Plan:
    """Read a recording and understand it. Raises `RecordingError` or `OSError`."""
    with path.open("rb") as file:
        plan = understand(read(file))
    if not plan.parts and not plan.timed:
        raise RecordingError("neither a submit nor a delivery is in it")
    return plan


# --- ids ------------------------------------------------------------------------------------------------------


def answer_id(pdu: Pdu) -> str:
    match pdu:
        case cmpp.SubmitResp():
            return f"{pdu.msg_id:016x}" if pdu.msg_id else ""
        case smgp.SubmitResp():
            return pdu.msg_id.hex() if any(pdu.msg_id) else ""
        case smpp.SubmitSmResp() | smpp.DataSmResp() | smpp.SubmitMultiResp():
            return pdu.message_id
    return ""


def _cited(pdu: Pdu) -> dict[str, str]:
    """The ids that a report cites, by the place where they stand; {} when it is no report or has none."""
    match pdu:
        case cmpp.Deliver(registered_delivery=1):
            return {"text": pdu.msg_content[:8].hex()} if len(pdu.msg_content) >= 8 else {}
        case smgp.Deliver(is_report=1):
            found = smgp_reports.parse(pdu.msg_content).id
            return {"text": found.hex()} if found else {}
        case smpp.DeliverSm() | smpp.DataSm():
            receipt = smpp_reports.of_deliver(pdu)
            if receipt is None:
                return {}
            return {k: v for k, v in (("tlv", receipt.receipted_message_id), ("text", receipt.id)) if v}
    return {}


def is_report(pdu: Pdu) -> bool:
    match pdu:
        case sgip.Report():
            return True
        case cmpp.Deliver():
            return pdu.registered_delivery == 1
        case smgp.Deliver():
            return pdu.is_report == 1
        case smpp.DeliverSm() | smpp.DataSm():
            return smpp_reports.of_deliver(pdu) is not None
    return False


def _phone(pdu: Any) -> str:
    """The phone that a delivery is about or from."""
    for name in ("src_terminal_id", "src_term_id", "user_number", "source_addr"):
        value = getattr(pdu, name, None)
        if isinstance(value, str):
            return value
    return ""


def as_number(written: str, base: int) -> int | None:
    try:
        return int(written, base)
    except ValueError:
        return None


def _spellings(written: str) -> Iterable[str]:
    """An id as other PDUs may spell it, the plainest first."""
    plain = written.lower().lstrip("0") or "0"
    yield plain
    for number in (as_number(written, 10), as_number(written, 16)):
        if number is not None:
            yield f"{number:x}"
            yield str(number)
    if len(written) == 16 and as_number(written, 16) is not None:
        yield bytes.fromhex(written)[::-1].hex().lstrip("0")


def _bases(pairs: list[tuple[str, str, str]]) -> dict[str, int]:
    """(id in the answer, place in the report, id there): the bases under which most of them are the same number."""
    votes: Counter[tuple[str, int, int]] = Counter()
    for answer, place, cited in pairs:
        for mine in (10, 16):
            for theirs in (10, 16):
                number = as_number(answer, mine)
                if number is not None and number == as_number(cited, theirs):
                    votes[place, mine, theirs] += 1
    found: dict[str, int] = {}
    for (place, mine, theirs), _ in sorted(votes.items(), key=lambda vote: (-vote[1], vote[0])):
        if found.setdefault("answer", mine) == mine:
            found.setdefault(place, theirs)
    return found


def understand(recording: Recording) -> Plan:
    """What the carrier did, part by part."""
    return _Reader(recording).plan


class _Reader:
    def __init__(self, recording: Recording) -> None:
        self.plan = Plan(recording)
        self._tries: list[Try] = []
        self._open: dict[tuple[int, Any], Try] = {}
        self._last: dict[int, Try] = {}
        self._by_phone: dict[str, list[Try]] = {}
        self._tests: dict[int, float] = {}
        self._left: set[int] = set()
        self._brought: list[Seen] = []
        for event in recording.events:
            if isinstance(event, Turn):
                self._turn(event)
            elif event.client:
                self._from_client(event)
            else:
                self._from_carrier(event)
        self._parts()
        self._deliveries()

    def _turn(self, turn: Turn) -> None:
        if not turn.closed:
            return
        tested = self._tests.pop(turn.link, None)
        if turn.by_carrier and turn.link not in self._left:
            self._cut(turn.link, turn.at, "rst" if turn.reset else "fin")
        elif not turn.by_carrier and tested is not None and turn.at - tested > FROZEN_AFTER:
            self._cut(turn.link, tested, "freeze")

    def _cut(self, link: int, at: float, how: str) -> None:
        last = self._last.get(link)
        if last is None:
            # SGIP: those over which the carrier brings its reports are its own, and end when it has brought them.
            if self.plan.recording.protocol != "sgip12":
                self.plan.cuts.append((at, how))
        else:
            last.cuts.append((at - last.at, how))

    def _from_client(self, seen: Seen) -> None:
        pdu = seen.pdu
        if isinstance(pdu, _SUBMITS):
            attempt = Try(seen.at, seen.link, pdu)
            self._tries.append(attempt)
            self._open[seen.link, pdu.sequence] = attempt
            self._last[seen.link] = attempt
            for phone in key_of(pdu)[0]:
                self._by_phone.setdefault(core(phone), []).append(attempt)
        elif isinstance(pdu, _LOGOUTS):
            self._left.add(seen.link)
        elif isinstance(pdu, _KEEPALIVES):
            self._tests.setdefault(seen.link, seen.at)

    def _from_carrier(self, seen: Seen) -> None:
        pdu = seen.pdu
        self._tests.pop(seen.link, None)  # any octet proves life
        if isinstance(pdu, _LOGINS):
            self.plan.logins.append(_status(pdu))
        elif isinstance(pdu, _LOGOUTS):
            self._left.add(seen.link)
            self._cut(seen.link, seen.at, "logout")
        elif pdu.command_id & RESPONSE:
            attempt = self._open.get((seen.link, pdu.sequence))
            if attempt is not None:
                attempt.answers.append((seen.at - attempt.at, pdu))
        elif isinstance(pdu, _DELIVERIES):
            self._brought.append(seen)

    def _parts(self) -> None:
        parts: dict[Key, list[Try]] = {}
        for attempt in self._tries:
            parts.setdefault(key_of(attempt.pdu), []).append(attempt)
        self.plan.parts = list(parts.values())

    def _deliveries(self) -> None:
        by_id: dict[str, list[Try]] = {}
        by_sequence: dict[Any, Try] = {}
        for attempt in self._tries:
            by_sequence[attempt.pdu.sequence] = attempt
            for _, answer in attempt.answers:
                if found := answer_id(answer):
                    for spelling in dict.fromkeys(_spellings(found)):
                        by_id.setdefault(spelling, []).append(attempt)
        pairs: list[tuple[str, str, str]] = []
        known: set[Any] = set()
        for seen in self._brought:
            pdu = seen.pdu
            report = is_report(pdu)
            if isinstance(pdu, sgip.Report):
                home = by_sequence.get(pdu.submit_sequence_number)
            elif report:
                home = self._home(seen, by_id, pairs) or self._unanswered(seen)
            else:
                if isinstance(pdu, sgip.Deliver):
                    if pdu.sequence in known:
                        continue  # repeated under its number, and would get another one here
                    known.add(pdu.sequence)
                home = self._asked(seen)
            if home is None:
                self.plan.timed.append(Delivery(pdu, report, seen.at))
            else:
                home.deliveries.append(Delivery(pdu, report, seen.at - home.at))
        self.plan.bases = _bases(pairs)

    def _home(self, seen: Seen, by_id: dict[str, list[Try]], pairs: list[tuple[str, str, str]]) -> Try | None:
        """The submit whose id a report cites: the spelling that is nearest counts, and the number must agree."""
        cited = _cited(seen.pdu)
        phone = core(_phone(seen.pdu))
        for found in cited.values():
            for spelling in _spellings(found):
                fits = [t for t in by_id.get(spelling, ()) if phone in map(core, key_of(t.pdu)[0]) and t.at <= seen.at]
                if fits:
                    answer = next(i for _, a in fits[-1].answers if (i := answer_id(a)))
                    pairs += [(answer, place, other) for place, other in cited.items()]
                    return fits[-1]
        return None

    def _unanswered(self, seen: Seen) -> Try | None:
        """A report under an id that no answer has told: of a submit to that number that was never answered."""
        for attempt in self._by_phone.get(core(_phone(seen.pdu)), ()):
            told = any(delivery.report for delivery in attempt.deliveries)
            if attempt.at <= seen.at and not attempt.answers and not told:
                return attempt
        return None

    def _asked(self, seen: Seen) -> Try | None:
        """The last submit to a phone that now writes."""
        before = (t for t in reversed(self._by_phone.get(core(_phone(seen.pdu)), ())) if t.at <= seen.at)
        return next(before, None)


def _status(pdu: Any) -> int:
    for name in ("command_status", "result", "status"):
        value = getattr(pdu, name, None)
        if value is not None:
            return int(value)
    return 0
