"""What keeps secrets and numbers out of a bundle: settings without what opens something, texts gone over again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from smsgw.core.numbers import masked_as_written
from smsgw.runtime.config import Config

HIDDEN = "***"
SHORTEST = 4
"""Of secrets that are looked for in texts: what is shorter is in any text by chance."""
_SECRET = re.compile("password|secret|token|passphrase", re.I)
_IN_ADDRESS = re.compile(r"://([^:/?#@\s]{0,128}):([^@/\s]{0,256})@")
_IN_WORDS = re.compile(r"""(password ?= ?)('(?:[^'\\]|\\.){0,256}'|[^\s&"',;\\]{1,256})""", re.I)
_FIGURE = re.compile(r'^ +"[a-z_]+": [0-9]+(?=,?$)', re.MULTILINE)


def settings_shown(value: Any, name: str = "") -> Any:
    """Settings as plain values, nothing in them that opens something."""
    if is_dataclass(value):
        return {field.name: settings_shown(getattr(value, field.name), field.name) for field in fields(value)}
    if isinstance(value, str):
        if _SECRET.search(name) and "file" not in name:
            return HIDDEN if value else ""
        return _IN_WORDS.sub(rf"\1{HIDDEN}", _IN_ADDRESS.sub(rf"://\1:{HIDDEN}@", value))
    if isinstance(value, Mapping):
        return {str(key): settings_shown(one, str(key)) for key, one in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [settings_shown(one, name) for one in value]
    return value if isinstance(value, bool | int | float) or value is None else str(value)


def secrets_of(settings: Config) -> set[str]:
    """What the configuration holds that opens something, the lines of the key file among it; blocks."""
    redis = settings.redis
    found = {settings.mail.password, redis.password, redis.sentinel_password}
    for dsn in (settings.database.dsn, settings.database.owner_dsn, redis.url):
        for password in (*(one[2] for one in _IN_ADDRESS.finditer(dsn)),
                         *(one[2].strip("'") for one in _IN_WORDS.finditer(dsn))):  # fmt: skip
            found |= {password, unquote(password)}
    found |= _lines(settings.key_file)
    return {way for one in found if len(one) >= SHORTEST for way in _ways(one)}


def _ways(secret: str) -> set[str]:
    """As it may stand in a text: as it is, in JSON, and in JSON within JSON."""
    found = {secret}
    for _ in range(2):
        found |= {json.dumps(one, ensure_ascii=plain)[1:-1] for one in found for plain in (True, False)}
    return found


def _lines(file: Path) -> set[str]:
    try:
        return {line.strip() for line in file.read_text().splitlines()}
    except (OSError, ValueError):
        return set()


def cleaned(text: str, secrets: Iterable[str]) -> str:
    """The text without these, without passwords in addresses, and with the middle of every number hidden; figures that
    are values of JSON by themselves, as sizes are, stay."""
    for one in sorted(secrets, key=len, reverse=True):  # one may be in another
        text = text.replace(one, HIDDEN)
    text = _IN_WORDS.sub(rf"\1{HIDDEN}", _IN_ADDRESS.sub(rf"://\1:{HIDDEN}@", text))
    pieces, at = list[str](), 0
    for figure in _FIGURE.finditer(text):
        pieces += masked_as_written(text[at : figure.start()]), figure[0]
        at = figure.end()
    return "".join((*pieces, masked_as_written(text[at:])))
