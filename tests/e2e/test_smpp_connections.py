"""How SMPP carriers want to be connected to: over TLS, by a pair of binds, from a certain address."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from certificates import HERE, Authority
from cryptography import x509
from harness import PROTOCOLS, Site, carrier_for, site, until

from smsgw.simulator import Carrier

NAME = "smpp34"
PHONE = "13300001111"


@contextlib.asynccontextmanager
async def smpp_site(
    data_dir: Path, dsn: str, carrier: Carrier, profile: dict[str, Any], *options: str
) -> AsyncIterator[Site]:
    """A gateway with one SMPP channel to this carrier."""
    async with carrier, site(data_dir, dsn=dsn, channels=()) as built:
        options += ("--carrier", PROTOCOLS[NAME][1], "--access-code", PROTOCOLS[NAME][2])
        await built.node.add_channel(NAME, carrier.port, *options, profile=profile)
        built.carriers[NAME] = carrier
        yield built


async def _last_error_says(built: Site, *words: str) -> None:
    async def said() -> bool:
        error = (await built.channel(NAME))["last_error"]
        return all(word in error for word in words)

    await until(said, what=f"the last error has {words}")


async def _reply(built: Site, text: str) -> None:
    built.carriers[NAME].send_mo(PHONE, PROTOCOLS[NAME][2], text)
    (reply,) = await built.customer.replies(1)
    assert reply["content"] == text


async def test_tls(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    trusted, stranger = Authority(tmp_path / "trusted.pem"), Authority(tmp_path / "stranger.pem")
    cert = tmp_path / "carrier.pem"
    trusted.certify(cert, HERE)
    carrier = carrier_for(NAME, tls_cert=str(cert))
    profile = {"tls": True, "tls_ca": str(trusted.path)}
    async with smpp_site(data_dir, dsn, carrier, profile) as built:
        await built.bound(NAME)
        # More than a window, so that it also flows when the transport was full.
        await built.customer.send_many(200, NAME)
        await built.settled()
        await _reply(built, "好的")

        # The carrier comes back with a certificate of somebody else: no login, nothing sent, nothing lost.
        await carrier.stop()
        stranger.certify(cert, HERE)
        logins = carrier.counts.logins
        await carrier.start()
        await _last_error_says(built, "certificate", "unable to get local issuer")
        sent = await built.customer.send(NAME)
        assert await built.customer.status(sent.message_id) not in ("rejected", "failed")
        assert carrier.counts.logins == logins
        assert (await built.channel(NAME))["bound"] == 0

        await carrier.stop()
        trusted.certify(cert, x509.DNSName("smpp.example.net"))
        await carrier.start()
        await _last_error_says(built, "certificate", "127.0.0.1")  # the right authority, another name
        named = json.dumps(profile | {"tls_name": "smpp.example.net"})
        await built.node.furnish("channel", "set", NAME, "--profile", named)
        await built.customer.reaches(sent.message_id, "delivered")
        assert not [line for line in built.node.log_lines() if "certificate_not_checked" in line]

        missing = json.dumps(profile | {"tls_ca": "/nonexistent/ca.pem"})
        await built.node.furnish("channel", "set", NAME, "--profile", missing)
        await _last_error_says(built, "tls_ca /nonexistent/ca.pem", "No such file")
        await built.node.furnish("channel", "set", NAME, "--profile", '{"tls": true, "tls_insecure": true}')
        await built.bound(NAME)
        assert [line for line in built.node.log_lines() if "certificate_not_checked" in line]
        await built.customer.send(NAME)
        await built.clean()


async def test_a_pair_of_binds(dsn: str, data_dir: Path) -> None:
    carrier = carrier_for(NAME)
    async with smpp_site(data_dir, dsn, carrier, {"bind": "pair"}, "--connections", "2", "--window", "8") as built:
        await built.bound(NAME)
        await until(lambda: carrier.bound == 4, what="two pairs")

        async def whole() -> bool:
            return (await built.channel(NAME))["bound"] == 2

        await until(whole, what="two connections are counted")
        assert (await built.channel(NAME))["window"] == 16
        await built.customer.send_many(60, NAME)
        await built.settled()
        await _reply(built, "收到")

        # Both links of a pair come back, each by itself.
        carrier.disconnect()
        await until(lambda: carrier.bound == 4, what="two pairs again")
        await built.customer.send(NAME)
        await built.clean()
    assert carrier.counts.violations.total() == 0
    assert not [line for line in built.node.log_lines() if "link.violation" in line]


async def test_the_address_to_connect_from(dsn: str, data_dir: Path) -> None:
    carrier = carrier_for(NAME)
    async with smpp_site(data_dir, dsn, carrier, {"source_address": "127.0.0.9"}) as built:
        await built.bound(NAME)
        assert carrier.peers == ["127.0.0.9"]
        await built.customer.send(NAME)
        await built.clean()

        # Nobody here has that address (TEST-NET-3).
        await built.node.furnish("channel", "set", NAME, "--profile", '{"source_address": "203.0.113.9"}')
        await _last_error_says(built, "203.0.113.9")
