"""Where events of an account go to: ways, endpoints and their options, what an address may be, when to try again.

The format on the wire is ``core/push_format.py``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from smsgw.core import public_networks
from smsgw.core.public_networks import Network
from smsgw.core.words import Label, Wording, labels_of, phrase

REPORT, MO = "report", "mo"
"""Kinds of events about messages as the database names them; all others have the name of their type."""

TYPES: Mapping[str, Label] = labels_of("event")
"""What a customer can be told of, with its name."""
OPERATORS_ONLY = frozenset({"channel.state"})
"""Types that show the operator's own affairs: an endpoint must name them, and a key needs the scope ``admin``."""

_KINDS = {"message.report": REPORT, "message.mo": MO}
_TYPE_OF = {kind: name for name, kind in _KINDS.items()}


def kind_of(type_: str) -> str:
    """How the database names a type."""
    return _KINDS.get(type_, type_)


def type_of(kind: str) -> str:
    """The type of an event of the database."""
    return _TYPE_OF.get(kind, kind)


class Way(StrEnum):
    """How an account gets its events. Types that have no endpoint are pulled under ``webhook``, too; of ``bind``
    only reports and inbound messages go to the partner's connection."""

    PULL = "pull"
    WEBHOOK = "webhook"
    BIND = "bind"


class Format(StrEnum):
    """What a call to the receiver looks like."""

    JSON = "json"
    """``{"type": …, "items": [...]}``."""
    JSON_ARRAY = "json_array"
    """The items alone."""
    JSON_ITEM = "json_item"
    """One item a call, as an object."""
    FORM = "form"
    """One item a call, its fields as a form."""
    FORM_JSON = "form_json"
    """A form with one field that holds the items as a JSON array."""
    GET = "get"
    """One item a call, in the query of the URL, whose ``{placeholders}`` are filled."""


SINGLE = frozenset({Format.JSON_ITEM, Format.FORM, Format.GET})
"""Formats that carry one item."""

MAX_ITEMS = 100
MAX_ENDPOINTS = 20
"""Of an account."""
MAX_HOSTS = 50
CALLBACK = "callback"
"""Name of the endpoint that stands for ``callback_url``: its address is the message's own."""

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FIELD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
PATH = re.compile(r"[a-z_]{1,40}(\.[a-z_]{1,40})?")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*")


class Wrong(ValueError):
    """An option or address that cannot be: which field, and why."""

    def __init__(self, field: str, reason: Wording) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Options:
    """How an endpoint wants its calls."""

    format: Format = Format.JSON
    max_items: int = MAX_ITEMS
    """Items in a call."""
    linger_ms: int = 1000
    """How long the first item waits for others."""
    concurrency: int = 4
    """Calls under way at the same time."""
    expect: str = ""
    """What the answer must say besides 2xx: this text, or with JSON objects at least these members. Empty: anything."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Name in the call -> field of the item (``parts.total`` for a member). Empty: the item as it is."""
    items_field: str = "items"
    """``form_json``: the form's field."""
    times: str = "iso"
    """``iso``, ``unix``, ``unix_ms``, or a pattern of ``yyyy yy MM dd HH mm ss`` (China's time)."""

    def stored(self) -> dict[str, Any]:
        """What differs from the default, for JSON."""
        defaults = Options()
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in given.items()
            if value != getattr(defaults, name)
        }


_RANGES = {"max_items": (1, MAX_ITEMS), "linger_ms": (0, 60_000), "concurrency": (1, 16)}


def parse_options(given: Mapping[str, Any]) -> Options:
    """Options as they were given or stored, checked. Raises ``Wrong``."""
    values = dict(given)
    known = {f.name for f in fields(Options)}
    for name in values:
        if name not in known:
            raise Wrong(name, phrase("webhook.options", known=", ".join(sorted(known))))
    try:
        format_ = Format(values.get("format", Format.JSON))
    except ValueError:
        raise Wrong("format", phrase("choice.of", known=", ".join(Format))) from None
    values["format"] = format_
    if format_ in SINGLE:
        if values.setdefault("max_items", 1) != 1:
            raise Wrong("max_items", phrase("webhook.single", format=format_))
        values.setdefault("linger_ms", 0)
    for name, (low, high) in _RANGES.items():
        value = values.get(name, low)
        if type(value) is not int or not low <= value <= high:
            raise Wrong(name, phrase("number.between", low=low, high=high))
    _texts(values)
    mapping = values.get("fields", {})
    if not isinstance(mapping, Mapping) or len(mapping) > 40:
        raise Wrong("fields", phrase("webhook.fields_many"))
    for name, path in mapping.items():
        if not isinstance(path, str) or not PATH.fullmatch(path) or not _FIELD.fullmatch(name):
            raise Wrong("fields", phrase("webhook.field_name", name=repr(name)))
    values["fields"] = MappingProxyType(dict(mapping))
    return Options(**values)


