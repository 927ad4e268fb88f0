"""Certificates that are brought for hosts: read, held against their key, and described."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from smsgw.core.errors import Invalid
from smsgw.platform.brand.model import CertificateInfo

MAX_PEM = 64 * 1024


def check(chain: str, key: str) -> CertificateInfo:
    """What the chain's first certificate says. ``CERTIFICATE_INVALID`` when it is none, or the key is another's."""
    if len(chain) > MAX_PEM or len(key) > MAX_PEM:
        raise Invalid("CERTIFICATE_INVALID")
    try:
        serialization.load_pem_private_key(key.encode(), password=None)
        context(chain, key)
        return describe(chain)
    except (ValueError, TypeError, ssl.SSLError) as exc:
        raise Invalid("CERTIFICATE_INVALID") from exc


def describe(chain: str) -> CertificateInfo:
    """Names, issuer and times of the first certificate. ``ValueError``."""
    leaf = x509.load_pem_x509_certificates(chain.encode())[0]
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*extension.get_values_for_type(x509.DNSName)]
        names += [str(a) for a in extension.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        names = []
    issuer = [str(a.value) for a in leaf.issuer if a.oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)]
    return CertificateInfo(tuple(names), ", ".join(issuer), leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def context(chain: str, key: str) -> ssl.SSLContext:
    """What a listener speaks TLS with. ``ssl.SSLError``, ``ValueError``."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="smsgw-") as folder:  # the library reads files alone; ours is 0700
        both = Path(folder) / "both.pem"
        both.touch(mode=0o600)
        both.write_text(f"{key}\n{chain}")
        made.load_cert_chain(both)
    return made
