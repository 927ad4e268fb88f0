"""Traditional Chinese characters and what they are in simplified writing, from the tables of OpenCC."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def load() -> dict[str, str]:
    """Traditional character -> simplified; where there are several, the most usual one."""
    table: dict[str, str] = {}
    source = resources.files("opencc").joinpath("dictionary", "TSCharacters.txt")
    for line in source.read_text("utf-8").splitlines():
        traditional, _, simplified = line.partition("\t")
        if simplified:
            table[traditional] = simplified.split()[0]
    return table
