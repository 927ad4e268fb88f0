"""Brands: what the portal shows of whose it is, by the name of the host that it is reached at."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any

ANY_HOST = "*"
"""In the list of a brand's hosts: all that no other brand has."""
MAX_HOSTS = 20
_LONGEST_NAME = 253
"""Octets of a DNS name (RFC 1035, 2.3.4); in its own letters it has fewer."""
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class LoginStyle(StrEnum):
    """How the login page is laid out."""

    CENTRED = "centred"
    """The form in the middle, over the picture where there is one."""
    BESIDE = "beside"
    """The picture on the left, the form on the right."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is shown. Empty: nothing, or what comes with the program."""

    name: str = ""
    """Of the platform, in the header and in titles."""
    purchaser: str = ""
    """The organisation whose platform it is (采购人)."""
    colour: str = "#0b5cab"
    """Of what may be pressed: ``#rrggbb``."""
    login_style: LoginStyle = LoginStyle.CENTRED
    welcome: str = ""
    """Beside the login form."""
    footer: str = ""
    icp: str = ""
    """Number of the ICP filing (ICP备案号); it leads to the ministry's register."""
    support_name: str = ""
    support_phone: str = ""
    support_mail: str = ""
    logo: str = ""
    """SHA-256 of the picture, as all three: 64 hex digits."""
    icon: str = ""
    picture: str = ""
    """Behind or beside the login form."""

    @property
    def pictures(self) -> frozenset[str]:
        """Hashes of what it shows."""
        return frozenset(filter(None, (self.logo, self.icon, self.picture)))

    def owner(self, product: str) -> str:
        """The platform and whose it is, as it stands on what leaves it; without a name it is called ``product``."""
        return " · ".join(filter(None, (self.name or product, self.purchaser)))

    @property
    def ink(self) -> str:
        """Black or white: what can be read on ``colour`` (WCAG 2.2, 1.4.3)."""
        return "#ffffff" if contrast(self.colour, "#ffffff") >= contrast(self.colour, "#000000") else "#000000"


LONGEST: Mapping[str, int] = {
    "name": 30, "purchaser": 60, "welcome": 200, "footer": 200, "icp": 60, "support_name": 30, "support_phone": 40,
    "support_mail": 100,
}  # fmt: skip
"""Characters of the texts."""
NEUTRAL = Look()
"""For hosts that are nobody's."""


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """What is shown to who asks for one of these hosts."""

    hosts: tuple[str, ...]
    chain: str
    """PEM."""
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand, as it is published."""

    id: int
    hosts: tuple[str, ...]
    look: Look = NEUTRAL


@dataclass(frozen=True, slots=True)
class Brands:
    """All that are published."""

    by_host: Mapping[str, Brand] = field(default_factory=dict)

    @classmethod
    def of(cls, brands: Iterable[Brand]) -> Brands:
        """From a list."""
        return cls(MappingProxyType({host: brand for brand in brands for host in brand.hosts}))

    def look(self, host: str) -> Look:
        """What is shown at a host, which may be written with its port."""
        brand = self.by_host.get(name_of(host)) or self.by_host.get(ANY_HOST)
        return NEUTRAL if brand is None else brand.look

    @property
    def names(self) -> frozenset[str]:
        """What the platform and its purchasers are called, at any host."""
        looks = [brand.look for brand in self.by_host.values()]
        return frozenset(filter(None, (name for look in looks for name in (look.name, look.purchaser))))

    @property
    def pictures(self) -> frozenset[str]:
        """Hashes of all that is shown."""
        return frozenset().union(*(brand.look.pictures for brand in self.by_host.values()))


def name_of(host: str) -> str:
    """The name in a ``Host`` header: without a port, small."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].rstrip(".") if name.count(":") <= 1 else name


def parse_host(text: str) -> str:
    """A host as it is compared: a DNS name (international ones in their ASCII form), an address, or ``*``; a port, as
    the address bar has it, is dropped. Raises ``ValueError``."""
    text = text.strip().lower()
    name, _, port = text.rpartition(":")
    if re.fullmatch("[0-9]{1,5}", port) and (":" not in name or name.endswith("]")):
        text = name
    text = text.rstrip(".")
    if len(text) > _LONGEST_NAME:  # before anything unfolds it
        raise ValueError(text)
    if text == ANY_HOST:
        return text
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        pass
    name = text.encode("idna").decode() if text else ""
    if len(name) > _LONGEST_NAME or not name or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(text)
    return name


def parse_look(values: Mapping[str, Any]) -> Look:
    """A look from what is stored or was given; unknown fields are passed over (a later program has more). Raises
    ``ValueError`` with the name of the field that is wrong."""
    good: dict[str, Any] = {}
    for name in (f.name for f in fields(Look)):
        value = values.get(name)
        if value is not None:
            good[name] = _parse(name, str(value).strip())
    return Look(**good)


def _parse(name: str, value: str) -> str:
    if name in LONGEST:
        if len(value) > LONGEST[name] or not all(c.isprintable() or c == "\n" for c in value):
            raise ValueError(name)
    elif name == "colour":
        value = value.lower()
        if not _COLOUR.fullmatch(value):
            raise ValueError(name)
    elif name == "login_style":
        if value not in set(LoginStyle):
            raise ValueError(name)
        return LoginStyle(value)
    elif value and not _DIGEST.fullmatch(value):
        raise ValueError(name)
    return value


def contrast(one: str, other: str) -> float:
    """Ratio of the luminance of two colours ``#rrggbb``, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
