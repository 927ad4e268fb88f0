"""An authenticator made of software, which makes and uses passkeys as a browser does, honestly or not."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class SoftPasskey:
    """One credential for one host."""

    host: str
    origin: str
    id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    count: int = 0

    def _authenticator(self, flags: int, more: bytes = b"") -> bytes:
        self.count += 1
        head = hashlib.sha256(self.host.encode()).digest()
        return head + bytes([flags]) + self.count.to_bytes(4, "big") + more

    def _client(self, kind: str, options: str) -> bytes:
        challenge = json.loads(options)["challenge"]
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def register(self, options: str, *, verified: bool = True) -> str:
        """The answer of ``navigator.credentials.create``."""
        numbers = self.key.public_key().public_numbers()
        public = encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        flags = PRESENT | ATTESTED | (VERIFIED if verified else 0)
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._authenticator(flags, credential)}
        return self._answer(
            {
                "clientDataJSON": bytes_to_base64url(self._client("webauthn.create", options)),
                "attestationObject": bytes_to_base64url(encode_cbor(attestation)),
            }
        )

    def use(self, options: str, *, verified: bool = True) -> str:
        """The answer of ``navigator.credentials.get``."""
        data = self._authenticator(PRESENT | (VERIFIED if verified else 0))
        client = self._client("webauthn.get", options)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": bytes_to_base64url(client),
                "authenticatorData": bytes_to_base64url(data),
                "signature": bytes_to_base64url(signature),
            }
        )

    def _answer(self, response: dict[str, str]) -> str:
        id_ = bytes_to_base64url(self.id)
        assert base64url_to_bytes(id_) == self.id
        return json.dumps({"id": id_, "rawId": id_, "type": "public-key", "response": response})
