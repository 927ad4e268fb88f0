"""The form of a new sending, and what is wrong with it. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.numbers import Recipients
from smsgw.admin.words import forms as said
from smsgw.core.model import MessageType

MAX_RECIPIENTS = 1000
MAX_CONTENT = 1000
_SIGN = re.compile(r"[^【】\n]{2,20}")
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(slots=True)
class SendForm:
    """The form of a new sending, as typed, with what is wrong with it."""

    account: str
    to: str
    type: str
    sign: str
    content: str
    key: str
    """Made with the form, sent with every step: pressing the button twice sends once."""
    errors: dict[str, Problem] = field(default_factory=dict)

    @classmethod
    def blank(cls) -> SendForm:
        """Before anything was typed."""
        return cls("", "", MessageType.NOTICE, "", "", secrets.token_urlsafe(18))

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> SendForm:
        """From the fields of a POST."""
        texts = {name: data.get(name, "") for name in ("account", "to", "type", "sign", "content", "key")}
        good: dict[str, Any] = {name: text if isinstance(text, str) else "" for name, text in texts.items()}
        form = cls(**good)
        form.account, form.key = form.account.strip(), form.key.strip()
        form.sign = form.sign.strip().removeprefix("【").removesuffix("】").strip()
        form.content = form.content.replace("\r\n", "\n").strip()
        return form

    def tell(self, key: str, said: str) -> None:
        """Something is wrong with a field, in the reader's language."""
        self.errors[key] = Problem("%(said)s", {"said": said})

    def check(self, to: Recipients, types: Collection[str]) -> bool:
        """Whether it can be sent as far as the form can tell; fills ``errors``."""
        found = {
            "to": _wrong_numbers(to),
            "type": "" if self.type in types else said.NO_TYPE,
            "sign": "" if not self.sign or _SIGN.fullmatch(self.sign) else said.SIGN_FORM,
            "content": _wrong_content(self.content),
            "account": "" if _KEY.fullmatch(self.key) else said.OLD_PAGE,
        }
        self.errors |= {key: Problem(text) for key, text in found.items() if text}
        return not self.errors


def _wrong_numbers(to: Recipients) -> str:
    if to.beyond:
        return said.TOO_MANY_NUMBERS
    if not to.valid:
        return said.NO_GOOD_NUMBER if to.total else said.NO_NUMBER
    return said.TOO_MANY_NUMBERS if len(to.valid) > MAX_RECIPIENTS else ""


def _wrong_content(text: str) -> str:
    if not text:
        return said.NO_CONTENT
    return said.LONG_CONTENT if len(text) > MAX_CONTENT else ""
