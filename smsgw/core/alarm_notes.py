"""What receivers are told of alarms: the words, and the calls that robots and webhooks take.

企业微信群机器人: https://developer.work.weixin.qq.com/document/path/91770; 钉钉自定义机器人, signed (加签):
https://open.dingtalk.com/document/robots/custom-robot-access. Both answer 200 and say in ``errcode`` what became of it,
and take twenty calls a minute: what waits for one receiver goes together. Texts are of whole lines, the gravest first,
and say how much they have no room for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import parse_qs, urlencode, urlsplit

from smsgw.core.alarms import CRITICAL, about_of
from smsgw.core.push_format import Call, signature, webhook_id
from smsgw.core.wording_json import Moment
from smsgw.core.words import Wording, label, labels_of, phrase, spoken

TOGETHER, TOGETHER_SMS = 20, 200
"""Notes of one call or mail, and of a message to a phone, which counts what it has no room for."""
LONGEST_SMS = 200
"""Characters of a message to a phone: three parts."""
LONGEST_CALL = 2048
"""Octets of a text that robots take."""
LONGEST_DETAIL = 200


class Way(StrEnum):
    """How a receiver is reached."""

    SMS = "sms"
    MAIL = "mail"
    WECOM = "wecom"
    DINGTALK = "dingtalk"
    WEBHOOK = "webhook"


MOST_CALLS = {Way.SMS: 12, Way.MAIL: 60, Way.WECOM: 60, Way.DINGTALK: 60, Way.WEBHOOK: 1000}
"""Calls in an hour; twice as many where a grave alarm is to be told. What is beyond waits, and goes together."""
ROBOTS = {Way.WECOM: "key", Way.DINGTALK: "access_token"}
"""The name in the query that their addresses must have; the host is one's own where 政务微信 or 专有钉钉 is."""
BUSY = {Way.WECOM: (45009, -1), Way.DINGTALK: (130101, 410100, -1)}
"""``errcode`` of who may be called again later: too many calls, or a fault of theirs. Others are for good."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that a receiver is told."""

    id: int
    event: str
    """``raised``, ``cleared`` or ``test``."""
    alarm_id: int | None = None
    kind: str = ""
    object: str = ""
    severity: str = ""
    detail: Wording | str = ""
    since: datetime | None = None
    cleared_at: datetime | None = None
    unwatched: bool = False
    """It has ended because its rule was turned off."""

    @property
    def about(self) -> Wording | str:
        """Whom it concerns, in words."""
        return about_of(self.object)

    @property
    def words(self) -> Wording:
        """What is said of it."""
        if self.event == "test" or self.since is None:
            return phrase("alarm.note_test")
        told: dict[str, Wording | str] = {
            "kind": labels_of("alarm").get(self.kind, self.kind), "about": self.about, "since": Moment(self.since),
        }  # fmt: skip
        if self.cleared_at is not None and self.event == "cleared":
            said = "alarm.note_unwatched" if self.unwatched else "alarm.note_cleared"
            return phrase(said, until=Moment(self.cleared_at), **told)
        told["severity"] = label("alarm_severity", self.severity)
        raised = phrase("alarm.note_raised", **told)
        if str(self.detail):
            raised = phrase("alarm.note_raised_why", detail=_Cut(self.detail), **told)
        if self.cleared_at is not None:  # told late
            was = "alarm.note_was_unwatched" if self.unwatched else "alarm.note_was"
            return phrase(was, raised=raised, until=Moment(self.cleared_at))
        return raised


@dataclass(frozen=True, slots=True)
class _Cut(Wording):
    """What is said of a cause, which may be long."""

    whole: Wording | str

    def text(self, english: bool) -> str:
        """The words in one language."""
        return " ".join(str(spoken(self.whole, english)).split())[:LONGEST_DETAIL]

    __str__ = Wording.__str__


def title(notes: Sequence[Note], *, english: bool) -> str:
    """The subject of a mail."""
    raised = [note for note in notes if note.event == "raised"]
    first = raised[0] if raised else notes[0]
    text = first.words.text(english)[:80]
    return phrase("alarm.note_more", first=text, n=len(notes) - 1).text(english) if len(notes) > 1 else text


def text(notes: Sequence[Note], *, english: bool, calls: int = 0, stands_in: bool = False) -> str:
    """All of them, one a line. ``calls``: how many there were in the hour, if that is all for now; ``stands_in``: it
    goes there as nobody was found on duty."""
    lines = "\n".join(note.words.text(english) for note in notes)
    return _ahead(stands_in, english) + lines + _ending(0, calls, english)


