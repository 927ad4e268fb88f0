"""Accounts as a tree, and the fields of an account that people change: names, forms and limits in one place."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from smsgw.core import moments
from smsgw.core.model import Account, MessageType, UnknownPolicy
from smsgw.core.words import phrase

MAX_DEPTH = 32
"""Levels of the tree."""
PROTOCOLS = ("http", "smpp", "cmpp")
MAX_NETWORKS = 200
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


def resolve(accounts: Iterable[Account]) -> list[Account]:
    """The accounts with what follows from those above them (``above``, ``guards``, ``departments``,
    ``first_day``, ``last_day``)."""
    known = {account.id: account for account in accounts}
    resolved = []
    for account in known.values():
        line = [account]
        while line[-1].parent_id in known and len(line) <= MAX_DEPTH:
            line.append(known[line[-1].parent_id])
        starts = [a.starts_on for a in line if a.starts_on]
        ends = [a.ends_on for a in line if a.ends_on and a.stops_at_end]
        resolved.append(
            replace(
                account,
                above=tuple(a.id for a in line[1:]),
                guards=tuple(a.id for a in line if a.quota_day or a.quota_month),
                departments=next((a.departments for a in line if a.department_id is not None), ()),
                first_day=max(starts, default=None),
                last_day=min(ends, default=None),
            )
        )
    return resolved


def subtree(accounts: Iterable[Account], root: int) -> frozenset[int]:
    """The account and all below it; of resolved accounts."""
    return frozenset(a.id for a in accounts if a.id == root or root in a.above)


def units_per_part(account: Account, kind: MessageType) -> int:
    """The price of one part."""
    if kind is MessageType.OTP:
        return account.units_otp
    return account.units_notice if kind is MessageType.NOTICE else account.units_marketing


# --- what people may change ------------------------------------------------------------------------------------------


def _text(most: int) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        text = str(value).strip()
        if len(text) > most or not text.isprintable():
            raise ValueError(phrase("text.most", most=most))
        return text

    return parse


def _bool(value: Any) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    word = str(value).strip().lower()
    if word not in known:
        raise ValueError(phrase("flag.wanted"))
    return known[word]


def _int(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        try:
            number = int(str(value).strip())
        except ValueError:
            raise ValueError(phrase("number.whole")) from None
        if not low <= number <= high:
            raise ValueError(phrase("number.range", low=low, high=high))
        return number

    return parse


def _none_or(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        return None if value is None or str(value).strip() == "" else inner(value)

    return parse


def _digits(value: Any) -> str:
    text = str(value).strip()
    if not re.fullmatch(r"[0-9]{0,12}", text, re.ASCII):
        raise ValueError(phrase("digits.at_most_12"))
    return text


def _sign(value: Any) -> str:
    text = str(value).strip()
    if text and (not 2 <= len(text) <= 20 or "【" in text or "】" in text):
        raise ValueError(phrase("sign.form"))
    return text


def _name(value: Any) -> str:
    text = str(value).strip()
    if text and not NAME.fullmatch(text):
        raise ValueError(phrase("account.name_of_one"))
    return text


def _policy(value: Any) -> str:
    try:
        return UnknownPolicy(str(value).strip()).value
    except ValueError:
        raise ValueError(phrase("known", known=", ".join(UnknownPolicy))) from None


def _date(value: Any) -> date:
    try:
        return moments.typed(value) if isinstance(value, date) else moments.day(str(value).strip())
    except ValueError:
        raise ValueError(phrase("date.wanted")) from None


def _items(value: Any) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    return list(dict.fromkeys(str(item).strip() for item in items if str(item).strip()))


def _protocols(value: Any) -> list[str]:
    items = _items(value)
    if not set(items) <= set(PROTOCOLS):
        raise ValueError(phrase("known", known=", ".join(PROTOCOLS)))
    return items


def networks(value: Any) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Addresses and networks, from a list or separated by commas. Raises ``ValueError`` that says what is wanted."""
    items = _items(value)
    if len(items) > MAX_NETWORKS:
        raise ValueError(phrase("networks.many", most=MAX_NETWORKS))
    try:
        return [ipaddress.ip_network(item, strict=False) for item in items]
    except ValueError:
        raise ValueError(phrase("networks.wanted")) from None


def _price(value: Any) -> Decimal:
    try:
        price = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(phrase("price.wanted")) from None
    if not price.is_finite() or not 0 <= price < 1000 or price != price.quantize(Decimal("0.0001")):
        raise ValueError(phrase("price.range"))
    return price


_MOST = 10**15
FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "display_name": _text(64),
    "parent": _name,
    "department": _text(64),
    "default_sign": _sign,
    "sign_required": _bool,
    "extend_code": _digits,
    "unknown_policy": _none_or(_policy),
    "emergency": _bool,
    "protocols": _protocols,
    "ip_allow": networks,
    "webhook_networks": networks,
    "credit_floor": _int(-_MOST, 0),
    "units_otp": _int(0, 1000),
    "units_notice": _int(0, 1000),
    "units_marketing": _int(0, 1000),
    "unit_price": _price,
    "refund_failed": _bool,
    "quota_day": _none_or(_int(1, _MOST)),
    "quota_month": _none_or(_int(1, _MOST)),
    "rate": _int(1, 1_000_000),
    "starts_on": _none_or(_date),
    "ends_on": _none_or(_date),
    "stops_at_end": _bool,
}
"""Field -> what makes a value of it from text or from itself, or raises ``ValueError`` that says what is wanted."""
