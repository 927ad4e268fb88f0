"""Changes of brands. What is edited is a draft; people see it once it is published."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from smsgw.core.brand import MAX_HOSTS, Look, parse_host, parse_look
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.brand import certificates, pictures, queries
from smsgw.platform.brand.model import BrandEntry, CertificateInfo
from smsgw.platform.change import Change, Unit
from smsgw.store.config.brands import context_of
from smsgw.store.engine.secrets import Sealer

MAX_BRANDS = 50
SPARE_PAUSE = 3600
"""Seconds that are told to who puts too many pictures."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('brand', 0))"
_ADD = "INSERT INTO brand (draft) VALUES ('{}') RETURNING id"
_COUNT = "SELECT count(*) FROM brand"
_TAKEN = "SELECT host FROM brand_host WHERE host = ANY($2::text[]) AND brand_id <> $1 ORDER BY host LIMIT 1"
_CLEAR_HOSTS = "DELETE FROM brand_host WHERE brand_id = $1 AND host <> ALL($2::text[])"
_ADD_HOSTS = "INSERT INTO brand_host (brand_id, host) SELECT $1, unnest($2::text[]) ON CONFLICT (host) DO NOTHING"
_DRAFT = "UPDATE brand SET draft = $2, drafted_at = now() WHERE id = $1"
_PUBLISH = "UPDATE brand SET published = draft, published_at = now() WHERE id = $1"
_DISCARD = "UPDATE brand SET draft = COALESCE(published, '{}'), drafted_at = now() WHERE id = $1"
_REMOVE = "DELETE FROM brand WHERE id = $1"
_CERTIFICATE = "UPDATE brand SET certificate = $2, key_sealed = $3 WHERE id = $1"
_KEEP_PICTURE = """
INSERT INTO brand_picture (sha256, media_type, octets) VALUES ($1, $2, $3)
ON CONFLICT (sha256) DO UPDATE SET at = now()
"""
_UNNAMED = """
NOT EXISTS (
    SELECT FROM brand b
    WHERE encode(p.sha256, 'hex') IN (b.draft->>'logo', b.draft->>'icon', b.draft->>'picture',
                                      b.published->>'logo', b.published->>'icon', b.published->>'picture'))
"""
# Pictures of a draft that is open in a browser may not be named by any row yet.
_SWEEP_PICTURES = f"DELETE FROM brand_picture p WHERE at < now() - interval '1 day' AND {_UNNAMED}"  # noqa: S608
_SPARE = f"SELECT count(*) FROM brand_picture p WHERE sha256 <> $1 AND {_UNNAMED}"  # noqa: S608 - constant text
MAX_SPARE = 50
"""Pictures that no brand names, of all people together; they go after a day."""


async def add(change: Change, hosts: Sequence[str]) -> int:
    """Make a brand for these hosts; its id. Nobody sees it until it is published. ``PARAM_INVALID``,
    ``BRAND_HOST_TAKEN``."""
    names = _hosts(hosts)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        await unit.connection.execute(_LOCK)
        if await unit.connection.fetchval(_COUNT) >= MAX_BRANDS:
            raise Refused("BRANDS_FULL", most=MAX_BRANDS)
        brand_id: int = await unit.connection.fetchval(_ADD)
        await _set_hosts(unit, brand_id, names)
        unit.record("brand.add", f"brand/{brand_id}", after={"hosts": names})
    return brand_id


async def set_hosts(change: Change, brand_id: int, hosts: Sequence[str]) -> None:
    """The hosts that show the brand, at once. ``NOT_FOUND``, ``PARAM_INVALID``, ``BRAND_HOST_TAKEN``."""
    names = _hosts(hosts)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        before = await _known(unit, brand_id)
        await _set_hosts(unit, brand_id, names)
        unit.record("brand.hosts", f"brand/{brand_id}", before={"hosts": list(before.hosts)}, after={"hosts": names})


async def draft(change: Change, brand_id: int, values: Mapping[str, Any]) -> Look:
    """Change the draft: fields of ``Look`` that are given. ``NOT_FOUND``, ``PARAM_INVALID``."""
    async with change.unit(Permission.SETTING_EDIT) as unit:
        before = (await _known(unit, brand_id)).draft
        try:
            after = parse_look(asdict(before) | dict(values))
        except ValueError as exc:
            raise Invalid("BRAND_FIELD_INVALID", field=str(exc)) from exc
        await unit.connection.execute(_DRAFT, brand_id, json.dumps(asdict(after), ensure_ascii=False))
        unit.record("brand.draft", f"brand/{brand_id}", **_difference(before, after))
    return after


async def publish(change: Change, brand_id: int) -> None:
    """Show the draft from now on, at all nodes within seconds. ``NOT_FOUND``; ``STATE_CONFLICT`` when it is shown."""
    async with change.unit(Permission.SETTING_EDIT) as unit:
        before = await _known(unit, brand_id)
        if not before.changed:
            raise Refused("STATE_CONFLICT", reason=phrase("brand.unchanged"))
        await unit.connection.execute(_PUBLISH, brand_id)
        await unit.connection.execute(_SWEEP_PICTURES)
        unit.record("brand.publish", f"brand/{brand_id}", **_difference(before.published or Look(), before.draft))