def _texts(values: Mapping[str, Any]) -> None:
    for name, limit in (("expect", 200), ("items_field", 64), ("times", 40)):
        value = values.get(name, "iso")
        if not isinstance(value, str) or len(value) > limit:
            raise Wrong(name, phrase("text.at_most", limit=limit))
    if not _FIELD.fullmatch(values.get("items_field", "items")):
        raise Wrong("items_field", phrase("webhook.items_field"))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of an account's events."""

    id: int
    account_id: int
    account: str
    """Name of the account."""
    name: str
    url: str
    """Empty for ``callback``."""
    events: tuple[str, ...]
    """Types that go there; empty: all that no other endpoint names."""
    options: Options
    secrets: tuple[bytes, ...] = field(repr=False)
    """Keys of the signature, the current one first; during a rotation two (see ``keys``)."""
    old_until: datetime | None = None
    """How long the second one signs."""
    hosts: tuple[str, ...] = ()
    """``callback``: hosts that ``callback_url`` may name; ``.example.org`` stands for all below it."""
    status: str = "active"
    """``active`` or ``disabled``."""
    reason: str = ""
    """Why it is disabled."""

    def keys(self, now: datetime) -> tuple[bytes, ...]:
        """What signs at that time."""
        return self.secrets if self.old_until is not None and now < self.old_until else self.secrets[:1]

    @property
    def callback(self) -> bool:
        """Whether it stands for the ``callback_url`` of messages."""
        return self.name == CALLBACK

    @property
    def label(self) -> str:
        """How operators name it."""
        return f"{self.account}/{self.name}"


