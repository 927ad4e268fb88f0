"""What a simulated carrier is and how it behaves: values for tests, and their written form for scenarios and flags.

Delays are written in milliseconds: `40` fixed, `20..80` uniform, `40~10` normal with mean and deviation. A mix is
written as `value:weight` pairs, `DELIVRD:95,UNDELIV:4,none:1`; a weight left out is 1. A code that has a colon of
its own wants `=`: `DELIVRD=95,MK:0001=5`.
"""

from __future__ import annotations

import dataclasses
import random
import re
import tomllib
from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Generic, TypeVar

from smsgw.core.text import Coding

V = TypeVar("V", int, str)

NO_REPORT = "none"

PROTOCOLS = ("cmpp", "smpp", "sgip", "smgp")

STATES = ("DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD", "ENROUTE")


class ScenarioError(ValueError):
    """The scenario cannot be run; the message lists everything that is wrong with it."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors
        super().__init__("\n".join(errors))


@dataclass(frozen=True, slots=True)
class Delay:
    """A delay in seconds: `low` to `high` uniformly, or around `low` with a deviation."""

    low: float = 0.0
    high: float = 0.0
    deviation: float = 0.0

    @classmethod
    def parse(cls, written: str | float) -> Delay:
        """Read the written form (milliseconds). Raises `ValueError`."""
        text = str(written).strip().removesuffix("ms").strip()
        try:
            if ".." in text:
                low, high = (float(part) for part in text.split("..", 1))
                delay = cls(low / 1000, high / 1000)
            elif "~" in text:
                mean, deviation = (float(part) for part in text.split("~", 1))
                delay = cls(mean / 1000, mean / 1000, deviation / 1000)
            else:
                delay = cls.fixed(float(text) / 1000)
        except ValueError:
            raise ValueError(f"no delay: {written!r} (write 40, 20..80 or 40~10, in ms)") from None
        if not 0 <= delay.low <= delay.high <= 86_400 or not 0 <= delay.deviation <= 86_400:
            raise ValueError(f"delay out of range: {written!r}")
        return delay

    @classmethod
    def fixed(cls, seconds: float) -> Delay:
        """Always the same."""
        return cls(seconds, seconds)

    def draw(self, dice: random.Random) -> float:
        """One delay, never negative."""
        if self.deviation:
            return max(0.0, dice.gauss(self.low, self.deviation))
        if self.high > self.low:
            return dice.uniform(self.low, self.high)
        return self.low


@dataclass(frozen=True)
class Mix(Generic[V]):
    """Values with weights."""

    weights: Mapping[V, float]

    def __post_init__(self) -> None:
        if not self.weights or any(w < 0 for w in self.weights.values()) or not sum(self.weights.values()):
            raise ValueError("a mix needs weights of 0 or more, not all 0")
        object.__setattr__(self, "_values", tuple(self.weights))
        object.__setattr__(self, "_sums", tuple(accumulate(self.weights.values())))

    @classmethod
    def parse(cls, written: str, value: Callable[[str], V]) -> Mix[V]:
        """Read the written form. Raises `ValueError`."""
        weights: dict[V, float] = {}
        for pair in written.split(","):
            if "=" in pair:
                name, _, weight = pair.partition("=")
            else:
                name, _, weight = pair.partition(":")
            try:
                weights[value(name.strip())] = float(weight) if weight else 1.0
            except ValueError:
                raise ValueError(f"no mix: {written!r} (write value:weight,value:weight)") from None
        return cls(weights)

    def draw(self, dice: random.Random) -> V:
        """One value."""
        values: tuple[V, ...] = self._values  # type: ignore[attr-defined]
        if len(values) == 1:
            return values[0]
        sums: tuple[float, ...] = self._sums  # type: ignore[attr-defined]
        return values[min(bisect(sums, dice.random() * sums[-1]), len(values) - 1)]


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to messages with this ending of the number and this text in it; the first match counts."""

    suffix: str = ""
    contains: str = ""
    report: str | None = None
    """State of the report, or `none` for no report at all."""
    error: str | None = None
    """The three digits behind `err:` of an SMPP or SMGP report, the ErrorCode of an SGIP report."""
    answer: int | None = None
    """Status of the answer."""
    lose_answer: bool = False
    answer_delay: Delay | None = None
    report_delay: Delay | None = None

    def matches(self, destination: str, text: str) -> bool:
        """Whether the rule is about this message."""
        return destination.endswith(self.suffix) and self.contains in text