async def discard(change: Change, brand_id: int) -> None:
    """Take the draft back to what is published. ``NOT_FOUND``."""
    async with change.unit(Permission.SETTING_EDIT) as unit:
        before = await _known(unit, brand_id)
        await unit.connection.execute(_DISCARD, brand_id)
        unit.record("brand.discard", f"brand/{brand_id}", **_difference(before.draft, before.published or Look()))


async def remove(change: Change, brand_id: int) -> None:
    """Forget a brand; its hosts show what others do. ``NOT_FOUND``."""
    async with change.unit(Permission.SETTING_EDIT) as unit:
        before = await _known(unit, brand_id)
        await unit.connection.execute(_REMOVE, brand_id)
        unit.record("brand.remove", f"brand/{brand_id}", before={"hosts": list(before.hosts)})


async def put_picture(change: Change, octets: bytes) -> str:
    """Keep a picture for a draft; its hash, to be named there. ``PICTURE_TOO_LARGE``, ``PICTURE_INVALID``;
    ``RATE_LIMITED`` while there are too many that no brand names."""
    change.actor.require(Permission.SETTING_EDIT)
    picture = await asyncio.to_thread(pictures.clean, octets)
    digest = hashlib.sha256(picture.octets)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        await unit.connection.execute(_LOCK)
        await unit.connection.execute(_SWEEP_PICTURES)
        if await unit.connection.fetchval(_SPARE, digest.digest()) >= MAX_SPARE:
            raise Refused("RATE_LIMITED", retry_after=SPARE_PAUSE, n=SPARE_PAUSE)
        await unit.connection.execute(_KEEP_PICTURE, digest.digest(), picture.media_type, picture.octets)
        after = {"sha256": digest.hexdigest(), "type": picture.media_type, "size": len(picture.octets)}
        unit.record("brand.picture", "brand", after=after)
    return digest.hexdigest()


async def put_certificate(change: Change, brand_id: int, chain: str, key: str, sealer: Sealer) -> CertificateInfo:
    """The certificate that the brand's hosts show from now on, PEM. ``NOT_FOUND``, ``CERTIFICATE_INVALID``."""
    change.actor.require(Permission.SETTING_EDIT)
    info = await asyncio.to_thread(certificates.check, chain, key)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        await _known(unit, brand_id)
        await unit.connection.execute(_CERTIFICATE, brand_id, chain, sealer.seal(key, context_of(brand_id)))
        after = {"names": list(info.names), "issuer": info.issuer, "ends": info.ends.isoformat()}
        unit.record("brand.certificate", f"brand/{brand_id}", after=after)
    return info


async def remove_certificate(change: Change, brand_id: int) -> None:
    """The brand's hosts show the listener's own certificate again. ``NOT_FOUND``."""
    async with change.unit(Permission.SETTING_EDIT) as unit:
        before = await _known(unit, brand_id)
        await unit.connection.execute(_CERTIFICATE, brand_id, "", None)
        names = list(before.certificate.names) if before.certificate else []
        unit.record("brand.certificate", f"brand/{brand_id}", before={"names": names})


async def _known(unit: Unit, brand_id: int) -> BrandEntry:
    await unit.connection.execute(_LOCK)
    found = await queries.brand(unit.connection, brand_id)
    if found is None:
        raise Refused("NOT_FOUND")
    return found


async def _set_hosts(unit: Unit, brand_id: int, hosts: Sequence[str]) -> None:
    taken = await unit.connection.fetchval(_TAKEN, brand_id, hosts)
    if taken is not None:
        raise Refused("BRAND_HOST_TAKEN", host=taken)
    await unit.connection.execute(_CLEAR_HOSTS, brand_id, hosts)
    await unit.connection.execute(_ADD_HOSTS, brand_id, hosts)


def _hosts(hosts: Sequence[str]) -> list[str]:
    if not 0 < len(hosts) <= MAX_HOSTS:
        said = phrase("brand.hosts", n=len(hosts)) if hosts else phrase("brand.no_hosts")
        raise Invalid("BRAND_HOSTS_INVALID", host=said, most=MAX_HOSTS)
    names = []
    for host in hosts:
        try:
            names.append(parse_host(host))
        except ValueError as exc:
            raise Invalid("BRAND_HOSTS_INVALID", host=host[:100], most=MAX_HOSTS) from exc
    return sorted(set(names))


def _difference(before: Look, after: Look) -> dict[str, dict[str, Any]]:
    """What differs, as the audit log has it."""
    old, new = asdict(before), asdict(after)
    changed = [name for name in new if old[name] != new[name]]
    return {"before": {n: old[n] for n in changed}, "after": {n: new[n] for n in changed}}
