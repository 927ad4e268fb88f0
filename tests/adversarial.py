"""Texts that somebody might send to keep us busy, and how much of the processor they cost.

Time is measured here, as hardly anywhere else in these tests, to find what grows faster than the text: that costs
seconds at ``SIZE``. The dearest reader costs 20 ms on a quiet machine (the promise is 50 ms, ADR 30), so the bound is
far from both. It is the time of this thread on the processor, not that of the clock, and the best of a few tries.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from standins import AnyFleet, NoLists, NoNumbers, NoShortLinks

from smsgw.core.keywords import Action, Plain, Word, WordFilter
from smsgw.core.model import Account
from smsgw.core.numbers import Segments
from smsgw.core.policy import PolicySet, parse
from smsgw.core.routes import DEFAULT_POOL
from smsgw.core.templates import ContentBook, Review, Sign, Template, variables_of
from smsgw.pipeline.accept.checks import Checker
from smsgw.pipeline.accept.metering import OwnMeters
from smsgw.pipeline.accept.requests import SendRequest
from smsgw.pipeline.routing import Router
from smsgw.pipeline.snapshot import Snapshot
from smsgw.store.config import traditional

SIZE = 64 * 1024
"""Octets of a text: as much as the longest field of a protocol holds."""
BOUND = 0.5
"""Seconds of the processor that one call may cost before a test calls it dear."""


def repeat(piece: str, size: int = SIZE) -> str:
    """The piece again and again, ``size`` octets of UTF-8 or a little less."""
    return piece * (size // len(piece.encode("utf-8", "surrogatepass")))


def kinds(size: int = SIZE) -> dict[str, str]:
    """Texts by what is bad about them."""
    half = size // 2
    return {
        "braces": repeat("{", size),
        "dollar braces": repeat("${", size),
        "braces and blanks": repeat("{ ", size),
        "a brace, then blanks": "{" + repeat(" ", size),
        "a brace, a name, then blanks": "{a" + repeat(" ", size),
        "variables that are never closed": repeat("{abcdefghijabcdefghijabcdefghij12 ", size),
        "variables": repeat("{name}", size),
        "double braces": repeat("{{}}", size),
        "commas": repeat(",", size),
        "Chinese commas": repeat("\uff0c", size),
        "a greeting and commas": "尊敬的" + repeat(",", size),
        "combining marks": "a" + repeat("\u0301", size),
        "marks in the wrong order": "a" + repeat("\u0301\u0323", size),
        "ligatures that unfold to eighteen": repeat("\ufdfa", size),
        "lone surrogates": repeat("\ud83d", size),
        "pairs of surrogates": repeat("😀", size),
        "zero width": repeat("\u200b\u200d", size),
        "right to left": repeat("\u202e\u202d", size),
        "NULs": repeat("\0", size),
        "blanks": repeat(" ", size),
        "wide blanks": repeat("\u3000", size),
        "lines": repeat("\r\n", size),
        "nested arrays": "[" * half + "]" * half,
        "nested objects": '{"a":' * (size // 5),
        "escapes": repeat("\\u0000", size),
        "backslashes": repeat("\\", size),
        "links without an end": "http://" + repeat("a", size),
        "schemes": repeat("a://", size),
        "almost schemes": repeat("abcdefghijklmnopqrstu", size),
        "labels": repeat("a.", size),
        "long labels": repeat("a" * 63 + ".", size),
        "dashed labels": repeat("a-", size),
        "Chinese labels": repeat("中.", size),
        "addresses": repeat("1.1.1.1 ", size),
        "users of hosts": "http://" + repeat("a@", size),
        "ports": "http://a.cn" + repeat(":1", size),
        "dotted paths": "http://a.cn/" + repeat("../", size),
        "digits": repeat("1", size),
        "numbers": repeat("13800138000", size),
        "plus signs": repeat("+86", size),
        "opening brackets": repeat("【", size),
        "signatures": repeat("【签名】", size),
        "almost words": repeat("赌赌赌", size),
        "words": repeat("赌博", size),
        "words in disguise": repeat("賭 \u200b博", size),
        "words inside words": repeat("sexsex", size),
        "opt-out words": repeat("回T退订", size),
        "almost opt-out wording": repeat("拒收请直接回复", size),
        "reply to": repeat("replyttostop", size),
        "labels of receipts": repeat("id:1 ", size),
        "dates of receipts": repeat("submit date:", size),
        "receipts of labels alone": repeat("id:stat:err:", size),
        "text of receipts": "id:1 stat:DELIVRD " + repeat("text:", size),
        "mail": repeat("a@b.", size),
        "percents": repeat("%2e%2e/", size),
        "equals": repeat("a=b&", size),
        "semicolons": repeat(";", size),
        "quotes": repeat('"', size),
        "backquotes": "- at `" + repeat(" - at `", size),
        "traditional": repeat("體驗優惠", size),
        "numerals": repeat("⑳㈱㌀", size),
        "sharp s": repeat("ß", size),
        "dotted capital i": repeat("İ", size),
        "hangul": repeat("\u1100\u1161\u11a8", size),
        "Tibetan": repeat("\u0f77", size),
    }


TEXTS = kinds()


def cost(call: Callable[[], Any], bound: float = BOUND, tries: int = 4) -> float:
    """Seconds of the processor that a call costs this thread: the first time within the bound, else the best of the
    tries (what is made once is made then). It may be refused: what it says does not matter here."""
    best = float("inf")
    for _ in range(tries):
        begin = time.thread_time()
        call()
        best = min(best, time.thread_time() - begin)
        if best <= bound:
            break
    return best


def dear(calls: dict[str, Callable[[], Any]], bound: float = BOUND) -> dict[str, str]:
    """Those of the calls that cost more than the bound, with what they cost."""
    costs = {name: cost(call, bound) for name, call in calls.items()}
    return {name: f"{1000 * spent:.0f} ms" for name, spent in costs.items() if spent > bound}


def as_json(text: str) -> bytes:
    """A JSON string, with escapes for what UTF-8 does not have."""
    return json.dumps(text).encode()


ACCOUNT = Account(1, "acme", "active", default_sign="测试")
TEMPLATES = ("尊敬的{a},{b},{c},{d},{e},{f}。", "{a}{b}{c}{d}{e}{f}", "{a}{b}{a}", "{a}的{b},{a}的{b}")


class OwnChecker(Checker):
    """Goes by a snapshot of its own, whichever it is given."""

    def __init__(self, snapshot: Snapshot) -> None:
        fleet = AnyFleet(narrow=snapshot.pools)
        super().__init__(Router(Segments(), fleet), NoLists(), NoNumbers(), OwnMeters(), NoShortLinks())
        self.snapshot = snapshot

    def steps(self, request: SendRequest, snapshot: Snapshot, *args: Any, **how: Any) -> Any:
        return super().steps(request, self.snapshot, *args, **how)


def checker(**changes: str) -> OwnChecker:
    """All checks of a text, with words, a signature and templates; ``changes`` are policies."""
    words = {"赌博": Action.REVIEW, "sex": Action.REPLACE, "aaaa": Action.REVIEW, "a": Action.REVIEW}
    policies = PolicySet(
        {(0, ""): {name: parse(name, value) for name, value in ({"hours": "off"} | changes).items()}},
        words=WordFilter([Word(w, action=a) for w, a in words.items()], Plain(traditional.load())),
        book=ContentBook(
            [Sign(1, 1, "测试", Review.APPROVED)],
            [
                Template(n, 1, "marketing", content, variables_of(content, {}), state=Review.APPROVED)
                for n, content in enumerate(TEMPLATES, 1)
            ],
        ),
    )
    pools = {p: n for n, p in enumerate(DEFAULT_POOL.values(), 1)}
    return OwnChecker(Snapshot(pools=pools, policies=policies))
