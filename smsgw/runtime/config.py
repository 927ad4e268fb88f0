"""Boot configuration: one TOML file, every key also as ``SMSGW_SECTION_KEY``. All problems are reported at once.

What operators change while the system runs (accounts, channels, routes) is not here but in the database.
"""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_type_hints

from smsgw.core.model import LONGEST_VALIDITY
from smsgw.core.webhooks import Reach, parse_networks, parse_ports
from smsgw.runtime import failpoints

MAX_NODE = 1023


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


@dataclass(frozen=True)
class DatabaseConfig:
    dsn: str = ""
    """``postgresql://…``; empty: the embedded PostgreSQL in the data directory."""
    owner_dsn: str = ""
    """Of the role that owns the tables, for migrations at the start; empty: ``dsn``, which then owns them, or somebody
    migrates beforehand."""
    pool: int = 10
    """Connections of the general pool."""


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
    """The server that monthly statements are sent by."""

    host: str = ""
    """Empty: nothing is sent."""
    port: int = 465
    security: str = "tls"
    """``tls`` from the first octet, ``starttls``, or ``none``: in our own network alone."""
    username: str = ""
    password: str = ""
    sender: str = ""
    """The address that mails are from."""
    ca_file: str = ""
    """Authorities for the server's certificate, PEM; empty: the system's."""


@dataclass(frozen=True)
class RetentionConfig:
    messages_days: int = 180
    mo_days: int = 365
    audit_days: int = 1095
    """Rows of the audit log."""
    events_days: int = 7
    """Events to customers, whether acknowledged or not."""


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
    http: HttpConfig = field(default_factory=HttpConfig)
    admin: AdminConfig = field(default_factory=AdminConfig)
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
            self.http.listen, self.http.tls_listen, self.admin.listen, self.ops.listen, *(p.listen for p in partners),
        )  # fmt: skip
        return frozenset(split_address(listen)[1] for listen in listens if listen)

    @property
    def control_socket(self) -> Path:
        """Where ``smsgwctl`` talks to the daemon."""
        return self.node.data_dir / "control.sock"


_RANGES = {
    ("node", "number"): (0, MAX_NODE),
    ("database", "pool"): (2, 200),
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
    ("audit", "anchor_mb"): (1, 1000),
    ("audit", "every_seconds"): (1, 3600),
    ("files", "total_mb"): (10, 1_000_000),
    ("files", "keep_days"): (1, 90),
    ("mail", "port"): (1, 65_535),
}


def _day_or_none(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


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
        f"{where}: unknown section [{name}]; known are {', '.join(known)}"
        for name in tables
        if name not in known
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
    if settings.mail.host and "@" not in settings.mail.sender:
        yield "[mail] sender must be the address that mails are from"
    if settings.mail.security not in ("tls", "starttls", "none"):
        yield "[mail] security must be tls, starttls or none"
    if settings.http.tls_listen and not settings.http.tls:
        yield "[http] tls_listen needs tls, the files of the certificate"
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
    return {
        f"SMSGW_{n}_{f.name}".upper() for n, section in sections.items() for f in dataclasses.fields(section)
    }


def _section(
    name: str,
    kind: type[Any],
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    where: str,
    problems: list[str],
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
        may_be_off = (name == "admin" or name.startswith(_NESTED) or key == "tls_listen") and converted == ""
        if (
            problem is None
            and key in ("listen", "tls_listen")
            and not may_be_off
            and not _is_address(converted)
        ):
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
        return int(text) if text.strip().lstrip("-").isdigit() else text
    if hint is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower(), text)
    if hint not in (str, Path):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _convert(value: Any, hint: Any) -> tuple[str | None, Any]:
    if hint is bool:
        return (None, value) if isinstance(value, bool) else ("must be true or false", None)
    if hint is int:
        return (
            (None, value)
            if isinstance(value, int) and not isinstance(value, bool)
            else ("must be a number", None)
        )
    if hint is str:
        return (None, value) if isinstance(value, str) else ("must be a text", None)
    if hint is Path:
        return (
            (None, Path(value).expanduser()) if isinstance(value, str) and value else ("must be a path", None)
        )
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return None, tuple(value)
    return "must be a list of texts", None


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdigit() and 0 <= int(port) <= 65535


def split_address(listen: str) -> tuple[str, int]:
    """Host and port of a ``listen`` value."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
