"""What a carrier's certificate says: whom it is for, who has signed it, until when, and why it is refused."""

from __future__ import annotations

import contextlib
import ssl

from cryptography import x509
from cryptography.x509.oid import NameOID

from smsgw.runtime import clock

_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 10, 62, 64
"""Of OpenSSL: X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""
_UNKNOWN_SIGNER = frozenset({2, 18, 19, 20, 21})
_MOST_NAMES, _LONGEST = 3, 120


def anything() -> ssl.SSLContext:
    """Takes any certificate: only to look at it, nothing is said over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def refusal(exc: ssl.SSLCertVerificationError) -> str:
    """Why it is refused: a word of ``check.…``."""
    if exc.verify_code == _EXPIRED:
        return "cert_expired"
    if exc.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return "cert_name"
    return "cert_signer" if exc.verify_code in _UNKNOWN_SIGNER else "cert_refused"


def shown(der: bytes | None) -> dict[str, str | int]:
    """``names``, ``issuer``, ``until`` and ``days`` that it is still good for; dashes where none can be read."""
    try:
        found = x509.load_der_x509_certificate(der or b"")
        names: list[str] = []
        with contextlib.suppress(x509.ExtensionNotFound):
            other = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = [str(one.value) for one in other if isinstance(one, x509.DNSName | x509.IPAddress)]
        names = names or [str(one.value) for one in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        by = [*found.issuer.get_attributes_for_oid(NameOID.COMMON_NAME),
              *found.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]  # fmt: skip
        until = found.not_valid_after_utc
    except ValueError:
        return {"names": "—", "issuer": "—", "until": "—", "days": "—"}
    return {
        "names": _plain(", ".join(names[:_MOST_NAMES])), "issuer": _plain(str(by[0].value) if by else ""),
        "until": f"{until:%Y-%m-%d}", "days": (until - clock.now()).days,
    }  # fmt: skip


def _plain(text: str) -> str:
    """What strangers have written, short and without what moves a screen."""
    return "".join(c for c in text[:_LONGEST] if c.isprintable()) or "—"
