"""Takes numbers, texts, names and secrets out of PDUs, and leaves what the protocol does with them.

The same thing is always replaced by the same thing of the same length, so that a report still belongs to its submit, a
reply to its phone, and a repeated text to the first one. Message ids, sequence numbers, codes, times and the headers of
parts stay as they are. What is not known to be harmless is masked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from smsgw.core import udh
from smsgw.protocols import labels
from smsgw.protocols.cmpp import pdus as cmpp, reports as cmpp_reports
from smsgw.protocols.pdu import Pdu, Tlv, Unknown
from smsgw.protocols.smgp import pdus as smgp, reports as smgp_reports
from smsgw.protocols.smpp import pdus as smpp, reports as smpp_reports, tlvs

REMEMBERED = 50_000
"""Numbers whose replacement is kept at hand (it comes out the same without)."""
ONE_BY_ONE = 256
"""Characters that are replaced each by what stands before it, more than any number has; what follows, all at once."""
PASSWORD = "masked"  # noqa: S105  that is the point
"""In the place of every password."""

_HARMLESS = frozenset(
    {
        "service_id", "service_type", "fee_type", "fee_code", "fixed_fee", "fee_value", "given_value", "corp_id",
        "valid_time", "at_time", "expire_time", "schedule_time", "recv_time", "time", "query_time", "query_code",
        "reserve", "link_id", "message_id", "schedule_delivery_time", "validity_period", "final_date", "system_type",
        "receive_time", "send_time", "node_id",
    }
)  # fmt: skip
_CONTENT = ("msg_content", "short_message", "message_content")
_MOBILE = re.compile(r"((?:\+|00)?(?:86)?1[3-9][0-9])([0-9]{8})")
_WORD = re.compile(r"[!-~]+")
_TOKENS = {
    "id": re.compile(r"[!-~]{1,65}"),
    "sub": re.compile(r"[0-9]{1,5}"),
    "dlvrd": re.compile(r"[0-9]{1,5}"),
    "submit_date": re.compile(r"[0-9]{1,14}"),
    "done_date": re.compile(r"[0-9]{1,14}"),
    "stat": re.compile(r"[A-Za-z0-9:_/.-]{1,16}"),
    "err": re.compile(r"[A-Za-z0-9:_.-]{1,10}"),
}
_PORTS_AND_PARTS = (udh.IEI_CONCAT8, udh.IEI_CONCAT16, udh.IEI_PORTS8, udh.IEI_PORTS16)
_SMGP_TLVS = frozenset(
    {
        smgp.TP_PID, smgp.TP_UDHI, smgp.CHARGE_USER_TYPE, smgp.DEST_TERM_TYPE, smgp.PK_TOTAL, smgp.PK_NUMBER,
        smgp.SUBMIT_MSG_TYPE, smgp.SP_DEAL_RESULT, smgp.SRC_TERM_TYPE, smgp.NODES_COUNT, smgp.SRC_TYPE,
    }
)  # fmt: skip
_SMALL_LETTERS = bytes(97 + octet % 26 for octet in range(256))
_IDEOGRAPHS = bytes(0x4E + octet % 0x51 for octet in range(256))
"""First octets of theirs in UCS2."""
_CMPP_NUMBER_AT = 35
"""Octets of a CMPP report in front of Dest_terminal_Id."""


class Masker:
    """The replacements of one recording. ``key`` makes them and is thrown away with it."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32).digest()
        self._known: dict[str, str] = {}

    def pdu(self, pdu: Pdu) -> Pdu:
        """A copy without anything that must not be on file. A foreign command keeps only its size."""
        if isinstance(pdu, Unknown):
            return pdu.replace(body=bytes(len(pdu.body)))
        changes: dict[str, Any] = {}
        secret = {name for name, kind in pdu.__wire__.items() if kind.secret}
        for field in fields(pdu):
            value = getattr(pdu, field.name)
            if field.name in secret:
                changes[field.name] = PASSWORD if value else value
            elif field.name in _CONTENT:
                changes[field.name] = self._content(pdu, value)
            elif isinstance(value, str | bytes | tuple):
                changes[field.name] = self._value(pdu, field.name, value)
        return pdu.replace(**changes)

    def number(self, written: str) -> str:
        """A phone number, service number or name: as long as before, the beginning of mobile numbers kept.

        Digits follow from all that stands before them, so numbers with a common beginning keep one.
        """
        known = self._known.get(written)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            mobile = _MOBILE.fullmatch(written)
            if mobile:
                # With the country code or without: the same phone.
                known = mobile[1] + self._letters(mobile[2], mobile[1][-3:])
            else:
                known = self._letters(written, "")
            self._known[written] = known
        return known

    def text(self, octets: bytes, *, ucs2: bool) -> bytes:
        """Filler in the place of a text, as many octets, readable in its alphabet."""
        noise = hashlib.shake_256(self._key + octets).digest(len(octets))
        if not ucs2:
            return noise.translate(_SMALL_LETTERS)
        filler = bytearray(noise)
        filler[0::2] = noise[0::2].translate(_IDEOGRAPHS)
        return bytes(filler)

    # --- fields ------------------------------------------------------------------------------------------------

    def _letters(self, written: str, before: str) -> str:
        drawn = hashlib.blake2b(before.encode(), key=self._key, digest_size=3)
        made = []
        for char in written[:ONE_BY_ONE]:
            made.append(_another(char, *drawn.digest()))
            drawn.update(char.encode())  # goes on from where it is: the length of a text does not count twice
        if rest := written[ONE_BY_ONE:]:
            noise = hashlib.shake_256(self._key + drawn.digest() + rest.encode()).digest(3 * len(rest))
            made += map(_another, rest, noise[0::3], noise[1::3], noise[2::3])
        return "".join(made)

    def _value(self, pdu: Pdu, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return value if name in _HARMLESS else self.number(value)
        if isinstance(value, bytes):
            return value if name == "msg_id" else bytes(len(value))
        if isinstance(value, Tlv):
            return Tlv(value.tag, self._tlv(pdu, value.tag, value.value))
        if isinstance(value, tuple):
            return tuple(self._value(pdu, name, item) for item in value)
        if is_dataclass(value) and not isinstance(value, type):
            inside = {f.name: self._value(pdu, f.name, getattr(value, f.name)) for f in fields(value)}
            return replace(value, **inside)
        return value

    def _tlv(self, pdu: Pdu, tag: int, value: bytes) -> bytes:
        if isinstance(pdu, smgp.SmgpPdu):
            return value if tag in _SMGP_TLVS else bytes(len(value))
        if tag == tlvs.MESSAGE_PAYLOAD:
            return self._content(pdu, value)
        if tag == tlvs.RECEIPTED_MESSAGE_ID:
            return self._without(pdu, value.decode("latin-1")).encode("latin-1")
        if tlvs.NAMES.get(tag, ("", ""))[1] == "int" or tag == tlvs.NETWORK_ERROR_CODE:
            return value
        return bytes(len(value))

    # --- content -----------------------------------------------------------------------------------------------

    def _content(self, pdu: Pdu, octets: bytes) -> bytes:
        match pdu:
            case cmpp.Deliver(registered_delivery=1):
                return self._cmpp_report(octets)
            case smgp.Deliver(is_report=1):
                end = smgp_reports.id_at(octets)[1]
                return octets[:end] + self._labelled(pdu, octets[end:].decode("latin-1")).encode("latin-1")
            case smpp.DeliverSm() | smpp.DataSm() if smpp_reports.of_deliver(pdu) is not None:
                if octets[:1] == b"\0" and octets[1:2] not in (b"", b"\0"):
                    text = self._labelled(pdu, octets.decode("utf-16-be", "replace"))
                    return text.encode("utf-16-be")[: len(octets)]
                return self._labelled(pdu, octets.decode("latin-1")).encode("latin-1")
        return self._message(pdu, octets)

    def _message(self, pdu: Pdu, octets: bytes) -> bytes:
        head = b""
        if _has_header(pdu):
            try:
                header = udh.parse(octets)
                kept = (
                    e if e.iei in _PORTS_AND_PARTS else replace(e, data=bytes(len(e.data))) for e in header.elements
                )
                head = udh.build(tuple(kept))
            except udh.InvalidUdh:
                head = b""
        return head + self.text(octets[len(head) :], ucs2=_is_ucs2(pdu))

    def _cmpp_report(self, octets: bytes) -> bytes:
        """Patched in place, so that what is odd about it stays."""
        if len(octets) < cmpp_reports.SHORT:
            return bytes(len(octets))
        end = _CMPP_NUMBER_AT + (32 if len(octets) >= cmpp_reports.LONG else 21)
        field = octets[_CMPP_NUMBER_AT:end]
        number = field.rstrip(b"\0 ")
        masked = self.number(number.decode("latin-1")).encode("latin-1")
        whole = end + 4
        head = octets[:_CMPP_NUMBER_AT] + masked + field[len(number) :] + octets[end:whole]
        return head + bytes(len(octets) - whole)

    def _labelled(self, pdu: Pdu, text: str) -> str:
        """The text of a receipt: labels and the values that they announce stay, all else goes."""
        made: list[str] = []
        at = 0
        for name, begin, start, end in labels.spans(text):
            made += [self._letters(text[at:begin], ""), text[begin:start]]
            word = _WORD.search(text, start, end)
            if name in _TOKENS and word and _TOKENS[name].fullmatch(word[0].rstrip(",;")):
                made += [text[start : word.end()], self._letters(text[word.end() : end], "")]
            else:
                value = text[start:end].encode("latin-1", "replace")
                made.append(self.text(value, ucs2=False).decode("ascii") if name == "text" else
                            self._letters(text[start:end], ""))  # fmt: skip
            at = end
        made.append(self._letters(text[at:], ""))
        return self._without(pdu, "".join(made))

    def _without(self, pdu: Pdu, text: str) -> str:
        """The text without the numbers of its own PDU, which some carriers put into ids."""
        for number in _numbers(pdu):
            core = number.removeprefix("+").removeprefix("86")
            if len(core) >= 7:
                text = text.replace(core, self.number(core))
        return text


def _another(char: str, shift: int, factor: int, letters: int) -> str:
    """A character of its kind, by octets that were drawn. A shift of 0 would leave it as it is."""
    if "0" <= char <= "9":
        return "0123456789"[(int(char) * (1, 3, 7, 9)[factor % 4] + 1 + shift % 9) % 10]
    if not char.isascii():
        return "?"
    if not char.isalpha():
        return char
    base = 65 if char.isupper() else 97
    return chr(base + (ord(char) - base + 1 + letters % 25) % 26)


def _numbers(pdu: Pdu) -> Iterable[str]:
    for name in ("source_addr", "destination_addr", "src_term_id", "dest_term_id"):
        value = getattr(pdu, name, None)
        if isinstance(value, str) and value:
            yield value


def _has_header(pdu: Pdu) -> bool:
    if isinstance(pdu, smgp.SmgpPdu):
        return bool((pdu.tlv(smgp.TP_UDHI) or b"\0")[-1] & 1)
    if isinstance(pdu, smpp.SmppPdu):
        return bool(getattr(pdu, "esm_class", 0) & 0x40)
    return bool(getattr(pdu, "tp_udhi", 0) & 0x41)


def _is_ucs2(pdu: Pdu) -> bool:
    for name in ("msg_fmt", "msg_format", "message_coding", "data_coding"):
        coding: int | None = getattr(pdu, name, None)
        if coding is not None:
            return coding < 0x20 and coding & 0x0C == 0x08
    return False
