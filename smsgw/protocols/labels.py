"""The ``id:… sub:… stat:…`` text of SMPP receipts and SMGP reports.

There is no grammar in the field: any order, any case, missing labels, blanks or underscores in the
dates' labels. So labels are looked for, and what stands between them are the values.
"""

from __future__ import annotations

import re
from itertools import islice

MAX_LABELS = 64
"""Labels that are looked for: a receipt has eight, a message from a phone may have thousands."""
_LABEL = re.compile(
    r"(?:(?<=\s)|(?<=\A)|(?<=,)|(?<=;))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|te?xt)[ ]?:", re.IGNORECASE
)
_NAMES = {"submitdate": "submit_date", "donedate": "done_date", "txt": "text"}


def _name(label: str) -> str:
    plain = label.lower().replace(" ", "").replace("_", "")
    return _NAMES.get(plain, plain)


def spans(text: str) -> list[tuple[str, int, int, int]]:
    """(name, start of its label, start and end of its value) as it stands, in order.

    The text goes to the end, whatever it holds, unless the status stands behind it.
    """
    found = list(islice(_LABEL.finditer(text), MAX_LABELS))
    names = [_name(match[1]) for match in found]
    if "text" in names and "stat" in names[: (at_text := names.index("text"))]:
        del found[at_text + 1 :]
    ends = [match.start() for match in found[1:]] + [len(text)]
    return [(name, match.start(), match.end(), end) for name, match, end in zip(names, found, ends, strict=False)]


def parse(text: str) -> dict[str, str]:
    """Values by label: id, sub, dlvrd, submit_date, done_date, stat, err, text; absent ones absent.

    Of a label that occurs twice the first one counts.
    """
    text = text.rstrip("\0")
    values: dict[str, str] = {}
    for name, _, start, end in spans(text):
        value = text[start:end]
        if name != "text":
            value = value.strip(" \t\r\n,;\0")
        elif end < len(text):
            value = value.rstrip(" ")
        values.setdefault(name, value)
    return values
