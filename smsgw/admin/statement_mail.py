"""Sends the monthly statements: to each receiver, as a PDF."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from email.message import EmailMessage

from smsgw.admin import statement_pdf
from smsgw.admin.i18n import teller
from smsgw.admin.mailing import Mailing
from smsgw.admin.words import statements as words
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.platform.statements import queries, service
from smsgw.platform.statements.model import Mail

_SYSTEM = Actor.system("statements")


class StatementMails(Mailing[Mail]):
    """On this node; a mail is taken by one."""

    name = "statements"
    kind = "statement"
    table = service.TABLE

    async def _next(self, now: datetime) -> Mail | None:
        return await service.next_(self._database, now, takes=self.works)

    async def _message(self, mail: Mail) -> tuple[EmailMessage, str]:
        say, now = teller(mail.language), self._now()
        one = await queries.statement(self._database, _SYSTEM, mail.account_id, mail.month, now)
        if one is None:
            raise RuntimeError("a mail of an account that there is not")
        platform, when = self._platform(mail.language), f"{now.astimezone(CHINA):%Y-%m-%d %H:%M}"
        mark = say(words.MAIL_MARK) % {"platform": platform, "who": mail.receiver, "when": when}
        octets = await asyncio.to_thread(statement_pdf.made, one, say, platform, mark)
        digest = hashlib.sha256(octets).hexdigest()
        said = {"platform": platform, "account": one.name, "month": f"{mail.month:%Y-%m}", "digest": digest}
        message = self._addressed(mail, say(words.SUBJECT) % said)
        message.set_content(say(words.BODY) % said)
        name = f"statement-{one.account}-{mail.month:%Y%m}.pdf"
        message.add_attachment(octets, maintype="application", subtype="pdf", filename=name)
        return message, digest
