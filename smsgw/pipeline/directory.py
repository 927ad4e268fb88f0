"""What the hot path knows without asking the database: accounts, keys, pools. Immutable, swapped when it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from smsgw.core import retry
from smsgw.core.codebook import CodeBook
from smsgw.core.model import Account
from smsgw.core.numbers import Overrides
from smsgw.core.reportids import Spelling
from smsgw.core.routes import RouteTable
from smsgw.store import accounts as accounts_store
from smsgw.store import channels as channels_store
from smsgw.store import keys as keys_store
from smsgw.store import numbers as numbers_store
from smsgw.store import reportids as reportids_store
from smsgw.store import retries as retries_store
from smsgw.store import routes as routes_store
from smsgw.store.db import Database
from smsgw.store.keys import ApiKey
from smsgw.store.secrets import Sealer


class Directory:
    """The current snapshot; ``reload`` replaces it as a whole, so a reader never sees half a change."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self.version = -1
        self.table = RouteTable()
        self.overrides = Overrides()
        self.retry: retry.Table = retry.DEFAULTS
        self.codes = CodeBook()
        self.spellings: Mapping[int, Spelling] = {}
        self._load((), (), {}, ())

    def _load(
        self,
        accounts: Iterable[Account],
        keys: Iterable[ApiKey],
        pools: dict[str, int],
        access_codes: Iterable[str],
    ) -> None:
        self._accounts = MappingProxyType({a.id: a for a in accounts})
        self._by_name = MappingProxyType({a.name: a for a in self._accounts.values()})
        self._keys = MappingProxyType({k.key_id: k for k in keys})
        self._by_bearer = MappingProxyType({k.bearer_sha256: k for k in self._keys.values()})
        self.pools = MappingProxyType(pools)
        self._access_codes = tuple(sorted(access_codes, key=len, reverse=True))
        self._by_extend = tuple(
            sorted((a for a in self._accounts.values() if a.extend_code), key=lambda a: -len(a.extend_code))
        )

    async def reload(self, database: Database) -> None:
        """Read everything anew."""
        version = await channels_store.config_version(database)
        rows = await accounts_store.list_accounts(database)
        keys = await keys_store.load_keys(database, self._sealer)
        pools = await channels_store.load_pools(database)
        channels = await channels_store.load_channels(database, self._sealer)
        table = await routes_store.load(database)
        overrides = await numbers_store.load_overrides(database)
        rules = await retries_store.load_rules(database)
        codes = await retries_store.load_codes(database)
        spellings = await reportids_store.load(database)
        self._load(
            (row.account for row in rows), keys, pools, {c.access_code for c in channels if c.access_code}
        )
        self.table = table
        self.overrides = overrides
        self.retry = rules
        self.codes = codes
        self.spellings = spellings
        self.version = version

    async def reload_if_changed(self, database: Database) -> bool:
        """Reload when the configuration has moved; whether it did."""
        if await channels_store.config_version(database) == self.version:
            return False
        await self.reload(database)
        return True

    def key(self, key_id: str) -> ApiKey | None:
        """A key by its id."""
        return self._keys.get(key_id)

    def key_by_bearer_sha256(self, digest: bytes) -> ApiKey | None:
        """A key by the SHA-256 of its bearer token. (The token has 256 random bits: a look-up leaks nothing.)"""
        return self._by_bearer.get(digest)

    def account(self, account_id: int) -> Account | None:
        """An account by id."""
        return self._accounts.get(account_id)

    def account_by_name(self, name: str) -> Account | None:
        """An account by name."""
        return self._by_name.get(name)

    def accounts(self) -> list[Account]:
        """All accounts, by name."""
        return sorted(self._accounts.values(), key=lambda a: a.name)

    def owner_of(self, to_code: str) -> tuple[Account | None, str]:
        """Whose an inbound message to this number is, and the digits behind the account's own code.

        The longest matching extension wins; with a single account, that one owns everything.
        """
        extension = to_code
        for access_code in self._access_codes:
            if to_code.startswith(access_code):
                extension = to_code[len(access_code) :]
                break
        for account in self._by_extend:
            if extension.startswith(account.extend_code):
                return account, extension[len(account.extend_code) :]
        plain = [a for a in self._accounts.values() if not a.extend_code]
        return (plain[0] if len(plain) == 1 else None), extension