class Hooks:
    """Ways and endpoints of all accounts; immutable."""

    def __init__(self, endpoints: Iterable[Endpoint] = (), ways: Mapping[int, Way] = MappingProxyType({})) -> None:
        self.endpoints: Mapping[int, Endpoint] = MappingProxyType({e.id: e for e in endpoints})
        self._ways = MappingProxyType(dict(ways))
        named: dict[tuple[int, str], Endpoint] = {}
        rest: dict[int, Endpoint] = {}
        callbacks: dict[int, Endpoint] = {}
        for endpoint in self.endpoints.values():
            if endpoint.callback:
                callbacks[endpoint.account_id] = endpoint
            elif not endpoint.events:
                rest[endpoint.account_id] = endpoint
            for type_ in endpoint.events:
                named[endpoint.account_id, type_] = endpoint
        self._named = MappingProxyType(named)
        self._rest = MappingProxyType(rest)
        self.callbacks: Mapping[int, Endpoint] = MappingProxyType(callbacks)
        """By account."""

    def endpoint(self, account_id: int, type_: str) -> Endpoint | None:
        """Where events of this type go when they are pushed."""
        found = self._named.get((account_id, type_))
        if found is None and type_ not in OPERATORS_ONLY:
            found = self._rest.get(account_id)
        return found

    def account_way(self, account_id: int) -> Way:
        """The account's primary way."""
        return self._ways.get(account_id, Way.PULL)

    def way(self, account_id: int, type_: str) -> Way:
        """How the account gets events of this type."""
        way = self.account_way(account_id)
        if way is Way.BIND:
            return way if kind_of(type_) in (REPORT, MO) else Way.PULL
        if way is Way.WEBHOOK and self.endpoint(account_id, type_) is None:
            return Way.PULL
        return way

    def kinds(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Kinds of the database that go to this endpoint."""
        if endpoint.callback:
            return (REPORT,)
        return tuple(kind_of(t) for t in TYPES if self.endpoint(endpoint.account_id, t) is endpoint)

    def subscribers(self, type_: str) -> list[int]:
        """Accounts with an endpoint that names this type."""
        return sorted(account_id for account_id, named in self._named if named == type_)


# --- addresses --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reach:
    """Where pushes may go; ``[webhooks]`` of the configuration."""

    http: bool = False
    """Plain HTTP, too."""
    networks: tuple[Network, ...] = ()
    """Networks that may be granted to accounts although they are not public."""
    ports: tuple[tuple[int, int], ...] = ((443, 443), (8443, 8443))

    def allows(self, address: str) -> bool:
        """Whether a connection to this IP address may be made: public unicast, or one of ``networks``."""
        ip = public_networks.parse(address)
        return ip is not None and (public_networks.is_public(ip) or public_networks.opened(ip, self.networks))

    def narrowed(self, granted: Sequence[Network]) -> Reach:
        """The same for an account that operators have granted these networks."""
        return replace(self, networks=public_networks.common(self.networks, granted))


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks in CIDR. Raises ``ValueError``."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def parse_ports(texts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Ports and ranges of ports (``8000-8999``). Raises ``ValueError``."""
    ports = []
    for text in texts:
        low, _, high = text.partition("-")
        first, last = int(low), int(high or low)
        if not 1 <= first <= last <= 65535:
            raise ValueError(f"{text}: ports are 1 to 65535")
        ports.append((first, last))
    return tuple(ports)


def check_url(url: str, reach: Reach, *, field: str = "url", placeholders: bool = False) -> str:
    """The host of an address that may be pushed to. Raises ``Wrong``."""

    def wrong(reason: Wording) -> Wrong:
        return Wrong(field, reason)

    if not url.isascii() or not url.isprintable() or " " in url or not 1 <= len(url) <= 2000:
        raise wrong(phrase("url.ascii"))
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise wrong(phrase("url.none")) from None
    if parts.scheme not in (("https", "http") if reach.http else ("https",)):
        raise wrong(phrase("url.http_or_https" if reach.http else "url.https"))
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise wrong(phrase("url.bare"))
    if "{" in parts.netloc or "}" in parts.netloc or (not placeholders and ("{" in url or "}" in url)):
        raise wrong(phrase("url.places"))
    literal = _literal(host)
    if literal is None and not _HOST.fullmatch(host):
        raise wrong(phrase("host.name"))
    if literal is not None and not reach.allows(literal):
        raise wrong(phrase("host.denied"))
    number = port if port is not None else 443 if parts.scheme == "https" else 80
    plain = number == 80 and reach.http and port is None
    if not plain and not any(low <= number <= high for low, high in reach.ports):
        raise wrong(phrase("host.port", port=number))
    return host.lower()


def _literal(host: str) -> str | None:
    """The IP address that a host is; also in the spellings that resolvers take (``127.1``, ``0x7f000001``)."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    last = host.rpartition(".")[2]
    if last.isdigit() or re.fullmatch(r"0[xX][0-9a-fA-F]*", last):  # no name ends like that
        return "0.0.0.0"  # noqa: S104 - nothing listens: an address that is never allowed
    return None


def check_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """Hosts that ``callback_url`` may name, in lower case. Raises ``Wrong``."""
    if not 1 <= len(hosts) <= MAX_HOSTS:
        raise Wrong("hosts", phrase("hosts.count", most=MAX_HOSTS))
    for host in hosts:
        if _literal(host) is None and not _HOST.fullmatch(host.removeprefix(".")):
            raise Wrong("hosts", phrase("hosts.one", host=host[:80]))
    return tuple(dict.fromkeys(host.lower() for host in hosts))


def host_allowed(host: str, hosts: Sequence[str]) -> bool:
    """Whether the account may have pushes to this host."""
    return any(host == one or (one.startswith(".") and host.endswith(one)) for one in hosts)


# --- time -------------------------------------------------------------------------------------------------------

SCHEDULE = (5, 30, 60, 300, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200)
"""Seconds after a failed try until the next one: about 28 hours altogether. After the last the event is dead."""
JITTER = 0.2
MAX_TRIES = len(SCHEDULE) + 1
FAILING_AFTER = 3
"""Failures in a row after which an endpoint is asked with one event now and then."""
_PROBES = (5, 10, 20, 40, 60)
"""Seconds between these questions."""
MAX_RETRY_AFTER = 3600
"""A receiver cannot make us wait for longer than this with one answer."""


def retry_delay(tries: int, chance: float) -> float | None:
    """Seconds until the next try after ``tries`` failed ones; None: there is none. ``chance`` is in [0, 1)."""
    if not 1 <= tries <= len(SCHEDULE):
        return None
    return SCHEDULE[tries - 1] * (1 - JITTER + 2 * JITTER * chance)


def probe_delay(failures: int, chance: float) -> float:
    """Seconds for which a failing endpoint is left alone after ``failures`` in a row; 0 while it is not failing."""
    if failures < FAILING_AFTER:
        return 0.0
    return _PROBES[min(failures - FAILING_AFTER, len(_PROBES) - 1)] * (1 - JITTER + 2 * JITTER * chance)


def batch_limit(max_items: int, tries: int) -> int:
    """Items that may go together after ``tries`` failures: fewer each time, so that one that a receiver cannot
    take stands alone in the end."""
    return max(1, max_items >> (2 * tries))


@dataclass(frozen=True, slots=True)
class EndpointState:
    """How an endpoint is doing, for people."""

    id: int
    account: str
    name: str
    waiting: int
    """Events, up to ``WAITING_COUNTED``."""
    oldest_at: datetime | None
    in_flight: int
    failures: int
    """In a row."""
    delivered: int
    """Events since the start."""
    calls_failed: int
    last_error: str


WAITING_COUNTED = 100_000
