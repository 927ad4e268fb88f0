"""The ``id:… sub:… stat:…`` text of SMPP receipts and SMGP reports.

There is no grammar in the field: any order, any case, missing labels, blanks or underscores in the
dates' labels. So labels are looked for, and what stands between them are the values.
"""

from __future__ import annotations

import re

_LABEL = re.compile(
    r"(?:(?<=\s)|(?<=\A)|(?<=,)|(?<=;))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|te?xt)[ ]?:",
    re.IGNORECASE,
)
_NAMES = {"submitdate": "submit_date", "donedate": "done_date", "txt": "text"}


def _name(label: str) -> str:
    plain = label.lower().replace(" ", "").replace("_", "")
    return _NAMES.get(plain, plain)


def parse(text: str) -> dict[str, str]:
    """Values by label: id, sub, dlvrd, submit_date, done_date, stat, err, text; absent ones absent.

    The text goes to the end, whatever it holds, unless the status stands behind it. Of a label
    that occurs twice the first one counts.
    """
    text = text.rstrip("\0")
    found = list(_LABEL.finditer(text))
    at_text = next((at for at, match in enumerate(found) if _name(match[1]) == "text"), None)
    if at_text is not None and any(_name(match[1]) == "stat" for match in found[:at_text]):
        del found[at_text + 1 :]
    values: dict[str, str] = {}
    for at, match in enumerate(found):
        name = _name(match[1])
        last = at + 1 == len(found)
        value = text[match.end() : None if last else found[at + 1].start()]
        if name != "text":
            value = value.strip(" \t\r\n,;\0")
        elif not last:
            value = value.rstrip(" ")
        values.setdefault(name, value)
    return values
