"""Signatures and templates of accounts: applied for, reviewed, and registered with the carriers (报备)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from smsgw.core.errors import Invalid, Refused
from smsgw.core.policy import check_type
from smsgw.core.templates import CARRIERS, MAX_CONTENT, Registration, Review, Variable, variables_of
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import events
from smsgw.store.records import audit

SIGN, TEMPLATE = "sign", "template"
MAX_SIGNS, MAX_TEMPLATES = 1000, 2000
"""Of an account."""
EVENT = {SIGN: "sign.reviewed", TEMPLATE: "template.reviewed"}
Ids = Callable[[], int]

_NEW_SIGN = """
INSERT INTO sign (account_id, sign, source, note, expires_at)
SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM sign WHERE account_id = $1) < $6
ON CONFLICT (account_id, sign) DO UPDATE
SET source = excluded.source, note = excluded.note, expires_at = excluded.expires_at, state = 'pending', reason = ''
WHERE sign.state = 'refused' RETURNING id
"""
_NEW_TEMPLATE = """
INSERT INTO template (account_id, name, type, content, variables, sign)
SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM template WHERE account_id = $1) < $7 RETURNING id
"""
_CARRIERS = """
SELECT COALESCE(json_object_agg(carrier, json_build_object('state', r.state, 'note', r.note)), '{{}}') AS carriers
FROM registration r WHERE r.kind = '{kind}' AND r.id = x.id
"""
_LIST = """
SELECT x.*, a.name AS account, c.carriers FROM {kind} x JOIN account a ON a.id = x.account_id
CROSS JOIN LATERAL ({carriers}) c
WHERE ($1::bigint[] IS NULL OR x.account_id = ANY($1)) AND ($2::bigint IS NULL OR x.id = $2)
  AND ($3 = '' OR x.state = $3) AND ($4::bigint IS NULL OR x.id < $4) ORDER BY x.id DESC LIMIT $5
"""
_REVIEW = """
UPDATE {kind} SET state = $2, reason = $3, reviewed_by = $4, reviewed_at = now() WHERE id = $1
RETURNING account_id, {label} AS label
"""
_REGISTER = """
INSERT INTO registration (kind, id, carrier, state, note) SELECT $1, $2, c, $4, $5 FROM unnest($3::text[]) AS c
ON CONFLICT (kind, id, carrier) DO UPDATE SET state = excluded.state, note = excluded.note, at = now()
"""
_OWNER = "SELECT account_id, {label} AS label FROM {kind} WHERE id = $1"
_LABEL = {SIGN: "sign", TEMPLATE: "name"}


def _sql(text: str, kind: str) -> str:
    return text.format(kind=kind, label=_LABEL[kind], carriers=_CARRIERS.format(kind=kind))


_SQL = {(name, kind): _sql(text, kind) for kind in (SIGN, TEMPLATE)
        for name, text in (("list", _LIST), ("review", _REVIEW), ("owner", _OWNER))}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A signature or template as it stands."""

    row: Mapping[str, Any]
    carriers: Mapping[str, Mapping[str, str]]
    """Carrier -> state and note; all mainland carriers."""


def _entry(row: Row) -> Entry:
    known = json.loads(row["carriers"])
    return Entry(
        {k: v for k, v in row.items() if k != "carriers"},
        {c: known.get(c, {"state": Registration.PENDING.value, "note": ""}) for c in CARRIERS},
    )


async def add_sign(
    database: Database,
    account_id: int,
    sign: str,
    *,
    source: str = "",
    note: str = "",
    expires_at: datetime | None = None,
    actor: str,
) -> int:
    """Apply for a signature (again, when it was refused); its id."""
    sign = sign.strip().strip("【】")
    if not 2 <= len(sign) <= 20 or re.search(r"[【】\s]", sign):
        raise Invalid("PARAM_INVALID", field="sign", reason="签名须为 2 到 20 个字符,不含【】和空白")
    async with database.transaction() as connection:
        id_: int | None = await connection.fetchval(
            _NEW_SIGN, account_id, sign, source[:200], note[:500], expires_at, MAX_SIGNS
        )
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=f"签名已申请,或已达上限 {MAX_SIGNS} 个")
        await _noted(connection, actor, f"{SIGN}.add", f"sign/{id_}", {"account": account_id, "sign": sign})
    return id_


