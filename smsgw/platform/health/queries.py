"""The statements that read who gets health mails, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from smsgw.platform.health.model import Mail, Plan
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order
from smsgw.store.engine.database import Connection, Database

_PLAN = "SELECT emails, language, hour, changed_by, changed_at FROM health_plan"


async def plan(source: Database | Connection) -> Plan | None:
    """Who gets them, and when; None: nobody has ever been named."""
    row = await source.fetchrow(_PLAN)
    return None if row is None else Plan(**{**dict(row), "emails": tuple(row["emails"])})


@dataclass(frozen=True, slots=True)
class MailFilter:
    """Which mails are looked for."""

    mail_state: Annotated[str, "m.state = {value}"] = ""
    receiver: Annotated[str, "strpos(m.receiver, {value}) > 0"] = ""


HEALTH_MAILS = Listing(
    Mail, MailFilter, "health_mail m", EVERYTHING, {"health_day": Order("to_char(m.day, 'YYYYMMDD')", "text")}
)