def short(notes: Sequence[Note], *, english: bool, calls: int = 0, stands_in: bool = False) -> str:
    """For a phone: as many as fit, and how many more there are."""
    ahead = _ahead(stands_in, english)
    return ahead + _fitted(notes, LONGEST_SMS - len(ahead), len, calls, english)


def _ahead(stands_in: bool, english: bool) -> str:
    return phrase("alarm.note_stands_in").text(english) + "\n" if stands_in else ""


def robot_text(notes: Sequence[Note], *, english: bool, calls: int = 0) -> str:
    """The same for a robot."""
    return _fitted(notes, LONGEST_CALL, lambda text: len(text.encode()), calls, english)


def _fitted(notes: Sequence[Note], most: int, size: Callable[[str], int], calls: int, english: bool) -> str:
    grave = sorted(notes, key=lambda note: note.event != "raised" or note.severity != CRITICAL)
    lines = [note.words.text(english) for note in grave]
    for kept in range(len(lines), 0, -1):
        whole = "\n".join(lines[:kept]) + _ending(len(lines) - kept, calls, english)
        if size(whole) <= most:
            return whole
    first, ending = lines[0], _ending(len(lines) - 1, calls, english)
    while size(first + ending) > most:
        first = first[:-1]
    return first + ending


def _ending(left: int, calls: int, english: bool) -> str:
    said = phrase("alarm.note_left", n=left).text(english) if left else ""
    return said + phrase("alarm.note_calls", n=calls).text(english) if calls else said


def is_robot(way: Way, url: str) -> bool:
    """Whether an address can be such a robot's."""
    return bool(parse_qs(urlsplit(url).query).get(ROBOTS[way]))


# --- calls -----------------------------------------------------------------------------------------------------------


def signed(url: str, secret: str, now: datetime) -> str:
    """The address of a 钉钉 robot with the signature of this moment: HMAC-SHA-256 of milliseconds and secret."""
    if not secret:
        return url
    stamp = str(int(now.timestamp() * 1000))
    digest = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return f"{url}&{urlencode({'timestamp': stamp, 'sign': base64.b64encode(digest).decode()})}"


def key_of(secret: str) -> bytes:
    """The key of a webhook's signature: of ``whsec_…`` what is encoded there, otherwise the text."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (ValueError, binascii.Error):
            pass
    return secret.encode()


def robot_call(way: Way, url: str, secret: str, words: str, now: datetime) -> Call:
    """The call that has a robot say it in its group: as plain text, in which nothing from outside can call anybody."""
    body = json.dumps({"msgtype": "text", "text": {"content": words}}, ensure_ascii=False).encode()
    address = signed(url, secret, now) if way is Way.DINGTALK else url
    return Call("POST", address, _headers(), body)


def webhook_call(url: str, secret: str, notes: Sequence[Note], now: datetime) -> Call:
    """The call to a webhook, signed as those to customers (docs/webhooks.md)."""
    said = {"type": "alarm", "items": [_item(note) for note in notes]}
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    id_, stamp = webhook_id([note.id for note in notes]), int(now.timestamp())
    proof = signature([key_of(secret)], id_, stamp, body)
    return Call(
        "POST", url, _headers() | {"webhook-id": id_, "webhook-timestamp": str(stamp), "webhook-signature": proof}, body
    )


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/json; charset=utf-8", "User-Agent": "smsgw-alarm/1",
            "Accept-Encoding": "identity"}  # fmt: skip


def _item(note: Note) -> dict[str, object]:
    return {
        "id": note.id, "event": note.event, "alarm_id": note.alarm_id, "kind": note.kind, "object": note.object,
        "severity": note.severity, "text": str(note.words), "text_en": note.words.english,
        "since": note.since.isoformat() if note.since else None,
        "cleared_at": note.cleared_at.isoformat() if note.cleared_at else None,
    }  # fmt: skip


def robot_answer(way: Way, status: int, body: bytes) -> tuple[str, str]:
    """What a robot's answer means: an outcome as of ``net.mail``, and what it said."""
    if status != 200:
        return ("again" if status == 429 or status >= 500 else "refused"), f"HTTP {status}"
    try:
        said = json.loads(body)
        code, why = int(said["errcode"]), str(said.get("errmsg", ""))
    except (ValueError, KeyError, TypeError):
        return "unsure", "HTTP 200"
    if code == 0:
        return "sent", f"{code} {why}"[:LONGEST_DETAIL]
    return ("again" if code in BUSY[way] else "refused"), " ".join(f"{code} {why}".split())[:LONGEST_DETAIL]


def webhook_answer(status: int) -> tuple[str, str]:
    """The same of a webhook."""
    if 200 <= status < 300:
        return "sent", f"HTTP {status}"
    return ("again" if status in (408, 425, 429) or status >= 500 else "refused"), f"HTTP {status}"