async def add_template(
    database: Database,
    account_id: int,
    name: str,
    type_: str,
    content: str,
    variables: Mapping[str, Variable],
    *,
    sign: str = "",
    actor: str,
) -> int:
    """Apply for a template; its id."""
    check_type(type_)
    if not name.strip() or len(name) > 64:
        raise Invalid("PARAM_INVALID", field="name", reason="名称须为 1 到 64 个字符")
    if not content.strip() or len(content) > MAX_CONTENT or content.startswith("【"):
        raise Invalid(
            "PARAM_INVALID", field="content", reason=f"内容须为 1 到 {MAX_CONTENT} 字,不含签名(签名另填)"
        )
    try:
        whole = variables_of(content, variables)
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field="content", reason=str(exc)) from exc
    stored = json.dumps({n: {"form": v.form, "most": v.most} for n, v in whole.items()}, ensure_ascii=False)
    async with database.transaction() as connection:
        try:
            id_: int | None = await connection.fetchval(
                _NEW_TEMPLATE, account_id, name.strip(), type_, content, stored, sign.strip("【】"), MAX_TEMPLATES
            )
        except asyncpg.UniqueViolationError as exc:
            raise Refused("STATE_CONFLICT", reason=f"模板名称 {name} 已使用") from exc
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=f"模板已达上限 {MAX_TEMPLATES} 个")
        await _noted(
            connection, actor, f"{TEMPLATE}.add", f"template/{id_}", {"account": account_id, "content": content}
        )
    return id_


async def list_(
    database: Database,
    kind: str,
    *,
    accounts: Sequence[int] | None,
    id_: int | None = None,
    state: str = "",
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Signatures or templates (``kind``) that the accounts (None: all) may see, the newest first."""
    seen = None if accounts is None else list(accounts)
    return [_entry(r) for r in await database.fetch(_SQL["list", kind], seen, id_, state, before, limit)]


async def get(database: Database, kind: str, id_: int, *, accounts: Sequence[int] | None) -> Entry:
    """One of them; ``NOT_FOUND``."""
    found = await list_(database, kind, accounts=accounts, id_=id_, limit=1) if 0 < id_ < 2**63 else []
    if not found:
        raise Refused("NOT_FOUND")
    return found[0]


async def review(
    database: Database, kind: str, id_: int, state: Review, *, reason: str = "", actor: str, ids: Ids
) -> int:
    """The reviewer's word; the account is told of it. Its account."""
    if state is Review.REFUSED and not reason.strip():
        raise Invalid("PARAM_MISSING", field="reason")
    async with database.transaction() as connection:
        row = await connection.fetchrow(_SQL["review", kind], id_, state.value, reason[:500], actor)
        if row is None:
            raise Refused("NOT_FOUND")
        await _tell(connection, kind, id_, row, {"state": state.value, "reason": reason}, ids)
        await _noted(connection, actor, f"{kind}.{state.value}", f"{kind}/{id_}", {"reason": reason})
    return int(row["account_id"])


async def register(
    database: Database,
    kind: str,
    id_: int,
    carriers: Sequence[str],
    state: Registration,
    *,
    note: str = "",
    actor: str,
    ids: Ids,
) -> int:
    """What carriers say; the account is told of it. Its account."""
    if not carriers or not set(carriers) <= set(CARRIERS):
        raise Invalid("PARAM_INVALID", field="carrier", reason=f"可选 {', '.join(CARRIERS)}")
    async with database.transaction() as connection:
        row = await connection.fetchrow(_SQL["owner", kind], id_)
        if row is None:
            raise Refused("NOT_FOUND")
        await connection.execute(_REGISTER, kind, id_, sorted(set(carriers)), state.value, note[:500])
        said = {"carriers": dict.fromkeys(sorted(set(carriers)), state.value), "reason": note}
        await _tell(connection, kind, id_, row, said, ids)
        await _noted(connection, actor, f"{kind}.register", f"{kind}/{id_}", said)
    return int(row["account_id"])


async def _tell(
    connection: Connection, kind: str, id_: int, row: Row, said: Mapping[str, Any], ids: Ids
) -> None:
    detail = {f"{kind}_id": str(id_), _LABEL[kind]: row["label"], **said}
    await events.record(connection, EVENT[kind], [(row["account_id"], detail)], ids=ids, subject=id_)


async def _noted(connection: Connection, actor: str, action: str, object_: str, after: Mapping[str, Any]) -> None:
    await audit.append(connection, actor=actor, action=action, object=object_, after=after)
    await connection.execute(BUMP)
