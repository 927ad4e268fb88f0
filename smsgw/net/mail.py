"""Mail by SMTP (RFC 5321), step by step: what breaks before the text goes over has sent nothing; later it may have."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as POLICY

import aiosmtplib

from smsgw.runtime.config import MailConfig

STEP_TIMEOUT = 30.0
"""Seconds for a connection, and for each answer."""
GOODBYE = 5.0
LONGEST_SAID = 300


@dataclass(frozen=True, slots=True)
class Sent:
    """What has become of a mail."""

    outcome: str
    """``sent``; ``again``: it was not sent, and may be later; ``refused``: for good; ``unsure``: it may have been."""
    said: str
    """By the server, or of the connection."""


class Mailer:
    """Sends mails through the one server that is configured."""

    def __init__(self, config: MailConfig) -> None:
        self._config = config

    @property
    def sender(self) -> str:
        """The address that mails are from; empty: there is no server."""
        return self._config.address if self._config.host else ""

    async def send(self, message: EmailMessage, receiver: str) -> Sent:
        """Send it to one receiver."""
        client: aiosmtplib.SMTP | None = None
        known = taken = went = False
        try:
            text = message.as_bytes(policy=POLICY)
            client = self._client()
            await client.connect()
            known = True
            await client.mail(self._config.address)
            taken = True
            await client.rcpt(receiver)
            went = True
            answer = await client.data(text)
        except aiosmtplib.SMTPResponseException as exc:
            # A login or a sender that is refused says nothing of the receiver.
            return Sent("refused" if taken and exc.code // 100 == 5 else "again", _said(f"{exc.code} {exc.message}"))
        except (aiosmtplib.SMTPException, OSError, ValueError) as exc:  # a file that is missing, a text with no octets
            return Sent("unsure" if went else "again", _said(f"{type(exc).__name__}: {exc}"))
        finally:
            if client is not None:
                await self._leave(client, polite=known)
        return Sent("sent", _said(f"{answer.code} {answer.message}"))

    def _client(self) -> aiosmtplib.SMTP:
        config = self._config
        return aiosmtplib.SMTP(
            hostname=config.host, port=config.port, timeout=STEP_TIMEOUT, use_tls=config.security == "tls",
            start_tls=config.security == "starttls", tls_context=self._context(), username=config.username or None,
            password=config.password or None,
        )  # fmt: skip

    def _context(self) -> ssl.SSLContext | None:
        if self._config.security == "none":
            return None
        return ssl.create_default_context(cafile=self._config.ca_file or None)

    async def _leave(self, client: aiosmtplib.SMTP, *, polite: bool) -> None:
        """Say goodbye to a server that was logged in to; what is said to that changes nothing any more."""
        try:
            if polite:
                async with asyncio.timeout(GOODBYE):
                    await client.quit()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            pass
        finally:
            client.close()


def _said(text: str) -> str:
    return " ".join(text.split())[:LONGEST_SAID]