@dataclass(frozen=True, slots=True)
class Mo:
    """A reply that the carrier delivers by itself. `{n}` in the text becomes the count."""

    source: str
    destination: str
    text: str
    after: float = 1.0
    """Seconds from start to the first."""
    every: float | None = None
    """Seconds between them; None: once."""
    count: int | None = None


@dataclass(slots=True)
class Behaviour:
    """How a carrier answers. May be changed while it runs (`Carrier.change`). Chances are between 0 and 1."""

    answer_delay: Delay = Delay()
    answers: Mix[int] = field(default_factory=lambda: Mix({0: 1.0}))
    """Statuses of submit answers."""
    rate: float | None = None
    """Parts per second; what is above it is answered with `throttle_status`."""
    rate_burst: float | None = None
    """Parts that may come at once; default one second's worth."""
    throttle_status: int | None = None
    """Default: CMPP 8, SMPP 0x58, SGIP 88, SMGP 1."""
    lose_answers: float = 0.0
    late_answers: float = 0.0
    late_by: Delay = Delay(30.0, 30.0)
    duplicate_answers: float = 0.0
    silent: bool = False
    """Logins are taken and nothing is ever answered or reported."""

    report_delay: Delay = Delay(0.05, 0.05)
    reports: Mix[str] = field(default_factory=lambda: Mix({"DELIVRD": 1.0}))
    """States of reports; `none` for no report."""
    early_reports: float = 0.0
    """Chance that the report is sent before the answer."""
    lose_reports: float = 0.0
    late_reports: float = 0.0
    duplicate_reports: float = 0.0
    report_copies: int = 2
    """How often a duplicate report is sent in all."""
    one_report: bool = False
    """A long message is reported once, by the id of its first part."""
    no_window: bool = False
    """Reports and replies go out at once, however many are unacknowledged."""
    repeat_refused: Delay | None = None
    """A report or reply that is refused comes again after it, until it is taken; None: after a second, `redeliveries`
    times at most."""

    refuse_login: int | None = None
    """Status that every login is refused with."""
    max_connections: int = 1000
    disconnect_after: int | None = None
    """Submits on one connection after which it is closed, the last one unanswered."""
    disconnect_rst: bool = False

    rules: tuple[Rule, ...] = ()


