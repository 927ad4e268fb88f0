"""Short links on their way into messages: which may be sent, and who is given which of their codes (docs/adr/088)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from smsgw.core.errors import Refused, Temporary
from smsgw.core.model import Account
from smsgw.core.sent_links import SAMPLE, LinkCode
from smsgw.core.short_codes import Permutation
from smsgw.platform.change import Change
from smsgw.platform.links import queries, service
from smsgw.platform.links.model import MOST_CODES, LinkKind, NewLink, Origin, ShortLink
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import message_links

CODES_OF_CALLS = 100_000
"""Of a personal link that a send call has made."""

# Whoever gets codes waits for whoever gets some of the same link: nobody gets another's.
_TAKE = """
UPDATE short_link SET used = used + $2 WHERE id = $1 AND kind = 'personal' AND used + $2 <= codes RETURNING used - $2
"""
# The last that were taken and are nobody's; unless others were taken since.
_GIVE_BACK = "UPDATE short_link SET used = $2::int WHERE id = $1 AND used = $2::int + $3::int"
_TOLD = "UPDATE short_link SET used = $2 WHERE id = $1 AND kind = 'personal' AND used < $2"
# What a reviewer has decided to warn of is warned of by all who ask for the same.
_SAME = """
SELECT id FROM short_link
WHERE account_id = $1 AND origin = 'api' AND md5(target) = md5($2) AND target = $2 AND kind = $3 AND domain = $4
  AND valid_until IS NOT DISTINCT FROM $5 AND state IN ('active', 'reviewing')
  AND (kind = 'shared' OR used + $6 <= codes) AND valid_from IS NOT DISTINCT FROM $7 AND visits_max = $8
  AND (warn = $9 OR decided_at IS NOT NULL) AND chosen IS NULL
