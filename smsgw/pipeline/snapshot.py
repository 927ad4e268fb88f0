"""What the hot path knows without asking the database: accounts, keys, pools. Immutable, swapped when it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from smsgw.core import retry
from smsgw.core.code_book import CodeBook
from smsgw.core.keys import ApiKey
from smsgw.core.model import Account
from smsgw.core.numbers import Overrides
from smsgw.core.partners import Partner
from smsgw.core.policy import PolicySet
from smsgw.core.report_ids import Spelling
from smsgw.core.routes import RouteTable
from smsgw.core.settings import Settings
from smsgw.core.webhooks import Hooks
from smsgw.store.config import accounts as accounts_store
from smsgw.store.config import channels as channels_store
from smsgw.store.config import codes as codes_store
from smsgw.store.config import keys as keys_store
from smsgw.store.config import numbers as numbers_store
from smsgw.store.config import partners as partners_store
from smsgw.store.config import policies as policies_store
from smsgw.store.config import retry_rules as retries_store
from smsgw.store.config import routes as routes_store
from smsgw.store.config import settings as settings_store
from smsgw.store.config import webhooks as webhooks_store
from smsgw.store.config.codes import AccessCode, Extension
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import report_ids as reportids_store


class Directory:
    """The current snapshot; ``reload`` replaces it as a whole, so a reader never sees half a change."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self.version = 0
        self.table = RouteTable()
        self.overrides = Overrides()
        self.retry: retry.Table = retry.DEFAULTS
        self.codes = CodeBook()
        self.spellings: Mapping[int, Spelling] = {}
        self.settings = Settings()
        self.available: Mapping[int, int] = {}
        """Units that accounts could spend when this was read."""
        self.hooks = Hooks()
        self.partners: Mapping[tuple[str, str], Partner] = {}
        """By protocol and user name."""
        self.policies = PolicySet()
        self._policies = policies_store.Loader()
        self._load((), (), {}, ())

    def _load(
        self,
        accounts: Iterable[Account],
        keys: Iterable[ApiKey],
        pools: dict[str, int],
        access_codes: Iterable[AccessCode],
        extensions: Iterable[Extension] = (),
    ) -> None:
        self._accounts = MappingProxyType({a.id: a for a in accounts})
        self.halted = frozenset(a.id for a in self._accounts.values() if a.halted)
        """Accounts that send nothing: stopped, or below one that is."""
        self._by_name = MappingProxyType({a.name: a for a in self._accounts.values()})
        self._keys = MappingProxyType({k.key_id: k for k in keys})
        self._by_bearer = MappingProxyType(
            {
                digest: k
                for k in self._keys.values()
                for digest in (k.bearer_sha256, k.old_bearer_sha256)
                if digest
            }
        )
        self.has_test_keys = any(k.test and k.status == "active" for k in self._keys.values())
        self.pools = MappingProxyType(pools)
        self._access_codes = tuple(sorted(access_codes, key=lambda a: -len(a.code)))
        codes = {a.code for a in self._access_codes}
        self._continued = tuple(
            sorted(
                long[len(code) :]
                for code in codes
                for long in codes
                if long != code and long.startswith(code)
            )
        )
        """What makes an access code of one that is shorter: a reply may be brought by the channel of either."""
        own = [Extension(a.id, "", a.extend_code) for a in self._accounts.values()]
        tree = [e for e in (*own, *extensions) if e.account_id in self._accounts]
        # The longest first; what is in use before what was.
        self._extensions = tuple(sorted((e for e in tree if e.code), key=lambda e: (-len(e.code), e.former)))
        self._plain = frozenset(e.account_id for e in tree if not e.code)
        self._sign_codes = MappingProxyType(
            {(e.account_id, e.sign): e.code for e in tree if e.sign and not e.former}
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
        extensions, former = await codes_store.load(database)
        settings = await settings_store.load(database)
        hooks = await webhooks_store.load(database, self._sealer)
        partners = await partners_store.load_partners(database, self._sealer)
        policies = await self._policies.load(database)
        current = [AccessCode(c.id, c.access_code) for c in channels if c.access_code]
        self._load((row.account for row in rows), keys, pools, [*current, *former], extensions)
        self.available = MappingProxyType(
            {row.account.id: row.balance - row.account.credit_floor for row in rows}
        )
        self.settings = settings
        self.hooks = hooks
        self.partners = MappingProxyType({(p.protocol, p.username): p for p in partners})
        self.policies = policies
        self.table = table
        self.overrides = overrides
        self.retry = rules
        self.codes = codes
        self.spellings = spellings
        self.version = version

    async def reload_if_changed(self, database: Database) -> bool:
        """Reload when the configuration has moved; whether it did."""
        version = await channels_store.config_version(database)
        if version == self.version and version > 0:
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

    def extension_of(self, account: Account, sign: str) -> str:
        """The digits behind the access code from which this account's messages with this signature come."""
        return self._sign_codes.get((account.id, sign), account.extend_code)

    def owner_of(self, to_code: str, channel_id: int | None = None) -> tuple[Account | None, str]:
        """Whose an inbound message to this number is, and the digits behind the account's own code.

        The access code of the channel it came through goes before those of others, longer before shorter; behind it
        the longest extension wins, one in use before a former one. With a single account that has no extension, that
        one owns the rest. None: the code does not tell (two accounts share it, or nobody has it).
        """
        extension = to_code
        codes = [a.code for a in self._access_codes if to_code.startswith(a.code)]
        here = [
            a.code for a in self._access_codes if a.channel_id == channel_id and to_code.startswith(a.code)
        ]
        if codes:
            extension = to_code[len((here or codes)[0]) :]
        owners, rest = self._owners(extension)
        return (self._accounts[min(owners)] if len(owners) == 1 else None), rest

    def owns(self, account: Account, sign: str, digits: str) -> bool:
        """Whether an account may send, with this signature, from behind its number with these further ``digits``.

        It may where a reply could not come to another instead: the longest extension that the number begins with has
        to be its own. Accounts to whom an operator has given the same one, or none, share what is below it; a reply
        there goes by the message it answers.
        """
        extension = self.extension_of(account, sign) + digits
        if account.id not in self._owners(extension)[0]:
            return False
        others = (self._owners(extension[len(s) :])[0] for s in self._continued if extension.startswith(s))
        return all(not owners or account.id in owners for owners in others)

    def _owners(self, extension: str) -> tuple[frozenset[int], str]:
        """Who has what these digits begin with, and what is left of them."""
        fitting = [e for e in self._extensions if extension.startswith(e.code)]
        if not fitting:
            return self._plain, extension
        best = fitting[0]
        like = [e for e in fitting if (len(e.code), e.former) == (len(best.code), best.former)]
        return frozenset(e.account_id for e in like), extension[len(best.code) :]
