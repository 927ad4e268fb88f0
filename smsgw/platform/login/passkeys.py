"""Passkeys (WebAuthn): registered for one host, with the person verified by the device, each challenge good once."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from smsgw.core.addresses import parse_address
from smsgw.core.errors import Invalid
from smsgw.platform.change import Change
from smsgw.platform.org import factors
from smsgw.platform.org.model import Person
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

MAX_RESPONSE = 16 * 1024
"""Characters of what a browser answers."""
_NO_ANSWER = (WebAuthnException, ValueError, RecursionError)
"""What the library says of what is none: JSON can be nested deeper than its reader goes."""
TIMEOUT = 120_000
"""Milliseconds that the browser lets the person take."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the browser says it is."""

    origin: str
    """``https://host:port``."""

    @property
    def rp_id(self) -> str:
        """The host: a passkey of another one does not work here."""
        return urlsplit(self.origin).hostname or ""

    @property
    def able(self) -> bool:
        """Whether browsers do passkeys there: at names alone, and over TLS but for this machine."""
        host = self.rp_id
        secure = self.origin.startswith("https://") or host == "localhost"
        return secure and bool(host) and parse_address(host.strip("[]")) is None


@dataclass(frozen=True, slots=True)
class Passkey:
    """One that is registered."""

    credential_id: bytes
    name: str
    rp_id: str
    created_at: datetime
    last_used_at: datetime | None


_LIST = """
SELECT credential_id, name, rp_id, created_at, last_used_at FROM staff_passkey WHERE staff_id = $1 ORDER BY created_at
"""
_KEY = "SELECT public_key, sign_count FROM staff_passkey WHERE staff_id = $1 AND credential_id = $2 AND rp_id = $3"
_USED = """
UPDATE staff_passkey SET sign_count = $3, last_used_at = now()
WHERE staff_id = $1 AND credential_id = $2 AND (sign_count < $3 OR sign_count = 0)
"""


async def passkeys(database: Database, staff_id: int) -> list[Passkey]:
    """A person's passkeys, the oldest first."""
    return [Passkey(**dict(row)) for row in await database.fetch(_LIST, staff_id)]


def _handle(sealer: Sealer, staff_id: int) -> bytes:
    """What a device keeps of the person: nothing that tells who it is."""
    _, key = sealer.derive("smsgw passkey handle v1")
    return hmac.digest(key, str(staff_id).encode(), "sha256")


async def _known(database: Database, staff_id: int, site: Site) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(id=key.credential_id)
        for key in await passkeys(database, staff_id)
        if key.rp_id == site.rp_id
    ]


async def registration(database: Database, sealer: Sealer, person: Person, site: Site, brand: str) -> tuple[str, bytes]:
    """Options for ``navigator.credentials.create`` (JSON), and their challenge."""
    options = webauthn.generate_registration_options(
        rp_id=site.rp_id, rp_name=brand, user_id=_handle(sealer, person.id), user_name=person.login,
        user_display_name=person.name or person.login, timeout=TIMEOUT,
        exclude_credentials=await _known(database, person.id, site),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )  # fmt: skip
    return webauthn.options_to_json(options), options.challenge


async def register(change: Change, response: str, challenge: bytes, site: Site, name: str) -> None:
    """Verify what the device has made and keep it as a passkey of whoever acts. Raises ``CODE_WRONG`` when it is for
    another host or challenge, or the person was not verified; and as ``factors.add_passkey``."""
    try:
        made = await asyncio.to_thread(
            webauthn.verify_registration_response,
            credential=response[:MAX_RESPONSE], expected_challenge=challenge, expected_rp_id=site.rp_id,
            expected_origin=site.origin, require_user_verification=True,
        )  # fmt: skip
    except _NO_ANSWER as exc:
        change.actor.require(factors.OWN)
        raise Invalid("CODE_WRONG") from exc
    await factors.add_passkey(
        change, made.credential_id, made.credential_public_key, made.sign_count, name, rp_id=site.rp_id
    )


async def authentication(database: Database, staff_id: int, site: Site) -> tuple[str, bytes]:
    """Options for ``navigator.credentials.get`` (JSON), and their challenge."""
    options = webauthn.generate_authentication_options(
        rp_id=site.rp_id, timeout=TIMEOUT, allow_credentials=await _known(database, staff_id, site),
        user_verification=UserVerificationRequirement.REQUIRED,
    )  # fmt: skip
    return webauthn.options_to_json(options), options.challenge


async def check(database: Database, staff_id: int, response: str, challenge: bytes | None, site: Site) -> bool:
    """Whether it is an answer of one of the person's passkeys for this host to this challenge, of a device that has
    not been copied as far as its counter says."""
    if challenge is None or len(response) > MAX_RESPONSE:
        return False
    try:
        credential_id = base64url_to_bytes(parse_authentication_credential_json(response).id)
        row = await database.fetchrow(_KEY, staff_id, credential_id, site.rp_id)
        if row is None:
            return False
        done = await asyncio.to_thread(
            webauthn.verify_authentication_response,
            credential=response, expected_challenge=challenge, expected_rp_id=site.rp_id,
            expected_origin=site.origin, credential_public_key=row["public_key"],
            credential_current_sign_count=row["sign_count"], require_user_verification=True,
        )  # fmt: skip
    except _NO_ANSWER:
        return False
    used = await database.execute(_USED, staff_id, credential_id, done.new_sign_count)
    return bool(used == "UPDATE 1")
