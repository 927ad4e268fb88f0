"""Numbers that phones see: whose an inbound message is, and from behind which number an account may send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from smsgw.core.model import Account
from smsgw.store.config.codes import AccessCode, Extension

T = TypeVar("T")


class Numbering:
    """Access codes of channels and extensions of accounts, present and former; immutable."""

    def __init__(
        self,
        accounts: Mapping[int, Account] = MappingProxyType({}),
        access_codes: Iterable[AccessCode] = (),
        extensions: Iterable[Extension] = (),
    ) -> None:
        """``accounts`` by id; ``extensions``: those beside the accounts' own."""
        self._accounts = accounts
        self._channels = _together((a.code, a.channel_id) for a in access_codes)
        """Access codes, and the channels that have them."""
        self._continued = tuple(
            sorted(long[len(code) :] for long in self._channels for code in _begun(long[:-1], self._channels))
        )
        """What makes an access code of one that is shorter: a reply may be brought by the channel of either."""
        own = [Extension(a.id, "", a.extend_code) for a in accounts.values()]
        tree = [e for e in (*own, *extensions) if e.account_id in accounts]
        self._extensions = _together((e.code, e) for e in tree if e.code)
        self._plain = frozenset(e.account_id for e in tree if not e.code)
        self._sign_codes = MappingProxyType({(e.account_id, e.sign): e.code for e in tree if e.sign and not e.former})

    def extension_of(self, account: Account, sign: str) -> str:
        """The digits behind the access code from which this account's messages with this signature come."""
        return self._sign_codes.get((account.id, sign), account.extend_code)

    def owner_of(self, to_code: str, channel_id: int | None = None) -> tuple[Account | None, str]:
        """Whose an inbound message to this number is, and the digits behind the account's own code.

        The access code of the channel it came through goes before those of others, longer before shorter; behind it
        the longest extension wins, one in use before a former one. With a single account that has no extension, that
        one owns the rest. None: the code does not tell (two accounts share it, or nobody has it).
        """
        codes = _begun(to_code, self._channels)
        here = [code for code in codes if channel_id in self._channels[code]]
        extension = to_code[len((here or codes or [""])[0]) :]
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
        fitting = _begun(extension, self._extensions)
        if not fitting:
            return self._plain, extension
        longest = self._extensions[fitting[0]]
        in_use = [e for e in longest if not e.former]
        return frozenset(e.account_id for e in in_use or longest), extension[len(fitting[0]) :]


def _together(pairs: Iterable[tuple[str, T]]) -> Mapping[str, tuple[T, ...]]:
    """All that has a code, by the code."""
    found: dict[str, list[T]] = {}
    for code, one in pairs:
        found.setdefault(code, []).append(one)
    return MappingProxyType({code: tuple(ones) for code, ones in found.items()})


def _begun(digits: str, codes: Mapping[str, object]) -> list[str]:
    """The codes that these digits begin with, the longest first."""
    return [code for cut in range(len(digits), 0, -1) if (code := digits[:cut]) in codes]
