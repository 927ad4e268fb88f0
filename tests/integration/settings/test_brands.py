"""Brands: drafts, hosts, pictures and certificates, and what a node shows of them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from pathlib import Path

import pytest
from certificates import certified
from changes import by_test

from smsgw.core.brand import NEUTRAL
from smsgw.core.errors import Refused, SmsgwError
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.platform.brand import certificates, queries, service
from smsgw.store.engine import secrets
from smsgw.store.engine.database import Database
from smsgw.web.host_certificates import HostCertificates

RED = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9" fill="red"/></svg>'


async def code_of(call: Awaitable[object]) -> str:
    with pytest.raises(SmsgwError) as caught:
        await call
    return caught.value.code


async def test_what_is_edited_is_seen_when_it_is_published(database: Database, tmp_path: Path) -> None:
    change, follower = by_test(database), SnapshotFollower(database, secrets.load_key(tmp_path / "key", create=True))
    await follower.follow()
    id_ = await service.add(change, ["SMS.city.example", "10.0.0.7"])
    picture = await service.put_picture(change, RED)
    await service.draft(change, id_, {"name": "城市短信", "logo": picture, "colour": "#AA0000"})
    await follower.follow()
    assert follower.current.brands.look("sms.city.example") is NEUTRAL
    (entry,) = await queries.brands(database)
    assert entry.changed
    assert entry.draft.name == "城市短信"
    await service.publish(change, id_)
    before = dict(follower.loads)
    await follower.follow()
    assert {n for n, times in follower.loads.items() if times != before.get(n)} == {"brands"}
    look = follower.current.brands.look("sms.city.example:443")
    assert (look.name, look.colour, look.logo) == ("城市短信", "#aa0000", picture)
    found = await queries.picture(database, picture)
    assert b"red" in found.octets
    loads = follower.loads["brands"]
    await service.draft(change, id_, {"name": "新名称"})
    await follower.follow()
    assert follower.loads["brands"] == loads, "a draft concerns nobody"
    assert follower.current.brands.look("10.0.0.7").name == "城市短信"


async def test_a_host_has_one_brand(database: Database) -> None:
    change = by_test(database)
    first = await service.add(change, ["a.example", "b.example"])
    assert await code_of(service.add(change, ["c.example", "B.example"])) == "BRAND_HOST_TAKEN"
    second = await service.add(change, ["c.example"])
    assert await code_of(service.set_hosts(change, second, ["a.example"])) == "BRAND_HOST_TAKEN"
    await service.set_hosts(change, first, ["a.example"])
    await service.set_hosts(change, second, ["b.example", "c.example"])
    assert [b.hosts for b in await queries.brands(database)] == [("a.example",), ("b.example", "c.example")]
    assert await code_of(service.set_hosts(change, second, [])) == "BRAND_HOSTS_INVALID"
    assert await code_of(service.set_hosts(change, second, ["no host"])) == "BRAND_HOSTS_INVALID"
    assert await code_of(service.publish(change, second + 1)) == "NOT_FOUND"
    await service.remove(change, first)
    assert [b.id for b in await queries.brands(database)] == [second]


async def test_two_hosts_are_brought_at_once(database: Database) -> None:
    async def add() -> str:
        try:
            await service.add(by_test(database), ["same.example"])
        except SmsgwError as exc:
            return exc.code
        return ""

    assert sorted(await asyncio.gather(*(add() for _ in range(5)))) == ["", *["BRAND_HOST_TAKEN"] * 4]


async def test_pictures_that_nothing_names_go(database: Database) -> None:
    change = by_test(database)
    id_ = await service.add(change, ["a.example"])
    shown, old = await service.put_picture(change, RED), await service.put_picture(change, RED.replace(b"red", b"blue"))
    await service.draft(change, id_, {"logo": shown})
    await database.execute("UPDATE brand_picture SET at = now() - interval '2 days'")
    await service.publish(change, id_)
    assert await queries.picture(database, shown) is not None
    assert await queries.picture(database, old) is None


async def test_each_host_shows_its_certificate(database: Database, tmp_path: Path) -> None:
    sealer = secrets.load_key(tmp_path / "key", create=True)
    change, follower = by_test(database), SnapshotFollower(database, sealer)
    id_ = await service.add(change, ["a.example"])
    await service.publish(change, id_)
    chain, key = certified("a.example", "www.a.example")
    for wrong in ((chain, certified("x")[1]), ("junk", key), (chain, "junk")):
        assert await code_of(service.put_certificate(change, id_, *wrong, sealer)) == "CERTIFICATE_INVALID"
    info = await service.put_certificate(change, id_, chain, key, sealer)
    assert info.names == ("a.example", "www.a.example")
    stored = await database.fetchrow("SELECT * FROM brand")
    assert stored is not None
    assert b"PRIVATE" not in stored["key_sealed"]
    await follower.follow()
    own = certificates.context(*certified("own.example"))
    by_host = HostCertificates(follower)
    await by_host.look()
    own.sni_callback = by_host.choose
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=own)
    try:
        for asked, shown in (("a.example", "a.example"), ("A.Example", "a.example"), ("b.example", "own.example")):
            assert await name_shown(server.sockets[0].getsockname()[1], asked) == shown
        await service.remove_certificate(change, id_)
        await follower.follow()
        await by_host.look()
        assert await name_shown(server.sockets[0].getsockname()[1], "a.example") == "own.example"
    finally:
        server.close()


async def name_shown(port: int, asked: str) -> str:
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=asked)
    try:
        octets = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return certificates.describe(ssl.DER_cert_to_PEM_cert(octets)).names[0]
    finally:
        writer.close()


async def test_pictures_that_no_brand_names_are_not_kept_without_end(database: Database) -> None:
    change = by_test(database)
    for n in range(service.MAX_SPARE):
        await service.put_picture(change, RED.replace(b"red", f"#{n:06x}".encode()))
    await service.put_picture(change, RED.replace(b"red", b"#000001"))  # one of them
    with pytest.raises(Refused) as refused:
        await service.put_picture(change, RED)
    assert refused.value.code == "RATE_LIMITED"
    await database.execute("UPDATE brand_picture SET at = now() - interval '2 days'")
    await service.put_picture(change, RED)
    assert await database.fetchval("SELECT count(*) FROM brand_picture") == 1
