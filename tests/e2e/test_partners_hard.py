"""Partners while the daemon is killed, while strangers knock, and over TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from binds import binds
from certificates import Authority
from cryptography import x509
from harness import until
from partner_client import PartnerClient, Sender, partner_site, smpp_client, submit_sm

from smsgw.runtime.aio import cancel, spawn


@pytest.mark.timeout(600)
@pytest.mark.slow
async def test_killed_while_a_partner_sends(dsn: str, data_dir: Path) -> None:
    async with partner_site(data_dir, dsn=dsn, channels=("cmpp30",), durability_unknown_short_seconds="10") as here:
        await here.node.furnish("partner", "set", "shop", "--type", "otp", "--max-binds", "50")
        sender = Sender(here.smpp_port)
        sending = spawn(sender.run(), name="sender")
        try:
            for _ in range(3):
                before = len(sender.answered)
                await until(lambda n=before: len(sender.answered) > n + 200, within=60, what="answers")  # type: ignore[misc]
                here.node.kill()
                await here.node.start()
            before = len(sender.answered)
            await until(lambda: len(sender.answered) > before + 200, within=60, what="answers")
            await sender.finish()
        finally:
            await cancel(sending)
        await sender.reported(here.site.received)
        assert set(sender.refused) <= {0x08, 0x14, 0x58}
        assert all(len(set(states)) == 1 for states in sender.told().values()), "one submit has two ends"


@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_masses_of_logins_hurt_nobody_who_is_bound(dsn: str, data_dir: Path) -> None:
    async with partner_site(data_dir, dsn=dsn, channels=("cmpp30",)) as here:
        for what, value in (await binds(here, 600, 4.0, n_regular=4)).items():
            print(f"{what}: {value}")


async def test_tls_and_a_renewed_certificate(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    authority, file = Authority(tmp_path / "ca.pem"), tmp_path / "server.pem"
    authority.certify(file, x509.DNSName("localhost"))
    trusting = ssl.create_default_context(cafile=str(authority.path))

    def shown(client: PartnerClient) -> str:
        assert client.bound.result() == 0
        return str(client.link._transport.get_extra_info("peercert")["serialNumber"])

    async with partner_site(data_dir, dsn=dsn, channels=("cmpp30",), partners_smpp_tls=f"{file},{file}") as here:
        status = await here.node.status()
        assert status["urls"]["smpp"].startswith("smpps://")
        assert status["checks"]["partners"] == "ok"
        client = await PartnerClient.connect(here.smpp_port, smpp_client(), ssl=trusting)
        answer = await client.call(submit_sm("8613800000001", "over TLS"))
        await client.told([answer.message_id])
        authority.certify(file, x509.DNSName("localhost"))
        await here.node.reload()
        renewed = await PartnerClient.connect(here.smpp_port, smpp_client(), ssl=trusting)
        assert shown(renewed) != shown(client)
        assert not client.over
        # Without TLS nobody gets in, nor anywhere.
        reader, writer = await asyncio.open_connection("127.0.0.1", here.smpp_port)
        writer.write(client.session.dialect.encode(smpp_client().login()))
        assert not (await asyncio.wait_for(reader.read(), 15)).startswith(b"\0\0\0")
        writer.close()
        client.abort()
        renewed.abort()
