"""Configuration snapshots: accounts, keys, policies, routes and all else that operators configure, as of one moment.

A ``Snapshot`` is immutable. Who does something that needs several looks (a send call, a reload of channels) takes
``current`` once and holds on to it: what it then sees belongs together.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from smsgw.core import retry
from smsgw.core.alarm_rules import Rules, Stored
from smsgw.core.brand import Brands, HostCertificate
from smsgw.core.code_book import CodeBook
from smsgw.core.keys import ApiKey
from smsgw.core.kinds import Kinds
from smsgw.core.model import Account, ChannelSpec
from smsgw.core.numbers import Overrides
from smsgw.core.partners import Partner
from smsgw.core.policy import PolicySet
from smsgw.core.report_ids import Spelling
from smsgw.core.routes import RouteTable
from smsgw.core.settings import Settings
from smsgw.core.webhooks import Hooks
from smsgw.pipeline.numbering import Numbering
from smsgw.runtime import clock
from smsgw.store.config import (
    accounts as accounts_store,
    alarm_rules as rules_store,
    brands as brands_store,
    channels as channels_store,
    codes as codes_store,
    keys as keys_store,
    kinds as kinds_store,
    numbers as numbers_store,
    partners as partners_store,
    policies as policies_store,
    retry_rules as retries_store,
    routes as routes_store,
    sections as sections_store,
    settings as settings_store,
    webhooks as webhooks_store,
)
from smsgw.store.config.codes import AccessCode, Extension
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.rows import apart
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import report_ids as reportids_store

MOST_LENT = 200
"""Keys of the node's own."""
LOAD_PATIENCE = 60.0
"""Seconds for all sections: there may be two million overrides of numbers."""

POLICIES = frozenset({"policies", "words", "lists", "content", "url_filings"})
"""Sections that are a part of the ``PolicySet`` each."""
NUMBERING = frozenset({"accounts", "channels", "access_codes"})
"""Sections that the ``Numbering`` is made of."""
NEEDS: Mapping[str, frozenset[str]] = {"webhooks": frozenset({"accounts"})}
"""Sections whose rows are read together with those of others."""


class Accounts:
    """All accounts, by id and by name; immutable."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self.by_id: Mapping[int, Account] = MappingProxyType({a.id: a for a in accounts})
        self.by_name: Mapping[str, Account] = MappingProxyType({a.name: a for a in self.by_id.values()})
        self.halted = frozenset(a.id for a in self.by_id.values() if a.halted)
        """Accounts that send nothing: stopped, or below one that is."""


class Keys:
    """All API keys, by id and by bearer token; immutable."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self.by_id: Mapping[str, ApiKey] = MappingProxyType({k.key_id: k for k in keys})
        self.by_bearer: Mapping[bytes, ApiKey] = MappingProxyType(
            {digest: k for k in self.by_id.values() for digest in (k.bearer_sha256, k.old_bearer_sha256) if digest}
        )
        self.tests = any(k.test and k.status == "active" for k in self.by_id.values())
        """Whether some key is a test key that is in use."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What operators have configured, as it stood at one moment. Without anything: the defaults."""

    versions: Mapping[str, int] = field(default_factory=dict)
    """Of the sections, as of the rows."""
    tree: Accounts = field(default_factory=Accounts)
    available: Mapping[int, int] = field(default_factory=dict)
    """Units that accounts could spend at that moment."""
    keys: Keys = field(default_factory=Keys)
    channels: tuple[ChannelSpec, ...] = ()
    """By name; removed ones are not among them."""
    pools: Mapping[str, int] = field(default_factory=dict)
    """Name -> id."""
    table: RouteTable = field(default_factory=RouteTable)
    """The route table in force."""
    overrides: Overrides = field(default_factory=Overrides)
    """What is known of numbers better than from their segments."""
    retry: retry.Table = field(default_factory=lambda: retry.DEFAULTS)
    codes: CodeBook = field(default_factory=CodeBook)
    spellings: Mapping[int, Spelling] = field(default_factory=dict)
    """How channels spell the ids of reports, where that is known; by id."""
    former_codes: tuple[AccessCode, ...] = ()
    extensions: tuple[Extension, ...] = ()
    """Those beside the accounts' own."""
    settings: Settings = field(default_factory=Settings)
    rules: Mapping[tuple[str, str], Stored] = field(default_factory=dict)
    """What was changed of the rules of alarms, by kind and object."""
    hooks: Hooks = field(default_factory=Hooks)
    partners: Mapping[tuple[str, str], Partner] = field(default_factory=dict)
    """By protocol and user name."""
    policies: PolicySet = field(default_factory=PolicySet)
    kinds: Kinds = field(default_factory=dict)
    """Business kinds beside the fixed types, retired ones among them."""
    brands: Brands = field(default_factory=Brands)
    certificates: tuple[HostCertificate, ...] = ()
    """Those of brands' hosts."""
    numbering: Numbering = field(default_factory=Numbering)

    @property
    def alarm_rules(self) -> Rules:
        """When something found wrong is an alarm."""
        return Rules(self.rules, self.settings)

    @property
    def halted(self) -> frozenset[int]:
        """Accounts that send nothing: stopped, or below one that is."""
        return self.tree.halted

    def key(self, key_id: str) -> ApiKey | None:
        """A key by its id."""
        return self.keys.by_id.get(key_id)

    def key_by_bearer_sha256(self, digest: bytes) -> ApiKey | None:
        """A key by the SHA-256 of its bearer token. (The token has 256 random bits: a look-up leaks nothing.)"""
        return self.keys.by_bearer.get(digest)

    @property
    def rehearses(self) -> bool:
        """Whether anybody needs the simulated carrier: a test key, or an account that rehearses."""
        return self.keys.tests or any(one.training for one in self.tree.by_id.values())

    def account(self, account_id: int) -> Account | None:
        """An account by id."""
        return self.tree.by_id.get(account_id)

    def account_by_name(self, name: str) -> Account | None:
        """An account by name."""
        return self.tree.by_name.get(name)

    def accounts(self) -> list[Account]:
        """All accounts, by name."""
        return sorted(self.tree.by_id.values(), key=lambda a: a.name)

    def numbered(self) -> Snapshot:
        """The same with the numbering that follows from accounts, channels and codes."""
        current = (AccessCode(c.id, c.access_code) for c in self.channels if c.access_code)
        numbering = Numbering(self.tree.by_id, (*current, *self.former_codes), self.extensions)
        return replace(self, numbering=numbering)


