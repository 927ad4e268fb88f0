"""A text as it is typed: counted as the gateway counts it, and marked where a word or a character makes trouble. Pure
but for the snapshot of the call."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from smsgw.admin.call import Call
from smsgw.admin.kit.kinds import base_of
from smsgw.admin.pages.sending.preview import Preview, preview
from smsgw.admin.words import compose as words
from smsgw.core import text, variables
from smsgw.core.accounts import units_per_part
from smsgw.core.keywords import Hit
from smsgw.core.model import Account, MessageType
from smsgw.core.templates import Template
from smsgw.platform.drafts.model import State

MOST_MARKED = 2000
"""Characters that are looked at."""
BMP = 0xFFFF
"""Above it a character takes two units and is an emoji or a rare one, which old phones do not show."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A piece of the text; ``kind``: why it is marked (``words.MARK``), empty: it is not; ``why``: in words."""

    text: str
    kind: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a text comes to."""

    shown: Preview
    pieces: Sequence[Mark]
    found: Sequence[tuple[str, str]]
    """What is marked, and why; each once."""
    units: int
    """That one number costs."""
    unit_price: Decimal
    """Of a unit, in yuan; 0: the account has none."""
    blocked: bool
    names: Sequence[str] = ()
    """Variables that are still in it: the count differs from row to row."""

    def price(self, numbers: int = 1) -> str:
        """Of so many numbers, in yuan: to the fen, of one number to where its unit is priced; empty: the account has
        no price."""
        places = 4 if numbers == 1 else 2
        return f"{self.units * numbers * self.unit_price:,.{places}f}" if self.unit_price else ""


def counted(
    call: Call, state: State, account: Account | None, template: Template | None,
    values: Mapping[str, str] | None = None,
) -> Counted:  # fmt: skip
    """The text of a draft, with the values of a row where they are known."""
    content = (template.content if template else state.content)[:MOST_MARKED]
    given = {**(values or {})}
    if template is not None:
        given |= {name: value for name, value in state.fixed.items() if value}
    parts = variables.Template(content)
    filled = parts.fill([given.get(name) or f"{{{name}}}" for name in parts.names]) if parts.names else content
    sign = state.sign or (template.sign if template else "") or (account.default_sign if account else "")
    kind = template.type if template else base_of(call, state.type)
    left = [name for name in parts.names if not given.get(name)]
    return replace(counted_text(call, sign, filled, account, kind), names=left)


def counted_text(call: Call, sign: str, content: str, account: Account | None, kind: str) -> Counted:
    """A text as it is typed: counted whole, marked as far as it could be sent."""
    shown = preview(sign, content)
    pieces = _marked(call, shown.text[:MOST_MARKED], account, kind)
    each = units_per_part(account, MessageType(kind)) if account and kind in set(MessageType) else 0
    found = dict.fromkeys((p.text if p.text.strip() else "␣", p.why) for p in pieces if p.kind)
    blocked = any(p.kind in ("block", "broken") for p in pieces)
    unit_price = account.unit_price if account else Decimal()
    return Counted(shown, pieces, list(found)[:20], shown.parts * each, unit_price, blocked)


def _marked(call: Call, whole: str, account: Account | None, kind: str) -> list[Mark]:
    line = (account.id, *account.above) if account else ()
    hits = call.portal.context.snapshots.current.policies.words.find(whole, line, kind)
    spans: list[tuple[int, int, str, str]] = []
    covered, shown = bytearray(len(whole)), 0
    reached = 0
    for hit in hits:  # by place, the longest first: words within words cost no more than the text is long
        if hit.start >= shown:
            spans.append((hit.start, hit.end, str(hit.word.action), _why(call, hit)))
            shown = hit.end
        if hit.end > reached:
            begin = max(hit.start, reached)
            covered[begin : hit.end] = b"\1" * (hit.end - begin)
            reached = hit.end
    for at, character in enumerate(whole):
        if not covered[at] and (trouble := _trouble(character)):
            spans.append((at, at + 1, trouble, call.gettext(words.MARK[trouble])))
    pieces, done = list[Mark](), 0
    for start, end, why, said in sorted(spans):
        if start < done:
            continue
        pieces += [Mark(whole[done:start]), Mark(whole[start:end], why, said)]
        done = end
    return [piece for piece in (*pieces, Mark(whole[done:])) if piece.text]


def _why(call: Call, hit: Hit) -> str:
    category = hit.word.category or call.gettext(words.NO_CATEGORY)
    return f"{call.gettext(words.MARK[str(hit.word.action)])} · {category}"


@functools.lru_cache(maxsize=20_000)
def _trouble(character: str) -> str:
    """Whether a character cannot be sent, or is not shown by every phone."""
    try:
        text.choose(character)
    except text.Unencodable:
        return "broken"
    if ord(character) > BMP or (not character.isprintable() and character not in "\n\r\t\u3000\u00a0"):
        return "wide"
    return ""
