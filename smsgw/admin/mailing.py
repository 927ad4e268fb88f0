"""Sends mails that are written down: takes one, makes it, gives it to the mail server, and enters what came of it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Generic, TypeVar

import structlog

from smsgw.admin.i18n import teller
from smsgw.admin.words.brand import PRODUCT
from smsgw.core.brand import ANY_HOST, Brands
from smsgw.net.mail import LONGEST_SAID, Mailer, Sent
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.handles import Database
from smsgw.platform.mailing import MailTable, OutMail
from smsgw.runtime import clock
from smsgw.runtime.log import safe

log = structlog.get_logger(__name__)

EVERY = 60.0
PATIENCE = 300.0
"""Seconds for one mail."""
MAKING = 100.0
"""Of these, until its text is there."""

M = TypeVar("M", bound=OutMail)


def named(brands: Brands, language: str) -> str:
    """What the platform and its purchaser are called in mails. These have no host: they show the brand of all that no
    other has."""
    return brands.look(ANY_HOST).owner(teller(language)(PRODUCT))


class Mailing(ABC, Generic[M]):
    """The mails of one kind on this node; a mail is taken by one."""

    name: str
    """Of its periodic work."""
    kind: str
    """In the ids of its mails."""
    table: MailTable

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
        return (Periodic(self.name, EVERY, self.step, patience=PATIENCE, jitter=EVERY / 10),)

    async def step(self) -> bool:
        """Enter what is due, and send one; whether there may be more."""
        now = self._now()
        mail = await self._next(now)
        if mail is None:
            return False
        digest = ""
        try:
            async with asyncio.timeout(MAKING):
                message, digest = await self._message(mail)
        except Exception as exc:  # whatever it is: certainly nothing was sent
            log.exception("mail.not_made", kind=self.kind, mail=mail.id)
            got = Sent("again", safe(exc)[:LONGEST_SAID])
        else:
            got = await self._mailer.send(message, mail.receiver)
        state = await self.table.end(self._database, mail, got.outcome, got.said, digest, self._now())
        log.info("mail.sent", kind=self.kind, mail=mail.id, state=state, tries=mail.tries)
        return True

    @abstractmethod
    async def _next(self, now: datetime) -> M | None:
        """Enter what is due, each of it once, end what waits for nobody, and, when it ``works``, take one to send."""

    @abstractmethod
    async def _message(self, mail: M) -> tuple[EmailMessage, str]:
        """The mail, and the digest of what it brings."""

    def _platform(self, language: str) -> str:
        return named(self._brands(), language)

    def _addressed(self, mail: M, subject: str) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = subject
        message["From"] = Address(self._platform(mail.language), addr_spec=self._mailer.sender)
        message["To"] = mail.receiver
        message["Date"] = format_datetime(self._now())
        # The same for each try: who gets two copies can tell.
        message["Message-ID"] = f"<{self.kind}-{mail.id}@{self._mailer.sender.rpartition('@')[2]}>"
        return message