@dataclass(slots=True)
class CarrierConfig:
    """One carrier: where it listens, whom it knows, how it behaves."""

    name: str = "carrier"
    protocol: str = "cmpp"
    """`cmpp` (2.0 or 3.0 as the client says), `smpp` (3.4), `sgip` (1.2) or `smgp` (1.3 or 3.0)."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one; `Carrier.port` tells which."""
    users: Mapping[str, str] = field(default_factory=lambda: {"900001": "secret"})
    """Names and passwords."""
    window: int = 100
    """Reports and replies that may be unacknowledged on one connection."""
    response_timeout: float = 60.0
    """Seconds to wait for an acknowledgement before the report is sent again."""
    redeliveries: int = 5
    """How often a delivery is repeated that was refused or not acknowledged in time."""
    default_alphabet: Coding | None = None
    """What coding 0 means; default unpacked GSM 7-bit for SMPP, else ASCII."""
    answer_id: str = "dec"
    """SMPP: form of the id in answers: `dec`, `hex`, `HEX`, `dec10`, `hex8`, `HEX8` (padded with zeros)."""
    report_id: str = "same"
    """Form of the same id in reports: `same`; SMPP one of the above, CMPP `swapped` (octets in the other order), SMGP
    `hex` (as digits)."""
    report_form: str = "both"
    """SMPP: `text`, `tlv` or `both`."""
    echo_reference: bool = False
    """SMPP: repeat the user_message_reference of a submit in its reports."""
    cmpp_version: str = "3.0"
    """CMPP: the highest version spoken, `2.0` or `3.0`; up to it the client decides."""
    smgp_version: str = "3.0"
    """SMGP: the highest version spoken, `1.3` or `3.0`; up to it the client decides."""
    node: int = 110020
    """SGIP: node number of the gateway."""
    deliver_to: str = ""
    """SGIP: host:port of the client's listener, where reports and replies are brought."""
    deliver_user: str = ""
    """SGIP: name to log in there with; default the client's own, with its own password."""
    deliver_password: str = ""
    idle_timeout: float = 60.0
    """SGIP: seconds without traffic after which a connection is closed."""
    tls_cert: str = ""
    """File (PEM) with the certificate, and its chain, to speak TLS with; empty: in clear."""
    tls_key: str = ""
    """File with its private key, when that is not in `tls_cert`."""
    gateway: int | None = None
    """CMPP: gateway code inside Msg_Id; default the port."""
    keep_messages: int = 100_000
    """Whole messages kept for inspection."""
    max_counted: int = 5_000_000
    """Different messages whose receptions are counted; more are only told as `uncounted`."""
    max_pending: int = 1_000_000
    """Reports and replies that wait for a connection; beyond it the oldest are dropped and counted."""
    token_pattern: str | None = None
    """Regular expression for a mark in texts whose receptions are counted, first group or whole match."""
    record: str = ""
    """New file to record the exchange into, masked (docs/simulator.md)."""
    record_mb: float = 64.0
    record_seconds: float = 3600.0
    """Limits of the recording, from the first connection on."""
    replay: str = ""
    """File with a recording: what the carrier did there is done again, then comes the ordinary behaviour."""
    replay_speed: float = 1.0
    """How much faster than it was."""
    access_code: str = ""
    """The client's access code, for replayed messages from phones that come before its first submit."""
    mo: tuple[Mo, ...] = ()
    behaviour: Behaviour = field(default_factory=Behaviour)
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Carriers that run together."""

    carriers: tuple[CarrierConfig, ...]
    log: Path | None = None


ID_FORMS: Mapping[str, str] = {"dec": "d", "hex": "x", "HEX": "X", "dec10": "010d", "hex8": "08x", "HEX8": "08X"}


REPORT_FORMS: Mapping[str, tuple[str, ...]] = {"cmpp": ("swapped",), "sgip": (), "smgp": ("hex",)}
"""Of the protocols whose ids are octets."""


def load_scenario(path: Path) -> Scenario:
    """Read a TOML scenario. Raises `ScenarioError` with everything that is wrong."""
    return parse_scenario(read_toml(path))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file, decoded. Raises `ScenarioError`."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError([f"{path}: {error}"]) from error


def parse_scenario(data: Mapping[str, Any]) -> Scenario:
    """Read a scenario from its decoded form. Raises `ScenarioError`."""
    errors: list[str] = [f"unknown key {key!r}" for key in data if key not in ("carrier", "log", "seed")]
    tables = data.get("carrier")
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise ScenarioError([*errors, "at least one [[carrier]] is needed"])
    seed = data.get("seed")
    if not isinstance(seed, int | None):
        errors.append("seed: a whole number is wanted")
        seed = None
    log = data.get("log")
    if not isinstance(log, str | None):
        errors.append("log: a file name is wanted")
        log = None
    carriers = [_carrier(f"carrier {n}", table, seed, errors) for n, table in enumerate(tables, 1)]
    names = [c.name for c in carriers]
    errors += [f"two carriers are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    if errors:
        raise ScenarioError(errors)
    return Scenario(tuple(carriers), Path(log) if log else None)


def parse_behaviour(changes: Mapping[str, Any], base: Behaviour | None = None) -> Behaviour:
    """`base` with changes in their written form. Raises `ScenarioError`."""
    errors: list[str] = []
    behaviour = dataclasses.replace(base) if base else Behaviour()
    for key, value in changes.items():
        _set(behaviour, key, value, "", errors)
    if errors:
        raise ScenarioError(errors)
    return behaviour


_SPECIAL = {"rule", "mo", "user", "password", "listen"}


def _carrier(where: str, table: Mapping[str, Any], seed: int | None, errors: list[str]) -> CarrierConfig:
    config = CarrierConfig(name=str(table.get("name", where.replace(" ", ""))), seed=seed)
    where = f"{where} ({config.name})"
    own = {f.name for f in dataclasses.fields(CarrierConfig)} - {"behaviour", "mo"}
    for key, value in table.items():
        if key in own:
            _set(config, key, value, where, errors)
        elif key not in _SPECIAL:
            _set(config.behaviour, key, value, where, errors)
    if "listen" in table:
        host, _, port = str(table["listen"]).rpartition(":")
        if host and port.isdecimal() and int(port) < 65536:
            config.host, config.port = host.strip("[]"), int(port)
        else:
            errors.append(f"{where}: listen: host:port is wanted")
    if ("user" in table) != ("password" in table):
        errors.append(f"{where}: user and password belong together")
    elif "user" in table:
        config.users = {str(table["user"]): str(table["password"])}
    config.behaviour.rules = tuple(_items(Rule, table.get("rule", []), f"{where}: rule", errors))
    config.mo = tuple(_items(Mo, table.get("mo", []), f"{where}: mo", errors))
    errors += [f"{where}: {problem}" for problem in check(config)]
    return config


def _items(kind: type[Any], tables: Any, where: str, errors: list[str]) -> list[Any]:
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        errors.append(f"{where}: a list of tables is wanted")
        return []
    items = []
    for table in tables:
        values: dict[str, Any] = {}
        known = {f.name: f for f in dataclasses.fields(kind)}
        for key, value in table.items():
            if key not in known:
                errors.append(f"{where}: unknown key {key!r}")
                continue
            try:
                values[key] = _convert(str(known[key].type), value)
            except ValueError as error:
                errors.append(f"{where}: {key}: {error}")
        try:
            items.append(kind(**values))
        except TypeError as error:
            errors.append(f"{where}: {error}".replace("__init__() ", ""))
    return items


def _set(target: Any, key: str, value: Any, where: str, errors: list[str]) -> None:
    prefix = f"{where}: " if where else ""
    known = {f.name: f for f in dataclasses.fields(target)}
    if key not in known or key == "behaviour":
        errors.append(f"{prefix}unknown key {key!r}")
        return
    try:
        if key == "rules":
            problems: list[str] = []
            converted: Any = tuple(_items(Rule, value, "rules", problems))
            if problems:
                raise ValueError("; ".join(problems))
        else:
            converted = _convert(str(known[key].type), value)
        if key in _CHANCES and not 0 <= converted <= 1:
            raise ValueError("a chance between 0 and 1 is wanted")
        setattr(target, key, converted)
    except ValueError as error:
        errors.append(f"{prefix}{key}: {error}")


_CHANCES = {
    "lose_answers",
    "late_answers",
    "duplicate_answers",
    "early_reports",
    "lose_reports",
    "late_reports",
    "duplicate_reports",
}


def _convert(kind: str, value: Any) -> Any:
    """Turn a TOML or JSON value into what the field of this declared type holds. Raises `ValueError`."""
    if value is None:
        if "None" in kind:
            return None
        raise ValueError("a value is wanted")
    kind = kind.removesuffix(" | None")
    if kind == "Delay":
        return Delay.parse(value)
    if kind == "Mix[int]":
        return Mix.parse(str(value), lambda text: int(text, 0))
    if kind == "Mix[str]":
        return Mix.parse(str(value), _report_state)
    if kind == "Coding":
        return Coding(str(value))
    if kind.startswith("Mapping"):
        if isinstance(value, dict) and value and all(isinstance(v, str) for v in value.values()):
            return dict(value)
        raise ValueError("a table of names and passwords is wanted")
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    wanted: dict[str, type] = {"bool": bool, "int": int, "str": str}
    if kind in wanted and type(value) is wanted[kind]:
        return value
    raise ValueError(f"{kind} is wanted, not {value!r}")


def _report_state(text: str) -> str:
    # Carriers invent seven-character codes (MK:0001), so only the shape is checked.
    if text == NO_REPORT or (re.fullmatch(r"[A-Z0-9:]{1,7}", text) and text.strip(":")):
        return text
    raise ValueError(text)


def check(config: CarrierConfig) -> list[str]:
    """What contradicts itself in a configuration; an empty list when nothing does."""
    problems = []
    if config.protocol not in PROTOCOLS:
        problems.append(f"protocol: one of {', '.join(PROTOCOLS)} is wanted, not {config.protocol!r}")
    if config.protocol == "cmpp" and any(len(user) > 6 for user in config.users):
        problems.append("users: a CMPP name has at most 6 characters")
    if config.protocol == "smgp" and any(len(user) > 8 for user in config.users):
        problems.append("users: an SMGP name has at most 8 characters")
    if config.smgp_version not in ("1.3", "3.0"):
        problems.append("smgp_version: 1.3 or 3.0 is wanted")
    host, _, port = config.deliver_to.rpartition(":")
    if config.deliver_to and not (host and port.isdecimal() and int(port) < 65536):
        problems.append("deliver_to: host:port is wanted")
    if config.tls_key and not config.tls_cert:
        problems.append("tls_key: a tls_cert is wanted with it")
    if not 0 <= config.node <= 0xFFFFFFFF:
        problems.append("node: a number of four octets is wanted")
    if not 0 <= config.port < 65536:
        problems.append(f"port: {config.port}")
    if config.cmpp_version not in ("2.0", "3.0"):
        problems.append("cmpp_version: 2.0 or 3.0 is wanted")
    if config.answer_id not in ID_FORMS:
        problems.append(f"answer_id: one of {', '.join(ID_FORMS)} is wanted")
    forms = ("same", *REPORT_FORMS.get(config.protocol, ID_FORMS))
    if config.report_id not in forms:
        problems.append(f"report_id: one of {', '.join(forms)} is wanted")
    if config.report_form not in ("text", "tlv", "both"):
        problems.append("report_form: text, tlv or both is wanted")
    if config.record_mb <= 0 or config.record_seconds <= 0:
        problems.append("record_mb and record_seconds must be positive")
    if not 0.01 <= config.replay_speed <= 1000:
        problems.append("replay_speed: between 0.01 and 1000")
    if config.window < 1 or config.keep_messages < 0 or config.max_pending < 1:
        problems.append("window, keep_messages and max_pending must be positive")
    if config.token_pattern is not None:
        try:
            re.compile(config.token_pattern)
        except re.error as error:
            problems.append(f"token_pattern: {error}")
    behaviour = config.behaviour
    if behaviour.rate is not None and behaviour.rate <= 0:
        problems.append("rate: above 0")
    if behaviour.rate_burst is not None and behaviour.rate_burst < 1:
        problems.append("rate_burst: 1 or more")
    for rule in behaviour.rules:
        if rule.report is not None:
            try:
                _report_state(rule.report)
            except ValueError:
                problems.append(f"rule: report: {rule.report!r} is no state")
    return problems
