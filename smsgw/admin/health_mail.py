"""Sends the daily health mails, and puts a health report into words: for the mail and for its page alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from typing import Any

from smsgw.admin.i18n import DEFAULT, agreeing, teller
from smsgw.admin.mailing import Mailing
from smsgw.admin.words import health as words
from smsgw.core.alarms import about_of
from smsgw.core.brand import Brands
from smsgw.core.ids import CHINA
from smsgw.core.words import labels_of, spoken
from smsgw.net.mail import Mailer
from smsgw.platform.handles import Database
from smsgw.platform.health import report, service
from smsgw.platform.health.model import Item, Mail, Report
from smsgw.platform.health.report import Configured
from smsgw.runtime import clock


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a report in words."""

    state: str
    text: str
    path: str
    figure: tuple[str, str, str] | None = None
    """Name, scope and value of one that other pages show, too."""


def _size(octets: float) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20)):
        if abs(octets) >= size:
            return f"{octets / size:,.1f} {unit}"
    return f"{octets / 1024:,.0f} KB"


def _told(item: Item, language: str) -> dict[str, Any]:
    """The facts as they are read."""
    told: dict[str, Any] = {}
    for name, value in item.facts.items():
        if value is None:
            told[name] = "—"
        elif name == "kind":
            known = labels_of("alarm")
            told[name] = known[value].text(language != DEFAULT) if value in known else value
        elif item.code == "alarm" and name == "object":
            told[name] = spoken(about_of(value), language != DEFAULT)
        elif name in ("used", "free", "growth"):
            told[name] = _size(value)
        elif isinstance(value, datetime):
            told[name] = f"{value.astimezone(CHINA):%Y-%m-%d %H:%M}"
        elif isinstance(value, int) and not isinstance(value, bool):
            told[name] = f"{value:,}"
        else:
            told[name] = str(value)
    return told


def lines(found: Report, language: str) -> list[Line]:
    """What a report says, in order."""
    say = teller(language)
    told = [(one, _told(one, language)) for one in found.items]
    return [
        Line(one.state, agreeing(say(words.ITEM[one.code]), facts) % facts, one.path, _figure(one))
        for one, facts in told
    ]


def _figure(item: Item) -> tuple[str, str, str] | None:
    if item.facts.get("percent") is None:
        return None
    return "disk_free", item.facts["object"], f"{item.facts['percent']:.1f}%"


def whole(found: Report, language: str) -> str:
    """What it comes to."""
    told = {"bad": found.how_many("bad"), "n": found.how_many("warning", "unknown")}
    return agreeing(teller(language)(words.WHOLE[found.state]), told) % told


def days(first: date, last: date, language: str) -> str:
    """The days that one tells of."""
    return f"{last}" if first == last else teller(language)(words.DAYS) % {"first": first, "last": last}


def text(found: Report, platform: str, language: str) -> str:
    """The mail's."""
    say = teller(language)
    marked = [
        say(words.LINE) % {"state": say(words.STATE[one.state]), "text": one.text} for one in lines(found, language)
    ]
    return say(words.BODY) % {
        "platform": platform, "days": days(found.first, found.last, language), "lines": "\n".join(marked),
        "when": f"{found.made_at.astimezone(CHINA):%Y-%m-%d %H:%M}", "whole": whole(found, language),
    }  # fmt: skip


class HealthMails(Mailing[Mail]):
    """On this node; a mail is taken by one."""

    name = "health mails"
    kind = "health"
    table = service.TABLE

    def __init__(
        self, database: Database, mailer: Mailer, brands: Callable[[], Brands], configured: Configured,
        now: Callable[[], datetime] = clock.now,
    ) -> None:  # fmt: skip
        super().__init__(database, mailer, brands, now)
        self._configured = configured

    async def _next(self, now: datetime) -> Mail | None:
        return await service.next_(self._database, now, takes=self.works)

    async def _message(self, mail: Mail) -> tuple[EmailMessage, str]:
        found = await report.made(self._database, self._configured, mail.first, mail.day, self._now())
        say, platform = teller(mail.language), self._platform(mail.language)
        told = {"platform": platform, "days": days(mail.first, mail.day, mail.language),
                "state": say(words.STATE[found.state])}  # fmt: skip
        message = self._addressed(mail, say(words.SUBJECT) % told)
        said = text(found, platform, mail.language)
        message.set_content(said)
        return message, hashlib.sha256(said.encode()).hexdigest()
