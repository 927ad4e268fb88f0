"""A carrier that behaves as one did in a recording (smsgw.recording).

What the carrier did with each part is taken from the file: its answers with their codes and delays, or none; reports
with their codes, delays and spelling of the id; what came before its time, twice or never; connections that it closed
or let freeze. The n-th new part of the live traffic meets what happened to the n-th part of the recording (of the same
place in a long message, as far as there is one), and its repetitions meet what happened to that one's. What came
without a part, messages from phones and stray reports, comes at its time after the first login.

Ids are made anew in each run, in the spelling of the recording, for a client may have seen the old ones.
"""

from __future__ import annotations

import random
import string
from collections import Counter, deque
from typing import Any

from smsgw.protocols import labels
from smsgw.protocols.cmpp import pdus as cmpp, reports as cmpp_reports
from smsgw.protocols.pdu import Pdu, Tlv
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp, reports as smgp_reports
from smsgw.protocols.smpp import tlvs
from smsgw.simulator.plan import Key, Plan, Try, answer_id, as_number, core, is_report, key_of, place, source_of


class Renumbering:
    """New ids for a run: numbers are moved by one and the same step, in the spelling that they had."""

    def __init__(self, plan: Plan, dice: random.Random) -> None:
        self._bases = plan.bases
        self._octets = not plan.recording.protocol.startswith("smpp")
        self._step = dice.randrange(1 << 20, 1 << 24)
        digits, letters = list(string.digits[1:]), list(string.ascii_lowercase)
        # Letters that are hexadecimal digits stay so, and zeros at the beginning stay zeros.
        dice.shuffle(digits)
        head, tail = letters[:6], letters[6:]
        dice.shuffle(head)
        dice.shuffle(tail)
        shuffled = "0" + "".join(digits) + "".join(head + tail) + "".join(head + tail).upper()
        self._table = str.maketrans(string.digits + string.ascii_letters, shuffled)

    def new(self, written: str, where: str) -> str:
        """An id as it stands in an `answer`, in a report's `text` or its `tlv`."""
        if self._octets:
            return self._moved_octets(written)
        base = self._bases.get(where) or self._bases.get("answer")
        number = as_number(written, base) if base else None
        if number is None:
            return written.translate(self._table)
        moved = f"{number + self._step:{'d' if base == 10 else 'x'}}"
        if written.upper() == written:
            moved = moved.upper()
        # Zeros in front are padding to a width.
        return moved.rjust(len(written), "0") if written.startswith("0") else moved

    def _moved_octets(self, written: str) -> str:
        """Hexadecimal digits of octets, whose order may be turned round: what is changed in them reads alike."""
        octets = bytes.fromhex(written)
        half = self._step.to_bytes(5, "big")[: (len(octets) + 1) // 2]
        mask = half + half[::-1][len(octets) % 2 :]
        return bytes(octet ^ turn for octet, turn in zip(octets, mask, strict=False)).hex()


class Replay:
    """One run of a plan: which recorded part a live one stands for, and PDUs with live ids and numbers in them."""

    def __init__(self, plan: Plan, dice: random.Random, *, new_access_code: str = "") -> None:
        self.plan = plan
        self.replayed = 0
        """Submits that were treated as recorded ones."""
        self._ids = Renumbering(plan, dice)
        self._logins = deque(plan.logins)
        self._free: dict[int, deque[int]] = {}
        """Recorded parts that nobody stands for yet, by their place in a long message."""
        self._left = dict.fromkeys(range(len(plan.parts)))
        for n, tries in enumerate(plan.parts):
            self._free.setdefault(place(tries[0].pdu)[0], deque()).append(n)
        self._live: dict[Key, int] = {}
        self._tried: Counter[int] = Counter()
        self._phones: dict[str, str] = {}
        """Recorded phone: the live one in its place."""
        self._services: dict[str, str] = {}
        recorded = plan.recording.access_code
        if recorded and new_access_code:
            self._services[recorded] = new_access_code

    @property
    def left(self) -> int:
        """Recorded parts that no live one has stood for."""
        return len(self._left)

    def login(self) -> int:
        """Status of the next login."""
        return self._logins.popleft() if self._logins else 0

    def submit(self, pdu: Pdu) -> Try | None:
        """What happened to the submit that this one stands for; None: nothing like it is left."""
        key = key_of(pdu)
        part = self._live.get(key)
        if part is None:
            part = self._next(place(pdu)[0])
            if part is None:
                return None
            self._live[key] = part
        tries = self.plan.parts[part]
        if self._tried[part] >= len(tries):
            return None
        attempt = tries[self._tried[part]]
        self._tried[part] += 1
        self.replayed += 1
        for recorded, live in zip(key_of(attempt.pdu)[0], key[0], strict=False):
            self._phones[core(recorded)] = core(live)
        self._services[source_of(attempt.pdu)] = source_of(pdu)
        return attempt

    def _next(self, number: int) -> int | None:
        for free in (self._free.get(number, deque()), *self._free.values()):
            if free:
                part = free.popleft()
                del self._left[part]
                return part
        return None

    def answer(self, recorded: Pdu) -> Pdu:
        """A recorded answer with its new id."""
        pdu: Any = recorded.replace()
        found = answer_id(pdu)
        if found:
            new = self._ids.new(found, "answer")
            if isinstance(pdu, cmpp.SubmitResp):
                pdu.msg_id = int(new, 16)
            elif isinstance(pdu, smgp.SubmitResp):
                pdu.msg_id = bytes.fromhex(new)
            else:
                pdu.message_id = new
        return pdu

    def delivery(self, recorded: Pdu, live: Pdu | None) -> Pdu:
        """A recorded delivery with new ids and live numbers; ``live`` is the submit that it belongs to."""
        pdu: Any = recorded.replace()
        match pdu:
            case cmpp.Deliver():
                if pdu.msg_id:
                    pdu.msg_id = int(self._ids.new(f"{pdu.msg_id:016x}", "answer"), 16)
                pdu.dest_id, pdu.src_terminal_id = self._service(pdu.dest_id), self._here(pdu.src_terminal_id)
                if pdu.registered_delivery == 1:
                    pdu.msg_content = self._cmpp_report(pdu.msg_content)
            case smgp.Deliver():
                if any(pdu.msg_id):
                    pdu.msg_id = bytes.fromhex(self._ids.new(pdu.msg_id.hex(), "answer"))
                pdu.dest_term_id, pdu.src_term_id = (self._service(pdu.dest_term_id), self._here(pdu.src_term_id))
                if pdu.is_report == 1:
                    pdu.msg_content = self._smgp_report(pdu.msg_content)
            case sgip.Deliver():
                pdu.sp_number, pdu.user_number = self._service(pdu.sp_number), self._here(pdu.user_number)
            case sgip.Report():
                pdu.user_number = self._here(pdu.user_number)
                if live is not None:
                    pdu.submit_sequence_number = live.sequence
            case _:
                pdu.destination_addr, pdu.source_addr = (
                    self._service(pdu.destination_addr),
                    self._here(pdu.source_addr),
                )
                if is_report(recorded):
                    self._receipt(pdu, live)
        return pdu

    def _here(self, phone: str) -> str:
        plain = core(phone)
        live = self._phones.get(plain)
        return phone if live is None else phone[: len(phone) - len(plain)] + live

    def _service(self, code: str) -> str:
        for known in sorted(self._services, key=len, reverse=True):
            if code.startswith(known):
                return self._services[known] + code[len(known) :]
        return code

    def _cmpp_report(self, content: bytes) -> bytes:
        if len(content) < cmpp_reports.SHORT:
            return content
        report = cmpp_reports.decode(content)
        report.msg_id = int(self._ids.new(f"{report.msg_id:016x}", "text"), 16)
        report.dest_terminal_id = self._here(report.dest_terminal_id)
        long = len(content) >= cmpp_reports.LONG
        return cmpp_reports.encode(report, 30 if long else 20)

    def _smgp_report(self, content: bytes) -> bytes:
        start, end = smgp_reports.id_at(content)
        written = content[start:end]
        if len(written) == 10:
            return content[:start] + bytes.fromhex(self._ids.new(written.hex(), "text")) + content[end:]
        if len(written) == 20:
            return content[:start] + self._ids.new(written.decode(), "text").encode() + content[end:]
        return content

    def _receipt(self, pdu: Any, live: Pdu | None) -> None:
        content = getattr(pdu, "short_message", b"")
        if content:
            wide = content[:1] == b"\0" and content[1:2] not in (b"", b"\0")
            text = content.decode("utf-16-be" if wide else "latin-1", "replace")
            pdu.short_message = self._text(text).encode("utf-16-be" if wide else "latin-1", "replace")
        reference = live.tlv(tlvs.USER_MESSAGE_REFERENCE) if live is not None else None
        replaced = []
        for tag, value in pdu.tlvs:
            new = value
            if tag == tlvs.RECEIPTED_MESSAGE_ID:
                found, nul, rest = value.partition(b"\0")
                new = self._ids.new(found.decode("latin-1"), "tlv").encode("latin-1") + nul + rest
            elif tag == tlvs.USER_MESSAGE_REFERENCE and reference is not None:
                new = reference
            elif tag == tlvs.MESSAGE_PAYLOAD:
                new = self._text(value.decode("latin-1")).encode("latin-1")
            replaced.append(Tlv(tag, new))
        pdu.tlvs = tuple(replaced)

    def _text(self, text: str) -> str:
        for name, _, start, end in labels.spans(text):
            if name == "id":
                found = text[start:end].strip(" \t\r\n,;\0")
                at = text.index(found, start) if found else start
                return text[:at] + self._ids.new(found, "text") + text[at + len(found) :]
        return text
