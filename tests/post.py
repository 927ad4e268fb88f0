"""A mail server of a test's own, and what it does with what comes."""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default as MODERN
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from smsgw.runtime.config import MailConfig


@dataclass
class Post:
    """A mail server and what it does with what comes: an answer by receiver, or ``drop``."""

    got: list[tuple[str, EmailMessage]] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    port: int = 0
    sender: str = "bills@sms.example.org"
    """As its users are configured."""

    def _answer(self, receiver: str, step: str) -> str:
        left = self.answers.get(f"{step} {receiver}", [])
        return left.pop(0) if left else "250 OK"

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        answer = self._answer(address, "mail")
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        answer = self._answer(address, "rcpt")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:
        receiver = envelope.rcpt_tos[0]
        answer = self._answer(receiver, "data")
        if answer == "drop":
            assert server.transport
            server.transport.abort()
            return "250 nobody hears it"
        if answer.startswith("250"):
            parsed = email.message_from_bytes(envelope.content or b"", policy=MODERN)
            assert isinstance(parsed, EmailMessage)
            self.got.append((receiver, parsed))
        return answer

    @property
    def config(self) -> MailConfig:
        return MailConfig("127.0.0.1", self.port, "none", sender=self.sender)


@asynccontextmanager
async def serving(post: Post, **more: Any) -> AsyncIterator[Post]:
    loop = asyncio.get_running_loop()
    tls = more.pop("ssl", None)
    server = await loop.create_server(lambda: SMTP(post, **more), "127.0.0.1", 0, ssl=tls)
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        server.close()
        await server.wait_closed()
