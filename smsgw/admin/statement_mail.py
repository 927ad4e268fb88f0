"""Sends the monthly statements: each to each receiver once, again while it was certainly not sent, and never by itself
when it may have been."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import structlog

from smsgw.admin import statement_pdf
from smsgw.admin.i18n import teller
from smsgw.admin.words import statements as words
from smsgw.admin.words.brand import PRODUCT
from smsgw.core.actor import Actor
from smsgw.core.brand import ANY_HOST, Brands
from smsgw.core.ids import CHINA
from smsgw.net.mail import LONGEST_SAID, Mailer, Sent
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.handles import Database
from smsgw.platform.statements import queries, service
from smsgw.platform.statements.model import Mail
from smsgw.runtime import clock

log = structlog.get_logger(__name__)

EVERY = 60.0
PATIENCE = 300.0
"""Seconds for one mail."""
MAKING = 100.0
"""Of these, until its text is there."""
_SYSTEM = Actor.system("statements")


class StatementMails:
    """On this node; a mail is taken by one."""

    def __init__(
        self, database: Database, mailer: Mailer, brands: Callable[[], Brands], now: Callable[[], datetime] = clock.now
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._brands = brands
        self._now = now

    @property
    def works(self) -> bool:
        """Whether there is a server to send by."""
        return bool(self._mailer.sender)

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("statements", EVERY, self.step, patience=PATIENCE, jitter=EVERY / 10),)

    async def step(self) -> bool:
        """Enter what is due, and send one; whether there may be more."""
        now = self._now()
        async with self._database.transaction(timeout=60) as connection:
            await service.enter(connection, now)
            id_ = await service.claim(connection, now) if self.works else None
            mail = None if id_ is None else await queries.mail(connection, _SYSTEM, id_)
        if mail is None:
            return False
        digest = ""
        try:
            async with asyncio.timeout(MAKING):
                message, digest = await self._message(mail)
        except Exception as exc:  # whatever it is: certainly nothing was sent
            log.exception("statement.not_made", mail=mail.id, account=mail.account)
            got = Sent("again", f"{type(exc).__name__}: {exc}"[:LONGEST_SAID])
        else:
            got = await self._mailer.send(message, mail.receiver)
        async with self._database.transaction(timeout=60) as connection:
            state = await service.end(connection, mail, got.outcome, got.said, digest, self._now())
        log.info("statement.mailed", mail=mail.id, account=mail.account, state=state, tries=mail.tries)
        return True

    async def _message(self, mail: Mail) -> tuple[EmailMessage, str]:
        say, now = teller(mail.language), self._now()
        one = await queries.statement(self._database, _SYSTEM, mail.account_id, mail.month, now)
        if one is None:
            raise RuntimeError("a mail of an account that there is not")
        # Mails have no host: they show the brand of all that no other has.
        platform, when = self._brands().look(ANY_HOST).owner(say(PRODUCT)), f"{now.astimezone(CHINA):%Y-%m-%d %H:%M}"
        mark = say(words.MAIL_MARK) % {"platform": platform, "who": mail.receiver, "when": when}
        octets = await asyncio.to_thread(statement_pdf.made, one, say, platform, mark)
        digest = hashlib.sha256(octets).hexdigest()
        said = {"platform": platform, "account": one.name, "month": f"{mail.month:%Y-%m}", "digest": digest}
        message = EmailMessage()
        message["Subject"] = say(words.SUBJECT) % said
        message["From"] = Address(platform, addr_spec=self._mailer.sender)
        message["To"] = mail.receiver
        message["Date"] = format_datetime(now)
        # The same for each try: who gets two copies can tell.
        message["Message-ID"] = f"<statement-{mail.id}@{self._mailer.sender.rpartition('@')[2]}>"
        message.set_content(say(words.BODY) % said)
        name = f"statement-{one.account}-{mail.month:%Y%m}.pdf"
        message.add_attachment(octets, maintype="application", subtype="pdf", filename=name)
        return message, digest