ORDER BY id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of a link that somebody has been given."""

    link: ShortLink
    first: int | None
    """The first of them; None: none yet, they are samples."""
    permutation: Permutation | None

    def at(self, place: int) -> LinkCode:
        """The code of one recipient, from 0."""
        link, personal = self.link, self.link.kind is LinkKind.PERSONAL
        n = (self.first or 0) + place if personal else 0
        code = SAMPLE if personal and self.first is None else link.code(n, self.permutation)
        return LinkCode(link.id, n, f"{link.domain}/{code}", link.target, personal)


class SentLinks:
    """Gives out codes. ``hosts``: the domains of short links, the usual one first."""

    def __init__(self, database: Database, sealer: Sealer, hosts: Sequence[str]) -> None:
        self._database = database
        self._sealer = sealer
        self.hosts = tuple(hosts)
        self._permutation: Permutation | None = None

    async def _codes(self, link: ShortLink, first: int | None, database: Database | Connection) -> Codes:
        if self._permutation is None:
            self._permutation = await queries.permutation(database, self._sealer)
        return Codes(link, first, self._permutation)

    async def samples(self, account: Account, link_id: int, now: datetime) -> Codes:
        """What texts of the account would be like with the link. ``LINK_NOT_FOUND``, ``LINK_NOT_ACTIVE``."""
        link = service.usable(await self._of(self._database, account, link_id), now)
        return await self._codes(link, None, self._database)

    async def shown(self, account: Account, link_id: int) -> Codes:
        """The same of a link in whatever state. ``LINK_NOT_FOUND``."""
        return await self._codes(await self._of(self._database, account, link_id), None, self._database)

    async def given(self, link_id: int, first: int, now: datetime) -> Codes:
        """What somebody was given before. ``LINK_NOT_FOUND``, ``LINK_NOT_ACTIVE``."""
        return await self._codes(service.usable(await _one(self._database, link_id, None), now), first, self._database)

    async def take(self, account: Account, link_id: int, n: int, now: datetime) -> Codes:
        """Codes for so many recipients. ``LINK_NOT_FOUND``, ``LINK_NOT_ACTIVE``, ``LINK_CODES_USED_UP``."""
        link = service.usable(await self._of(self._database, account, link_id), now)
        if link.kind is LinkKind.SHARED:
            return await self._codes(link, 0, self._database)
        first = await self._database.fetchval(_TAKE, link.id, n)
        if first is None:
            raise Refused("LINK_CODES_USED_UP", id=str(link.id), left=max(0, link.codes - link.used), need=n)
        return await self._codes(link, first, self._database)

    async def give_back(self, codes: Codes, n: int) -> None:
        """So many codes that were taken have gone to nobody. Where the database cannot be asked, they are lost."""
        if codes.link.kind is not LinkKind.PERSONAL:
            return
        with suppress(Temporary):
            await self._database.execute(_GIVE_BACK, codes.link.id, codes.first, n)

    async def take_for_run(self, change: Change, connection: Connection, link_id: int, n: int, now: datetime) -> Codes:
        """Codes for all rows of a run, in its transaction: of the link, or of one like it when it has too few left.
        ``LINK_NOT_FOUND``, ``LINK_NOT_ACTIVE``, ``STATE_CONFLICT``."""
        link = service.usable(await _one(connection, link_id, None), now)
        first: int | None = 0
        if link.kind is LinkKind.PERSONAL:
            first = await connection.fetchval(_TAKE, link.id, n)
            if first is None:
                link = await service.make_like(change, connection, self._sealer, link, max(n, link.codes), now)
                first = await connection.fetchval(_TAKE, link.id, n)
        return await self._codes(link, first, connection)

    async def take_for_target(self, change: Change, account: Account, wanted: NewLink, n: int, now: datetime) -> Codes:
        """Codes of the account's link to that target until that time: of the one that calls before have made, or of a
        new one. ``PARAM_INVALID``, ``PERMISSION_DENIED``, ``STATE_CONFLICT``, ``LINK_NOT_ACTIVE``."""
        checked = service.as_kept(wanted, self.hosts, now)
        same = (
            checked.target, checked.kind.value, checked.domain, checked.valid_until, n, checked.valid_from,
            checked.visits_max, checked.warn,
        )  # fmt: skip
        id_ = await self._database.fetchval(_SAME, account.id, *same)
        if id_ is None:
            codes = max(n, CODES_OF_CALLS) if checked.kind is LinkKind.PERSONAL else 1
            made = replace(checked, account_id=account.id, codes=codes, origin=Origin.API)
            id_ = (await service.make(change, self._sealer, made, self.hosts, now=now)).id
        return await self.take(account, id_, n, now)

    async def sample_for_target(self, wanted: NewLink, now: datetime) -> LinkCode:
        """What the address of a link to that target would be like. ``PARAM_INVALID``, ``STATE_CONFLICT``."""
        checked = service.as_kept(wanted, self.hosts, now)
        personal = checked.kind is LinkKind.PERSONAL
        return LinkCode(0, 0, f"{checked.domain}/{SAMPLE}", checked.target, personal)

    async def make(self, change: Change, wanted: NewLink, now: datetime) -> ShortLink:
        """A link that a sending is going to have. As ``service.make``."""
        return await service.make(change, self._sealer, wanted, self.hosts, now=now)

    @staticmethod
    async def _of(database: Database | Connection, account: Account, link_id: int) -> ShortLink:
        return await _one(database, link_id, (account.id, *account.above))


async def following(database: Database, message_id: int, now: datetime, address: str = "") -> LinkCode | None:
    """The code of a message, for one that follows it with the same; without its address but where that is known. None:
    it carries none. ``LINK_NOT_ACTIVE``."""
    code = await message_links.of(database, message_id, address)
    if code is not None:
        service.usable(await _one(database, code.link_id, None), now)
    return code


async def told(database: Database, link_id: int, n: int) -> None:
    """Somebody is told the first so many codes of a personal link: no message is given one of them any more."""
    await database.execute(_TOLD, link_id, n)


def check_room(link: ShortLink, n: int) -> None:
    """Whether so many recipients can have a code of it each. ``LINK_CODES_USED_UP``."""
    if link.kind is LinkKind.PERSONAL and n > MOST_CODES:
        raise Refused("LINK_CODES_USED_UP", id=str(link.id), left=MOST_CODES, need=n)


async def _one(database: Database | Connection, link_id: int, accounts: Sequence[int] | None) -> ShortLink:
    try:
        return await queries.one(database, link_id, accounts=accounts)
    except Refused as exc:
        raise Refused("LINK_NOT_FOUND", id=str(link_id)) from exc
