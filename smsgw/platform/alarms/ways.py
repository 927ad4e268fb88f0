"""The ways to receivers of alarms: each call made once, and what became of it told as it is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from smsgw.core import alarm_notes
from smsgw.core.actor import Actor
from smsgw.core.alarm_notes import Note, Way
from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.model import MessageType, Origin
from smsgw.core.words import phrase
from smsgw.net.mail import LONGEST_SAID, Mailer, Sent
from smsgw.pipeline.accept.acceptor import Acceptor
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.pipeline.delivery.push_http import NotAllowed, Sender, Unreached
from smsgw.pipeline.snapshot import Snapshots
from smsgw.platform.alarms.model import Opened
from smsgw.platform.numbers.vendor import Outside

SUBMITTER = Actor.system("alarms")
VALID = timedelta(hours=1)
"""How long a message to a phone is tried: one of yesterday helps nobody."""


def _known(notes: Sequence[Note]) -> str:
    """By which a repeat is known: the same for the same notes alone, so that none is taken for told with others."""
    return hashlib.sha256(",".join(str(note.id) for note in notes).encode()).hexdigest()[:16]


class Ways:
    """What a node reaches receivers by. ``outside``: where calls may go, as those of webhooks. ``platform``: what the
    platform and its purchaser are called by now (English: True)."""

    def __init__(
        self, mailer: Mailer, sender: Sender, outside: Outside, acceptor: Acceptor, snapshots: Snapshots,
        platform: Callable[[bool], str],
    ) -> None:  # fmt: skip
        self._mailer = mailer
        self._sender = sender
        self._outside = outside
        self._acceptor = acceptor
        self._snapshots = snapshots
        self._platform = platform

    async def tell(self, receiver: Opened, notes: Sequence[Note], now: datetime, calls: int = 0) -> Sent:
        """Tell it all of these at once. ``calls``: how many there were in the hour, if that is all for now."""
        match receiver.way:
            case Way.SMS:
                return await self._message(receiver, notes, now, calls)
            case Way.MAIL:
                return await self._mail(receiver, notes, now, calls)
            case _:
                return await self._call(receiver, notes, now, calls)

    async def _message(self, receiver: Opened, notes: Sequence[Note], now: datetime, calls: int) -> Sent:
        account = self._snapshots.current.account(receiver.account_id or 0)
        if account is None:
            return Sent("refused", str(phrase("alarm.no_account")))
        if account.training:
            return Sent("refused", str(phrase("alarm.rehearses")))
        words = alarm_notes.short(notes, english=receiver.english, calls=calls, stands_in=receiver.stands_in)
        known = f"alarm/{receiver.id}/{notes[0].event}/{notes[0].id}/{_known(notes)}"
        item = SendItem(to=f"+{receiver.address}", content=words)
        try:
            # Reviewed: it is our own text, and nobody may be there to pass it.
            result = await self._acceptor.send(SendRequest(
                account=account, items=(item,), type=MessageType.NOTICE, origin=Origin.PORTAL,
                submitter=SUBMITTER.label, emergency=account.emergency, reviewed=True, expire_at=now + VALID,
                idempotency_key=known,
            ))  # fmt: skip
        except Temporary as exc:
            return Sent("again", str(exc)[:LONGEST_SAID])
        except SmsgwError as exc:
            return Sent("refused", str(exc)[:LONGEST_SAID])
        (got,) = result.items
        if not result.accepted:
            return Sent("refused", f"{got.code} {got.message}"[:LONGEST_SAID])
        return Sent("sent", f"message {got.message_id}")

    async def _mail(self, receiver: Opened, notes: Sequence[Note], now: datetime, calls: int) -> Sent:
        sender = self._mailer.sender
        if not sender:
            return Sent("refused", str(phrase("alarm.no_mail")))
        platform, title = self._platform(receiver.english), alarm_notes.title(notes, english=receiver.english)
        subject = phrase("alarm.note_subject", platform=platform, title=title).text(receiver.english)
        message = EmailMessage()
        message["Subject"] = " ".join(subject.split())
        message["From"] = Address(platform, addr_spec=sender)
        message["To"] = receiver.address
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<alarm-{receiver.id}-{_known(notes)}@{sender.rpartition('@')[2]}>"
        said = alarm_notes.text(notes, english=receiver.english, calls=calls, stands_in=receiver.stands_in)
        message.set_content(f"{said}\n\n{platform}\n")
        return await self._mailer.send(message, receiver.address)

    async def _call(self, receiver: Opened, notes: Sequence[Note], now: datetime, calls: int) -> Sent:
        if receiver.way is Way.WEBHOOK:
            call = alarm_notes.webhook_call(receiver.address, receiver.secret, notes, now)
        else:
            words = alarm_notes.robot_text(notes, english=receiver.english, calls=calls)
            call = alarm_notes.robot_call(receiver.way, receiver.address, receiver.secret, words, now)
        try:
            status, body = await self._sender.exchange(call, self._outside.reach)
        except NotAllowed:
            return Sent("refused", str(phrase("host.denied")))
        except Unreached as exc:
            return Sent("again", str(exc)[:LONGEST_SAID])
        except (TimeoutError, OSError) as exc:
            return Sent("unsure", (str(exc) or "TimeoutError")[:LONGEST_SAID])
        if receiver.way is Way.WEBHOOK:
            return Sent(*alarm_notes.webhook_answer(status))
        return Sent(*alarm_notes.robot_answer(receiver.way, status, body))
