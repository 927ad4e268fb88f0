"""Whose an inbound message is, by the number it was sent to."""

from __future__ import annotations

import pytest

from smsgw.core.model import Account
from smsgw.pipeline.numbering import Numbering
from smsgw.store.config.codes import AccessCode, Extension

CODES = [AccessCode(1, "1069"), AccessCode(2, "106900"), AccessCode(3, "10690001")]


def numbering(*accounts: tuple[int, str], extensions: tuple[Extension, ...] = ()) -> Numbering:
    people = {id_: Account(id_, f"a{id_}", "active", extend_code=code) for id_, code in accounts}
    return Numbering(people, CODES, extensions)


@pytest.mark.parametrize(
    ("to", "channel", "owner", "rest"),
    [
        ("1069000155", 3, 1, ""),
        ("106900015599", 3, 2, ""),
        ("1069000155991", 3, 2, "1"),
        ("106900017", 3, None, "7"),
        ("10690055", 1, None, "0055"),  # the channel's own code, though another channel's is longer
        ("10690055", None, 1, ""),
        ("5512", None, 1, "12"),  # no access code of ours: all of it is an extension
    ],
)
def test_the_longest_extension_behind_the_code(to: str, channel: int | None, owner: int | None, rest: str) -> None:
    tree = numbering((1, "55"), (2, "5599"), (3, "88"))
    account, left = tree.owner_of(to, channel)
    assert (account.id if account else None, left) == (owner, rest)


def test_whose_the_rest_is() -> None:
    account, left = numbering((1, ""), (2, "55")).owner_of("1069000177", 3)
    assert (account.id, left) == (1, "77")
    assert numbering((1, "55"), (2, "55")).owner_of("1069000155", 3) == (None, "")
    assert numbering((1, ""), (2, "")).owner_of("10690001", 3) == (None, "")
    tree = numbering((1, "56"), (2, "55"), extensions=(Extension(1, "", "55", former=True),))
    assert tree.owner_of("1069000155", 3)[0].id == 2


def test_signatures_and_former_extensions() -> None:
    former = (Extension(1, "", "55", former=True), Extension(2, "店", "77"), Extension(9, "", "66"))
    tree = numbering((1, "56"), (2, ""), (3, "5"), extensions=former)
    owners = {to: tree.owner_of("10690001" + to, 3)[0] for to in ("55", "56", "77", "59", "66")}
    assert {to: a.id if a else None for to, a in owners.items()} == {"55": 1, "56": 1, "77": 2, "59": 3, "66": 2}
    one, two = Account(1, "a1", "active", extend_code="56"), Account(2, "a2", "active")
    assert (tree.extension_of(two, "店"), tree.extension_of(two, "别的")) == ("77", "")
    assert tree.extension_of(one, "店") == "56"
