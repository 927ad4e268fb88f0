"""What must not be in a recording, looked for where it could be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def leaks(file: Path, words: Iterable[str]) -> set[str]:
    """Those of the words that are in the recording, in any coding. PDUs are looked at as octets: their hex, and times
    and sequence numbers, contain any digits by chance."""
    octets: list[bytes] = []
    told: list[str] = []
    for text in file.read_text("utf-8").splitlines():
        line = json.loads(text)
        octets.append(bytes.fromhex(line.pop("hex", "")))
        told += _strings(line)
    pdus, rest = b"\0".join(octets), "\0".join(told).encode()
    found = set()
    for word in words:
        forms = [word.encode(code)[:24] for code in ("utf-8", "utf-16-be", "gb18030")]
        forms = [form for form in forms if len(form) >= 6]
        if any(form in pdus or form in rest or form.hex().encode() in rest for form in forms):
            found.add(word)
    return found


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)
