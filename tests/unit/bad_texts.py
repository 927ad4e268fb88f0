"""Work on each kind of bad text, whatever it says of it that it may say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from adversarial import TEXTS

from smsgw.core.errors import SmsgwError

Work = Callable[[str], Any]
REFUSALS = (ValueError, SmsgwError)


def over(
    work: Work, texts: Mapping[str, str] = TEXTS, refusals: tuple[type[Exception], ...] = REFUSALS
) -> dict[str, Any]:
    def call(text: str) -> None:
        with contextlib.suppress(*refusals):
            work(text)

    return {name: partial(call, text) for name, text in texts.items()}
