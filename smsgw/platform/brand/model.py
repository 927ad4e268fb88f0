"""Brands as those who edit them see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smsgw.core.brand import Look


@dataclass(frozen=True, slots=True)
class BrandEntry:
    """A brand with its draft."""

    id: int
    hosts: tuple[str, ...]
    published: Look | None
    published_at: datetime | None
    draft: Look
    drafted_at: datetime
    certificate: CertificateInfo | None

    @property
    def changed(self) -> bool:
        """Whether publishing would change what is shown."""
        return self.published != self.draft


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What a certificate says of itself."""

    names: tuple[str, ...]
    issuer: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that has been checked and made anew from its content."""

    media_type: str
    octets: bytes
