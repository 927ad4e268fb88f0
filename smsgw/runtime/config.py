"""Boot configuration: one TOML file, every key also as ``SMSGW_SECTION_KEY``. All problems are reported at once.

What operators change while the system runs (accounts, channels, routes) is not here but in the database.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from smsgw.core.link_targets import name_of
from smsgw.core.model import LONGEST_VALIDITY
from smsgw.core.webhooks import Reach, parse_networks, parse_ports
from smsgw.runtime import failpoints

MAX_NODE = 1023
MAX_WORKERS = 32


class ConfigError(Exception):
    """The configuration cannot be used; the message lists every problem, one a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class NodeConfig:
    number: int = 0
    """Of this node among those that share a database, 1 … 1023; 0: the one that the data directory had last, or the
    lowest that is free."""
    data_dir: Path = Path("var")
    """Journal, control socket, key file, embedded PostgreSQL."""
    workers: int = 1
    """Processes that are full nodes and share the addresses of this one; 0: half as many as there are cores."""

    @property
    def processes(self) -> int:
        """``workers``, counted."""
        return self.workers or min(MAX_WORKERS, max(1, len(os.sched_getaffinity(0)) // 2))


@dataclass(frozen=True)
class DatabaseConfig:
    dsn: str = ""
    """``postgresql://…``; empty: the embedded PostgreSQL in the data directory."""
    owner_dsn: str = ""
    """Of the role that owns the tables, for migrations at the start; empty: ``dsn``, which then owns them, or somebody
    migrates beforehand."""
    pool: int = 10
    """Connections of the general pool: what goes on by itself."""
    read_pool: int = 10
    """Connections for people and callers: pages, calls of the API, exports and other jobs. However slow these are, they
    keep nothing else waiting."""


@dataclass(frozen=True)
class RedisConfig:
    """Words between the nodes of a platform; nothing is kept there, and all goes on without it."""

    url: str = ""
    """``redis://[user:password@]host[:port]`` (``rediss://``: with TLS) of one server, ``/?#@%`` and blanks of a
    password as ``%2F`` and so on; empty: none, or ``sentinels``."""
    sentinels: tuple[str, ...] = ()
    """``HOST:PORT`` of each; they name the master."""
    master: str = ""
    """Its name with the sentinels."""
    username: str = ""
    password: str = ""
    """Of the master, where they are demanded."""
    sentinel_password: str = ""

    @property
    def used(self) -> bool:
        """There is one."""
        return bool(self.url or self.sentinels)


@dataclass(frozen=True)
class HttpConfig:
    listen: str = "127.0.0.1:8080"
    """API (``/api/v1``) and portal, by path."""
    tls: tuple[str, ...] = ()
    """Files of the certificate chain and of its key (PEM; one file may hold both): ``listen`` speaks TLS, plain HTTP
    is off, unless there is a ``tls_listen``. Changed files are taken up while running."""
    tls_listen: str = ""
    """Where TLS is spoken; ``listen`` goes on without it, and sends those who come there on to TLS."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""
    insecure_bearer: bool = False
    """Allow bearer keys over plain HTTP from loopback addresses."""
    plain_api: bool = False
    """With ``tls_listen``: ``listen`` serves the API to signed requests as well, beside ``/health`` and ``/ready``;
    pages of the portal are always sent on to TLS."""
    signature_v1_until: str = "2027-06-30"
    """The last day (of China) on which API requests signed with version 1 are taken; empty: they are not."""
    connections_per_address: int = 1000
    """Connections of one address at a time, but for ``trusted_proxies``; 0: as many as there are."""
    bodies_mb: int = 128
    """Memory for the bodies of calls; one account may have a sixteenth of it (and 2 MiB in any case)."""

    @property
    def signature_v1_day(self) -> date | None:
        """``signature_v1_until``."""
        return _day_or_none(self.signature_v1_until)


@dataclass(frozen=True)
class AdminConfig:
    listen: str = ""
    """The portal alone, away from the API; empty: both at ``[http] listen``."""
    tls: tuple[str, ...] = ()
    """As in ``[http]``."""


@dataclass(frozen=True)
class PublicConfig:
    """What citizens open: short links. Nothing else of the platform is reached there."""

    listen: str = ""
    """Empty: short links are not served by this node."""
    tls: tuple[str, ...] = ()
    """As in ``[http]``."""
    hosts: tuple[str, ...] = ()
    """Names under which it is reached, in small letters: the domains of short links, with the port where people must
    write one. The first is the usual one."""
    clicks_mb: int = 256
    """Room in the data directory for clicks that are not in the database yet."""
    own_process: bool = False
    """A process of its own serves them, the edge: links are led on whatever the node does meanwhile."""

    @property
    def names(self) -> frozenset[str]:
        """The hosts without their ports."""
        return frozenset(map(name_of, self.hosts))


@dataclass(frozen=True)
class OpsConfig:
    listen: str = "127.0.0.1:9090"
    """Health and metrics."""


@dataclass(frozen=True)
class PartnerConfig:
    """``[partners.smpp]`` and ``[partners.cmpp]``: a server for partners."""

    listen: str = ""
    """Empty: no such server."""
    tls: tuple[str, ...] = ()
    """Files of the certificate chain and of its key (PEM; one file may hold both). Empty: without TLS. Changed files
    are taken up while running."""


@dataclass(frozen=True)
class SecurityConfig:
    key_file: str = ""
    """Seals stored secrets; keys of 64 hex digits, one a line: the first seals, all open. For its owner alone (mode
    0600 or 0400). Empty: ``secret.key`` in the data directory, made when missing."""


@dataclass(frozen=True)
class AuditConfig:
    anchor: str = ""
    """Where the head of the audit log's chain is written down outside the database. Empty: ``audit.anchor`` in the data
    directory."""
    anchor_mb: int = 4
    """Room for these files: two, each of half of it."""
    syslog: str = ""
    """Where it is sent as well: a socket's path (``/dev/log``) or ``HOST:PORT`` (UDP)."""
    every_seconds: int = 2
    """How often new rows are taken into the chain and its head is written down."""


@dataclass(frozen=True)
class DurabilityConfig:
    outage: str = "spool"
    """While the database is away: ``spool`` accepts into a file, and enters it later; ``reject`` refuses."""
    spool_mb: int = 256
    """Most that is spooled, …"""
    spool_seconds: int = 600
    """… and how long an outage may last until messages are refused."""
    min_free_mb: int = 256
    """Refuse new messages when the data directory has less free space."""
    unknown_hold_hours: int = 72
    """How long an unknown outcome under ``hold`` waits for a late answer or report."""
    unknown_short_seconds: int = 180
    """The same under ``hold_short``."""
    unknown_resend_seconds: int = 300
    """Under ``resend``: when the part is sent again."""
    report_wait_hours: int = 72
    """After this time without a report a submitted part is ``no_report``."""

    @property
    def open_for(self) -> timedelta:
        """From acceptance until nothing can be open any more: the longest validity, every wait after it, and a day."""
        return LONGEST_VALIDITY + timedelta(days=1, hours=self.report_wait_hours + self.unknown_hold_hours)

    @property
    def resend_within(self) -> timedelta:
        """From acceptance until an operator may have a part sent again, so that its report is still waited for."""
        return self.open_for - timedelta(hours=self.report_wait_hours)


@dataclass(frozen=True)
class WebhooksConfig:
    http: bool = False
    """Push over plain HTTP, too."""
    networks: tuple[str, ...] = ()
    """Networks that are not public, and may be granted to accounts."""
    ports: tuple[str, ...] = ("443", "8443")
    """Ports and ranges (``8000-8999``) that may be pushed to."""
    ca_file: str = ""
    """Further authorities for receivers' certificates, PEM."""

    @property
    def reach(self) -> Reach:
        """Where pushes may go."""
        return Reach(self.http, parse_networks(self.networks), parse_ports(self.ports))


@dataclass(frozen=True)
class MailConfig:
    """The server that mails are sent by."""

    host: str = ""
    """Empty: nothing is sent."""
    port: int = 465
    security: str = "tls"
    """``tls`` from the first octet, ``starttls``, or ``none``: in our own network alone."""
    username: str = ""
    password: str = ""
    sender: str = ""
    """The address that mails are from, alone or behind a name; mails bear the platform's."""
    ca_file: str = ""
    """Authorities for the server's certificate, PEM; empty: the system's."""

    @property
    def address(self) -> str:
        """Of ``sender``, without a name; empty: it has none."""
        address = parseaddr(self.sender)[1]
        return address if _MAIL.fullmatch(address) else ""


@dataclass(frozen=True)
class RetentionConfig:
    messages_days: int = 180
    mo_days: int = 365
    audit_days: int = 1095
    """Rows of the audit log."""
    events_days: int = 7
    """Events to customers, whether acknowledged or not."""
    submits_days: int = 3
    """Submits and answers of channels that are recorded."""


@dataclass(frozen=True)
class FilesConfig:
    total_mb: int = 2048
    """Room in the data directory for tables that customers upload; one account may take half of it."""
    keep_days: int = 7
    """How long an uploaded table can be used."""


@dataclass(frozen=True)
class Config:
    node: NodeConfig = field(default_factory=NodeConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    redis: RedisConfig = field(default_factory=RedisConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    admin: AdminConfig = field(default_factory=AdminConfig)
    public: PublicConfig = field(default_factory=PublicConfig)
    ops: OpsConfig = field(default_factory=OpsConfig)
    partners_smpp: PartnerConfig = field(default_factory=PartnerConfig)
    partners_cmpp: PartnerConfig = field(default_factory=PartnerConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    durability: DurabilityConfig = field(default_factory=DurabilityConfig)
    webhooks: WebhooksConfig = field(default_factory=WebhooksConfig)
    mail: MailConfig = field(default_factory=MailConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    files: FilesConfig = field(default_factory=FilesConfig)

    @property
    def key_file(self) -> Path:
        """The file that seals stored secrets."""
        return Path(self.security.key_file) if self.security.key_file else self.node.data_dir / "secret.key"

    @property
    def anchor_file(self) -> Path:
        """The file that keeps heads of the audit log's chain."""
        return Path(self.audit.anchor) if self.audit.anchor else self.node.data_dir / "audit.anchor"

    @property
    def evidence_file(self) -> Path:
        """The file that keeps the roots of days of evidence, beside that one."""
        return self.anchor_file.with_name("evidence.anchor")

    @property
    def ports(self) -> frozenset[int]:
        """Where this node listens."""
        partners = (self.partners_smpp, self.partners_cmpp)
        listens = (
            self.http.listen, self.http.tls_listen, self.admin.listen, self.public.listen, self.ops.listen,
            *(p.listen for p in partners),
        )  # fmt: skip
        return frozenset(split_address(listen)[1] for listen in listens if listen)

    @property
    def edge(self) -> bool:
        """Whether short links are served by a process of their own."""
        return bool(self.public.listen) and self.public.own_process

    @property
    def control_socket(self) -> Path:
        """Where ``smsgwctl`` talks to the daemon."""
        return self.node.data_dir / "control.sock"


_RANGES = {
    ("node", "number"): (0, MAX_NODE),
    ("node", "workers"): (0, MAX_WORKERS),
    ("database", "pool"): (2, 200),
    ("database", "read_pool"): (2, 200),
    ("http", "connections_per_address"): (0, 1_000_000),
    ("http", "bodies_mb"): (32, 100_000),
    ("durability", "spool_mb"): (16, 100_000),
    ("durability", "spool_seconds"): (1, 7 * 86_400),
    ("durability", "min_free_mb"): (0, 1_000_000),
    ("durability", "unknown_hold_hours"): (1, 24 * 30),
    ("durability", "unknown_short_seconds"): (10, 86_400),
    ("durability", "unknown_resend_seconds"): (10, 86_400),
    ("durability", "report_wait_hours"): (1, 24 * 30),
    ("retention", "messages_days"): (14, 3650),
    ("retention", "mo_days"): (1, 3650),
    ("retention", "audit_days"): (183, 36_500),
    ("retention", "events_days"): (1, 30),
    ("retention", "submits_days"): (1, 14),
    ("audit", "anchor_mb"): (1, 1000),
    ("audit", "every_seconds"): (1, 3600),
    ("files", "total_mb"): (10, 1_000_000),
    ("files", "keep_days"): (1, 90),
    ("public", "clicks_mb"): (16, 100_000),
    ("mail", "port"): (1, 65_535),
}


def _day_or_none(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]{1,64}"
_MAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM}){{0,9}}@[a-zA-Z0-9](?:[a-zA-Z0-9.-]{{0,188}}[a-zA-Z0-9])?", re.ASCII)
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63}){1,10}(?::[1-9][0-9]{0,4})?", re.ASCII)


_MEMBER = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%25\w+)?\]|[^:\[\]]*)(?::[0-9]{1,5})?")
_BARE = re.compile(r"[#\s]|%(?![0-9A-Fa-f]{2})")
NO_DSN = (
    "must look like postgresql://user:password@127.0.0.1:5432/database; in a password write / as %2F, ? as %3F, # as "
    "%23, @ as %40, [ as %5B, ] as %5D, % as %25, a blank as %20"
)
"""What is said instead of the address, for it may hold a password."""


