"""Partners while the daemon is killed, while strangers knock, and over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from binds import binds
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness import until
from partner_client import PartnerClient, PartnerSite, partner_site, smpp_client, submit_sm

from smsgw.core import udh
from smsgw.node import control_client
from smsgw.protocols.session import NotBound
from smsgw.runtime.aio import cancel, spawn


class Sender:
    """Sends as long as it is let, over as many connections as that takes, and notes what was answered."""

    def __init__(self, here: PartnerSite) -> None:
        self.here = here
        self.clients: list[PartnerClient] = []
        self.answered: dict[str, str] = {}
        """Message id -> mark of its text."""
        self.unanswered = 0
        self.refused: Counter[int] = Counter()
        self._serial = 0
        self._again: list[tuple[Any, str]] = []
        self._stopping = False
        self.done = False

    def _submits(self) -> list[tuple[Any, str]]:
        """New ones, and the parts of long messages that were left without an answer."""
        made, self._again = self._again, []
        for _ in range(0 if self._stopping else 20):
            self._serial += 1
            mark = f"#t{self._serial:x}#"
            to = f"86138{self._serial:08d}"
            if self._serial % 5:
                made.append((submit_sm(to, f"hello {mark}"), mark))
                continue
            pieces = (("长" * 60).encode("utf-16-be"), f"完{mark}".encode("utf-16-be"))
            made += [
                (
                    submit_sm(to, "x", esm_class=0x40, data_coding=8,
                              short_message=udh.concat8(self._serial & 0xFF, 2, n) + piece),
                    mark,
                )
                for n, piece in enumerate(pieces, 1)
            ]  # fmt: skip
        return made

    async def finish(self) -> None:
        """Send nothing new; what is half a message is completed."""
        self._stopping = True
        await until(lambda: self.done, what="the last answers")

    async def run(self) -> None:
        while not self.done:
            try:
                client = await PartnerClient.connect(self.here.smpp_port, smpp_client())
            except (OSError, TimeoutError):
                await asyncio.sleep(0.05)
                continue
            if client.bound.result() != 0:
                await asyncio.sleep(0.1)
                continue
            self.clients.append(client)
            while not client.over and not self.done:
                submits = self._submits()
                try:
                    futures = [client.ask(pdu) for pdu, _ in submits]
                except NotBound:
                    self._again += [(pdu, mark) for pdu, mark in submits if pdu.esm_class]
                    break
                answers = await asyncio.gather(*futures, return_exceptions=True)
                for (pdu, mark), answer in zip(submits, answers, strict=True):
                    if isinstance(answer, BaseException) or answer.command_status:
                        self._again += [(pdu, mark)] if pdu.esm_class else []
                    if isinstance(answer, BaseException):
                        self.unanswered += 1
                    elif answer.command_status:
                        self.refused[answer.command_status] += 1
                    else:
                        self.answered[answer.message_id] = mark
                self.done = self._stopping and not self._again

    def told(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for client in self.clients:
            for id_, states in client.receipts().items():
                found.setdefault(id_, []).extend(states)
        return found


@pytest.mark.timeout(600)
@pytest.mark.slow
async def test_killed_while_a_partner_sends(dsn: str, data_dir: Path) -> None:
    async with partner_site(
        data_dir, dsn=dsn, channels=("cmpp30",), durability_unknown_short_seconds="10"
    ) as here:
        await here.node.furnish("partner", "set", "shop", "--type", "otp", "--max-binds", "50")
        sender = Sender(here)
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
        last = await PartnerClient.connect(here.smpp_port, smpp_client())
        assert last.bound.result() == 0
        sender.clients.append(last)
        wanted = set(sender.answered)
        await until(
            lambda: wanted <= sender.told().keys(), within=90, what="a receipt for all that was answered"
        )
        told = sender.told()
        # Nothing that was answered is lost: a carrier has it, or its receipt says what is wrong.
        marks = here.site.received()
        assert not [mark for mark, n in marks.items() if n > 1], "sent twice"
        lost = [
            (id_, told[id_])
            for id_, mark in sender.answered.items()
            if "DELIVRD" in told[id_] and not marks[mark]
        ]
        assert not lost
        assert set(sender.refused) <= {0x08, 0x14, 0x58}
        repeated = sum(len(set(states)) > 1 for states in told.values())
        assert repeated == 0, "one submit has two ends"
        for client in sender.clients:
            client.abort()


@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_masses_of_logins_hurt_nobody_who_is_bound(dsn: str, data_dir: Path) -> None:
    async with partner_site(data_dir, dsn=dsn, channels=("cmpp30",)) as here:
        for what, value in (await binds(here, 600, 4.0, n_regular=4)).items():
            print(f"{what}: {value}")


def certificate(folder: Path, number: int) -> tuple[Path, Path]:
    """Files of a new certificate for localhost and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return chain, secret


def trusting(chain: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(chain))


async def test_tls_and_a_renewed_certificate(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    chain, secret = certificate(tmp_path, 1001)
    async with partner_site(
        data_dir, dsn=dsn, channels=("cmpp30",), partners_smpp_tls=f"{chain},{secret}"
    ) as here:
        status = await here.node.status()
        assert status["urls"]["smpp"].startswith("smpps://")
        assert status["checks"]["partners"] == "ok"
        client = await PartnerClient.connect(here.smpp_port, smpp_client(), ssl=trusting(chain))
        assert client.bound.result() == 0
        answer = await client.call(submit_sm("8613800000001", "over TLS"))
        await client.told([answer.message_id])
        certificate(tmp_path, 1002)
        await control_client.call(here.node.data_dir / "control.sock", "POST", "/reload")
        renewed = await PartnerClient.connect(here.smpp_port, smpp_client(), ssl=trusting(chain))
        shown = renewed.link._transport.get_extra_info("peercert")
        assert int(shown["serialNumber"], 16) == 1002
        assert not client.over
        # Without TLS nobody gets in, nor anywhere.
        reader, writer = await asyncio.open_connection("127.0.0.1", here.smpp_port)
        writer.write(client.session.dialect.encode(smpp_client().login()))
        assert not (await asyncio.wait_for(reader.read(), 15)).startswith(b"\0\0\0")
        writer.close()
        client.abort()
        renewed.abort()