class Snapshots(Protocol):
    """Where the snapshot in force is found."""

    @property
    def current(self) -> Snapshot:
        """The newest."""

    async def follow(self) -> bool:
        """Take up what was changed before this was called; whether there was anything. ``STORAGE_UNAVAILABLE``."""


Changes = Mapping[str, Any]
"""Fields of the snapshot, or of its policies, with their new values."""


class SnapshotFollower:
    """The node's holder of the snapshot in force, which reloads the sections that have moved.

    All that moved is read in one repeatable-read transaction, and swapped at once.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._current = Snapshot()
        self._following = asyncio.Lock()
        self._stored: Sequence[ApiKey] = ()
        self._lent: dict[str, ApiKey] = {}
        self.listeners: list[Callable[[], None]] = []
        """Called when something was taken up; they must be quick."""
        self.loads: Counter[str] = Counter()
        """Section -> how often it was read."""
        self._templates = policies_store.ContentLoader()
        self._loaders: Mapping[str, Callable[[Connection], Awaitable[Changes]]] = {
            "accounts": self._accounts,
            "keys": self._keys,
            "channels": self._channels,
            "routes": _routes,
            "numbers": _overrides,
            "retry_rules": _retry,
            "code_classes": _codes,
            "report_ids": _spellings,
            "access_codes": _access_codes,
            "settings": _settings,
            "alarm_rules": _rules,
            "webhooks": self._webhooks,
            "partners": self._partners,
            "policies": _policies,
            "kinds": _kinds,
            "words": _words,
            "lists": _lists,
            "content": self._content,
            "url_filings": _url_filings,
            "brands": self._brands,
        }

    @property
    def current(self) -> Snapshot:
        """The snapshot in force."""
        return self._current

    async def follow(self) -> bool:
        """Take up what was changed before this was called; whether there was anything. ``STORAGE_UNAVAILABLE``."""
        async with self._following:
            if not self._moved(await sections_store.versions(self._database)):
                return False
            async with self._database.snapshot(timeout=LOAD_PATIENCE) as connection:
                self._current = await self._load(connection)
        for listener in self.listeners:
            listener()
        return True

    async def lend(self, key: ApiKey) -> None:
        """Let a key be good on this node alone, in memory, until it expires: pages that try calls sign with it."""
        async with self._following:
            now = clock.now()
            lent = [one for one in (*self._lent.values(), key) if one.expires_at is not None and one.expires_at > now]
            self._lent = {one.key_id: one for one in lent[-MOST_LENT:]}
            self._current = replace(self._current, keys=self._all_keys())

    def _all_keys(self) -> Keys:
        return Keys((*self._stored, *self._lent.values()))

    def _moved(self, versions: Mapping[str, int]) -> set[str]:
        known = self._current.versions
        moved = {name for name in self._loaders if name not in known or versions.get(name) != known[name]}
        return moved | {name for name, needed in NEEDS.items() if needed & moved}

    async def _load(self, connection: Connection) -> Snapshot:
        before, versions = self._current, await sections_store.versions(connection)
        moved = self._moved(versions)
        changes: dict[str, Any] = {}
        policies: dict[str, Any] = {}
        for name in moved:
            with apart("section", name):  # or what was known of it holds
                (policies if name in POLICIES else changes).update(await self._loaders[name](connection))
        if policies or "accounts" in moved:  # limits that were looked up go by the tree of accounts
            changes["policies"] = replace(before.policies, **policies, _known={})
        available = await accounts_store.available(connection)
        loaded = {name: versions.get(name, 0) for name in self._loaders}
        snapshot = replace(before, versions=MappingProxyType(loaded), available=available, **changes)
        self.loads.update(moved)
        return snapshot.numbered() if NUMBERING & moved else snapshot

    async def _accounts(self, connection: Connection) -> Changes:
        return {"tree": Accounts(await accounts_store.load_accounts(connection))}

    async def _keys(self, connection: Connection) -> Changes:
        self._stored = await keys_store.load_keys(connection, self._sealer)
        return {"keys": self._all_keys()}

    async def _channels(self, connection: Connection) -> Changes:
        return {"channels": tuple(await channels_store.load_channels(connection, self._sealer))}

    async def _webhooks(self, connection: Connection) -> Changes:
        return {"hooks": await webhooks_store.load(connection, self._sealer)}

    async def _partners(self, connection: Connection) -> Changes:
        partners = await partners_store.load_partners(connection, self._sealer)
        return {"partners": MappingProxyType({(p.protocol, p.username): p for p in partners})}

    async def _brands(self, connection: Connection) -> Changes:
        brands, certificates = await brands_store.load(connection, self._sealer)
        return {"brands": Brands.of(brands), "certificates": tuple(certificates)}

    async def _content(self, connection: Connection) -> Changes:
        return {"book": await self._templates.load(connection)}


async def _routes(connection: Connection) -> Changes:
    pools = await channels_store.load_pools(connection)
    return {"pools": MappingProxyType(pools), "table": await routes_store.load(connection)}


async def _overrides(connection: Connection) -> Changes:
    return {"overrides": await numbers_store.load_overrides(connection)}


async def _retry(connection: Connection) -> Changes:
    return {"retry": await retries_store.load_rules(connection)}


async def _codes(connection: Connection) -> Changes:
    return {"codes": await retries_store.load_codes(connection)}


async def _spellings(connection: Connection) -> Changes:
    return {"spellings": MappingProxyType(await reportids_store.load(connection))}


async def _access_codes(connection: Connection) -> Changes:
    extensions, former = await codes_store.load(connection)
    return {"extensions": tuple(extensions), "former_codes": tuple(former)}


async def _settings(connection: Connection) -> Changes:
    return {"settings": await settings_store.load(connection)}


async def _rules(connection: Connection) -> Changes:
    return {"rules": MappingProxyType(await rules_store.load(connection))}


async def _policies(connection: Connection) -> Changes:
    return {"changes": await policies_store.load_changes(connection)}


async def _kinds(connection: Connection) -> Changes:
    return {"kinds": MappingProxyType(await kinds_store.load(connection))}


async def _words(connection: Connection) -> Changes:
    return {"words": await policies_store.load_words(connection)}


async def _lists(connection: Connection) -> Changes:
    allowed = await policies_store.load_allowed(connection)
    return {"allowed": allowed, "restricted": policies_store.restricted_of(allowed)}


async def _url_filings(connection: Connection) -> Changes:
    return {"links": await policies_store.load_links(connection)}