def is_dsn(text: str) -> bool:
    """Whether it is an address of a database, of as many members as it has, and nothing in it ends a part too early."""
    scheme, _, rest = text.partition("://")
    rest, asks, settings = rest.partition("?")
    place, _, database = rest.partition("/")
    who, _, members = place.rpartition("@")
    return (
        scheme in ("postgresql", "postgres")
        and not _BARE.search(text)
        and not set(who) & set("@[]")
        and all(_MEMBER.fullmatch(one) for one in members.split(","))
        and not set(database) & set("/@[]")
        and (not asks or all(one.find("=") > 0 and "@" not in one for one in settings.split("&")))
    )


_PARSED: dict[tuple[str, str], Callable[[Any], object]] = {
    ("http", "signature_v1_until"): _day_or_none,
    ("webhooks", "networks"): parse_networks,
    ("webhooks", "ports"): parse_ports,
}
"""What must be understood, beside being of its type."""


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration of a file (None: defaults) and the environment, which wins. Raises ``ConfigError``."""
    problems: list[str] = []
    document: dict[str, Any] = {}
    if path is not None:
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except OSError as exc:
            raise ConfigError([f"{path}: cannot be read: {exc.strerror}"]) from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise ConfigError([f"{path}: not valid TOML: {exc}"]) from exc
    environ = os.environ if environ is None else environ
    sections = {f.name: getattr(Config(), f.name) for f in dataclasses.fields(Config)}
    where = str(path) if path else "configuration"

    tables = _tables(document)
    known = [_shown(name) for name in sections]
    problems += [
        f"{where}: unknown section [{name}]; known are {', '.join(known)}" for name in tables if name not in known
    ]
    built = {}
    for name, default in sections.items():
        given = tables.get(_shown(name), {})
        if not isinstance(given, dict):
            problems.append(f"{where}: [{_shown(name)}] must be a table")
            given = {}
        built[name] = _section(name, type(default), given, environ, where, problems)
    problems += [
        f"environment: {key} is not a known setting"
        for key in sorted(environ)
        if key.startswith("SMSGW_") and key not in _env_names(sections) and key not in ENV_OTHERS
    ]
    problems += [f"{where}: {problem}" for problem in _misfits(Config(**built))]
    if problems:
        raise ConfigError(problems)
    return Config(**built)


def _misfits(settings: Config) -> Iterator[str]:
    """Settings that do not go together. What is wrong by itself has its default here."""
    if settings.database.owner_dsn and not settings.database.dsn:
        yield "[database] owner_dsn needs dsn; the embedded database has roles of its own"
    for key in ("dsn", "owner_dsn"):
        dsn = getattr(settings.database, key)
        if dsn and not is_dsn(dsn):
            yield f"[database] {key} {NO_DSN}"
    redis = settings.redis
    if redis.url and redis.sentinels:
        yield "[redis] url is one server, sentinels name one: give either"
    if bool(redis.sentinels) != bool(redis.master):
        yield "[redis] sentinels and master, its name with them, go together"
    if redis.url and not redis_server(redis.url):  # it may hold a password, and is not shown
        yield (
            "[redis] url must look like redis://127.0.0.1:6379 or redis://user:password@host:6379, and nothing behind "
            "it; in a password write / as %2F, ? as %3F, # as %23, @ as %40, % as %25"
        )
    if not all(_is_address(one) and not set(one) & set("/@?#") for one in redis.sentinels):
        yield '[redis] sentinels: each must look like "192.0.2.1:26379", without scheme and password'
    if settings.mail.host and not settings.mail.address:
        yield '[mail] sender must be the address that mails are from, like "sms@example.gov.cn"'
    if settings.mail.security not in ("tls", "starttls", "none"):
        yield "[mail] security must be tls, starttls or none"
    public = settings.public
    if public.listen and not public.hosts:
        yield "[public] listen needs hosts, the names under which short links are opened"
    if wrong := [host for host in public.hosts if not _HOST.fullmatch(host) or "." not in host or len(host) > 253]:
        yield f"[public] hosts: {', '.join(wrong)}: names of hosts in small letters, without scheme"
    if len(public.names) < len(public.hosts):
        yield "[public] hosts: the same name twice; a link is found by the name, not by the port"
    if settings.http.tls_listen and not settings.http.tls:
        yield "[http] tls_listen needs tls, the files of the certificate"
    if (ops := split_address(settings.ops.listen)[1]) and (more := settings.node.processes - 1 + settings.edge):
        last, taken = ops + more, sorted(settings.ports & {*range(ops + 1, ops + more + 1)})
        if taken or last > 65_535:
            why = f"this node listens at {', '.join(map(str, taken))} of them" if taken else "there is none above 65535"
            yield f"[ops] listen: each process has a port of its own for its metrics, here {ops} to {last}, and {why}"
    durability, retention = settings.durability, settings.retention
    need = math.ceil(durability.open_for / timedelta(days=1))
    if retention.messages_days < need:
        yield (
            f"[retention] messages_days is {retention.messages_days}, and a message may be open for {need} days "
            f"({LONGEST_VALIDITY.days} of validity, [durability] report_wait_hours and unknown_hold_hours, one more): "
            f"keep messages for {need} days or more, or wait for less"
        )
    if retention.mo_days < retention.events_days:
        yield (
            f"[retention] mo_days is {retention.mo_days} and events_days {retention.events_days}: an inbound message "
            "would be gone before its event; make mo_days no less than events_days"
        )
    if durability.unknown_short_seconds > durability.unknown_hold_hours * 3600:
        yield (
            "[durability] unknown_short_seconds is longer than unknown_hold_hours: hold_short must not wait for longer "
            "than hold"
        )


ENV_OTHERS = frozenset({"SMSGW_CONFIG", "SMSGW_LOG_LEVEL", "SMSGW_LOG_FORMAT", failpoints.VARIABLE})
"""Environment variables that are not settings of the file."""


_NESTED = "partners"


def _shown(name: str) -> str:
    """A section's name in the file: ``partners_smpp`` is ``[partners.smpp]``."""
    return name.replace(f"{_NESTED}_", f"{_NESTED}.", 1)


def _tables(document: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of the file by their full names."""
    tables = dict(document)
    nested = tables.get(_NESTED)
    if isinstance(nested, dict):
        del tables[_NESTED]
        tables |= {f"{_NESTED}.{name}": table for name, table in nested.items()}
    return tables


def _env_names(sections: Mapping[str, Any]) -> set[str]:
    return {f"SMSGW_{n}_{f.name}".upper() for n, section in sections.items() for f in dataclasses.fields(section)}


def _section(
    name: str, kind: type[Any], given: Mapping[str, Any], environ: Mapping[str, str], where: str, problems: list[str]
) -> Any:
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    known = [f.name for f in dataclasses.fields(kind)]
    problems += [
        f"{where}: unknown key {key} in [{_shown(name)}]; known are {', '.join(known)}"
        for key in given
        if key not in known
    ]
    for key in known:
        variable = f"SMSGW_{name}_{key}".upper()
        if variable in environ:
            source, value = variable, _from_text(environ[variable], hints[key])
        elif key in given:
            source, value = f"{where}: [{_shown(name)}] {key}", given[key]
        else:
            continue
        problem, converted = _convert(value, hints[key])
        low, high = _RANGES.get((name, key), (None, None))
        if problem is None and low is not None and not low <= converted <= high:
            problem = f"must be in {low}..{high}"
        if problem is None and (name, key) in _PARSED:
            try:
                _PARSED[name, key](converted)
            except ValueError as exc:
                problem = f"cannot be used: {exc}"
        may_be_off = converted == "" and (
            name in ("admin", "public") or name.startswith(_NESTED) or key == "tls_listen"
        )
        if problem is None and key in ("listen", "tls_listen") and not may_be_off and not _is_address(converted):
            problem = 'must look like "127.0.0.1:8080" or "[::1]:8080"'
        if problem is None and key == "syslog" and converted[:1] not in ("", "/") and not _is_address(converted):
            problem = 'must look like "/dev/log" or "192.0.2.1:514"'
        if problem is None and key == "outage" and converted not in ("spool", "reject"):
            problem = 'must be "spool" or "reject"'
        if problem is None and key == "tls" and len(converted) > 2:
            problem = "must be one file or two: certificate chain and key"
        if problem:
            problems.append(f"{source} {problem}")
        else:
            values[key] = converted
    return kind(**values)


def _from_text(text: str, hint: Any) -> Any:
    if hint is int:
        try:
            return int(text)
        except ValueError:
            return text
    if hint is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower(), text)
    if hint not in (str, Path):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _convert(value: Any, hint: Any) -> tuple[str | None, Any]:
    if hint is bool:
        return (None, value) if isinstance(value, bool) else ("must be true or false", None)
    if hint is int:
        return (None, value) if isinstance(value, int) and not isinstance(value, bool) else ("must be a number", None)
    if hint is str:
        return (None, value) if isinstance(value, str) else ("must be a text", None)
    if hint is Path:
        return (None, Path(value).expanduser()) if isinstance(value, str) and value else ("must be a path", None)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return None, tuple(value)
    return "must be a list of texts", None


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and re.fullmatch("[0-9]{1,5}", port) is not None and int(port) <= 65535


def redis_server(url: str) -> str:
    """Host and port of an address of Redis, without what proves who one is; empty: it is none."""
    try:
        found = urlsplit(url)
        host, port = found.hostname or "", found.port or 6379
    except ValueError:
        return ""
    whole = found.scheme in ("redis", "rediss") and not set(url) & set("?# \t\r\n") and url.count("@") <= 1
    if not host or not whole or found.path.strip("/0123456789"):
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(listen: str) -> tuple[str, int]:
    """Host and port of a ``listen`` value."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
