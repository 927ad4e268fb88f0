"""Regular expressions that outside text meets take time that grows with the text, not with its square or worse.

Python's ``re`` tries one way after another. How many there are can be seen from the expression: this walks the tree of
every one in smsgw and refuses the forms that let somebody who chooses the text choose the time as well. The rules are
in docs/adr/030; they are stricter than need be, and nearly always met by a possessive repeat (``a++``, ``a{2,9}+``),
which gives nothing back once it has matched.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from re import (
    _constants as sre,  # type: ignore[attr-defined]
    _parser as parser,  # type: ignore[attr-defined]
)
from typing import Any

from source_trees import dotted, forgotten, nodes, parsed

import smsgw

__all__ = ("forgotten",)
PACKAGE = Path(smsgw.__file__).parent
OWN_TEXT = {"smsgw.bench": "runs against our own daemon", "smsgw.api.manual": "examples for customers"}
"""Where no text of others comes by."""
REVIEWED = {
    "smsgw.core.policy:optout_pattern": "words of the operator, escaped; texts of an allowed length",
    "smsgw.admin.strength:password_problem": "constants of the module, in a loop",
    "smsgw.admin.words.load_tests:_told": "constants of the module, in a loop; texts are a bench's own",
    "smsgw.admin.kit.forms:_text": "the pattern is the page's own; texts of an allowed length",
    "smsgw.simulator.config:check": "the operator of a simulated carrier writes it, for the texts of tests",
    "smsgw.simulator.inbox:__init__": "the same",
}
"""Expressions that are made while the program runs, ``module:function``: why nobody outside can choose both the
expression and the text."""
MANY = 256
"""A repeat of more than this counts as one without an end …"""
ENDLESS = 1000
"""… and can stop at so many places."""
MOST_WAYS = 20_000
"""In which repeats may share a text between them."""

REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
KEPT = (sre.POSSESSIVE_REPEAT, sre.ATOMIC_GROUP)
"""What they have matched they do not give back."""
PLACES = (sre.AT, sre.ASSERT, sre.ASSERT_NOT)
Set = frozenset[int]
ALL: Set = frozenset(range(0x110))
"""A character stands for itself below 256; 256 and up stand for kinds of all others."""


def _letters(op: Any, arg: Any, flags: int) -> Set:
    """Which characters one item takes; those beyond Latin-1 together."""
    pattern = {
        sre.LITERAL: lambda: {arg}, sre.NOT_LITERAL: lambda: ALL - {min(arg, 256)}, sre.ANY: lambda: set(ALL),
        sre.IN: lambda: _set(arg),
    }.get(op)  # fmt: skip
    if pattern is None:
        return ALL
    found = {min(c, 256) for c in pattern()}
    if flags & re.IGNORECASE:
        found |= {ord(x) for c in found if c < 256 for x in (chr(c).lower() + chr(c).upper()) if ord(x) < 256}
    return frozenset(found)


def _set(items: Any) -> set[int]:
    found: set[int] = set()
    negated = False
    for op, arg in items:
        if op is sre.NEGATE:
            negated = True
        elif op is sre.LITERAL:
            found.add(min(arg, 256))
        elif op is sre.RANGE:
            found |= {min(c, 256) for c in range(arg[0], min(arg[1], 256) + 1)}
            found |= {256} if arg[1] > 255 else set()
        elif op is sre.CATEGORY:
            name = str(arg).rpartition("_")[2].lower()
            test = {"digit": str.isdigit, "space": str.isspace, "word": lambda c: c.isalnum() or c == "_"}[name]
            kind = {c for c in range(256) if test(chr(c))} | {256}
            found |= (set(ALL) - kind) | {256} if "NOT" in str(arg) else kind
    # What a set leaves out beyond Latin-1 is seldom all of it.
    return (set(ALL) - found) | {256} if negated else found


def _within(op: Any, arg: Any) -> list[Any]:
    if op in REPEATS:
        return [arg[2]]
    if op is sre.BRANCH:
        return arg[1]
    return [arg[3]] if op is sre.SUBPATTERN else [arg] if op is sre.ATOMIC_GROUP else []


def _endless(arg: Any) -> bool:
    return arg[1] is sre.MAXREPEAT or arg[1] > MANY


def _ways(arg: Any) -> int:
    """At how many places a repeat can stop."""
    return ENDLESS if _endless(arg) else int(arg[1]) - int(arg[0]) + 1


class Tree:
    """An expression, its items one after the other."""

    def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree = parser.parse(pattern, flags)
        self.flags = self.tree.state.flags | flags
        self.problems: list[str] = []

    def first(self, items: Any) -> tuple[Set, bool]:
        """Characters that a sequence can begin with, and whether it can be empty."""
        found: Set = frozenset()
        allowed = ALL
        for op, arg in items:
            if op is sre.ASSERT and arg[0] > 0:
                allowed &= self.first(arg[1])[0]
            letters, empty = self._first(op, arg)
            found |= letters & allowed
            if not empty:
                return found, False
        return found, True

    def _first(self, op: Any, arg: Any) -> tuple[Set, bool]:
        if op in PLACES:
            return frozenset(), True
        if op is sre.GROUPREF:
            return ALL, True
        if within := _within(op, arg):
            each = [self.first(items) for items in within]
            empty = any(empty for _, empty in each) or (op in REPEATS and not arg[0])
            return frozenset().union(*(letters for letters, _ in each)), empty
        return _letters(op, arg, self.flags), False

    def all(self, items: Any) -> Set:
        found: Set = frozenset()
        for op, arg in items:
            if within := _within(op, arg):
                found = found.union(*map(self.all, within))
            elif op not in PLACES:
                found |= ALL if op is sre.GROUPREF else _letters(op, arg, self.flags)
        return found

    def check(self, *, searched: bool) -> list[str]:
        """What is wrong with it; ``searched``: it is tried at every position of a text."""
        self._walk(list(self.tree), [], within=False)
        if searched:
            self._begin(list(self.tree))
        return self.problems

    def _walk(self, items: list[Any], after: list[Any], within: bool) -> None:
        """``after``: what follows the sequence; ``within``: in a repeat that may give back."""
        for number, (op, arg) in enumerate(items):
            rest = items[number + 1 :] + after
            gives_back = op in (sre.MAX_REPEAT, sre.MIN_REPEAT)
            if gives_back and _ways(arg) > 1:
                self._shared(op, arg, rest, within)
            for inner in _within(op, arg):
                if op in KEPT:
                    self._walk(list(inner), [], within=False)
                else:
                    self._walk(list(inner), rest, within or (gives_back and _endless(arg)))
            if op in (sre.ASSERT, sre.ASSERT_NOT):
                self._walk(list(arg[1]), [], within)
            elif op is sre.GROUPREF:
                self.problems.append("a reference to a group: the text decides how long it is")

    def _shared(self, op: Any, arg: Any, rest: list[Any], within: bool) -> None:
        """In how many ways a text can be divided between this repeat and those behind it that take the same."""
        if within and _endless(arg):
            self.problems.append("an endless repeat inside of another")
        letters = self.all(arg[2])
        ways = _ways(arg)
        for other, what in self._flat(rest):
            if other in PLACES:
                continue
            if self.first([(other, what)])[0] & letters:  # else it cannot take over
                for repeat in self._repeats(other, what):
                    ways *= _ways(repeat) if self.all(repeat[2]) & letters else 1
            if ways > MOST_WAYS:
                self.problems.append("repeats that can share a text between them")
                return
            found, empty = self._first(other, what)
            if not empty and not found & letters:
                return

    def _repeats(self, op: Any, arg: Any) -> Iterator[Any]:
        if op in REPEATS:
            yield arg
        if op not in KEPT:
            for items in _within(op, arg):
                for item in items:
                    yield from self._repeats(*item)

    def _flat(self, items: list[Any]) -> Iterator[tuple[Any, Any]]:
        for op, arg in items:
            if op is sre.SUBPATTERN:
                yield from self._flat(list(arg[3]))
            else:
                yield op, arg

    def _begin(self, items: list[Any]) -> None:
        """Searched: from every position it may run on. That is paid for when a match takes what was run over, or when
        the way to an endless repeat has a character that this does not take: then runs do not overlap."""
        before: list[Any] = []
        for number, (op, arg) in enumerate(items):
            if op is sre.AT and arg in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
                return
            if op in (sre.BRANCH, sre.SUBPATTERN):
                for inner in _within(op, arg):
                    self._begin([*before, *inner, *items[number + 1 :]])
                return
            if op in REPEATS and _endless(arg):
                letters = self.all(arg[2])
                safe = any(not self._first(*item)[1] and not self.all([item]) & letters for item in before)
                fails = any(not self._can_be_empty(item) for item in items[number + 1 :])
                if fails and not safe:
                    self.problems.append("searched for, and begins with an endless repeat (or what it takes)")
                    return
            before.append((op, arg))

    def _can_be_empty(self, item: Any) -> bool:
        op, _ = item
        return op not in PLACES and self._first(*item)[1]


def problems_of(pattern: str | bytes, flags: int = 0, *, searched: bool = True) -> list[str]:
    """What lets a text take more than its length."""
    return Tree(pattern, flags).check(searched=searched)


def test_dear_forms_are_refused_and_others_are_not() -> None:
    for pattern, searched in (
        (r"\{+\s*([A-Za-z_]\w{0,31})\s*\}", True),  # quadratic: every brace of a row begins anew
        (r"(a+)+b", False), (r"(a|b+)*c", False), (r"a*a*b", False), (r"\s*\d*\s*x", False),
        (r"(?P<v>.{1,300})(?P=v)", False), (r".{1,300},.{1,300}", False), (r"\s+$", True),
        (r"^(.*?)(?: at (.*))?$", False), (r"a.{1,35},.{1,35},.{1,35}", False), (r"x[a-z]+y", True),
        (r"[a-z0-9]*(?=;)", True),
    ):  # fmt: skip
        assert problems_of(pattern, searched=searched), pattern
    for pattern, searched in (
        (r"\{\s*+([A-Za-z_][\w.]{0,31}+)\s*+\}", True), (r"[0-9]+", True), (r"(?:a++)*+b", False),
        (r"[^,]*,[^,]*", False), (r"\{([^{}]*)\}", True), (r"\s*id:", False), (r"\d{1,3}(?:\.\d{1,3}){3}", True),
    ):  # fmt: skip
        assert not problems_of(pattern, searched=searched), pattern


METHODS = frozenset({"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer", "compile"})
OF_RE = {f"re.{method}" for method in METHODS}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = "smsgw." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith(tuple(OWN_TEXT)):
            yield name, parsed(path)


def calls() -> Iterator[tuple[str, str, ast.Call, bool]]:
    """Module, function, and each call of ``re`` in it; whether it is made when the module is imported."""

    def visit(module: str, node: ast.AST, function: str) -> Iterator[tuple[str, str, ast.Call, bool]]:
        for child in ast.iter_child_nodes(node):
            inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            if isinstance(child, ast.Lambda):
                inside = inside or "lambda"
            if isinstance(child, ast.Call) and dotted(child.func) in OF_RE:
                yield module, function, child, not function
            yield from visit(module, child, inside)

    for module, tree in sources():
        yield from visit(module, tree, "")


def module_patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """What modules have compiled when they were imported: constants, and those in tables."""
    for info in pkgutil.walk_packages(smsgw.__path__, "smsgw."):
        if info.name.startswith(tuple(OWN_TEXT)) or info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            for one in value.values() if isinstance(value, dict) else [value]:
                if isinstance(one, re.Pattern):
                    yield f"{info.name}.{name}", one


def searched_names() -> set[str]:
    """Constants that are not only matched at the beginning of a text, by their bare name."""
    found = set()
    for _, tree in sources():
        for node in nodes(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS - {"match", "fullmatch", "compile"}:
                found |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    return found


def test_no_expression_of_ours_lets_a_text_choose_its_time() -> None:
    searched = searched_names()
    found = {
        f"{name} {pattern.pattern!r}": problems
        for name, pattern in module_patterns()
        if (problems := problems_of(
            pattern.pattern, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, str) else pattern.flags,
            searched=name.rpartition(".")[2] in searched,
        ))
    }  # fmt: skip
    for module, function, call, _ in calls():
        if isinstance(call.args[0], ast.Constant):
            name = ast.unparse(call.func)
            problems = problems_of(call.args[0].value, searched=name not in ("re.match", "re.fullmatch"))
            if problems and name != "re.compile":
                found[f"{module}:{function} {ast.unparse(call)[:80]}"] = problems
    assert not found, found


def test_expressions_and_unfolding_are_where_they_were_looked_at() -> None:
    """One that is made while the program runs is on the list above, with the reason why that is safe."""
    made = {
        f"{module}:{function}"
        for module, function, call, at_import in calls()
        if not at_import and not isinstance(call.args[0], ast.Constant)
    }
    assert made <= REVIEWED.keys(), f"look at docs/adr/030 first, then add it to REVIEWED: {made - REVIEWED.keys()}"
    assert REVIEWED.keys() <= made, f"gone: {REVIEWED.keys() - made}"
    found = {  # texts are unfolded where their length is known
        f"{module}:{function.name}"
        for module, tree in sources()
        for function in nodes(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _unfolds(node)
    }
    assert found == UNFOLDING.keys()


UNFOLDING = {
    "smsgw.core.brand:parse_host": "a name that is no longer than DNS has them",
    "smsgw.core.cells:harmless": "a character",
    "smsgw.core.keywords:_fold": "a character",
    "smsgw.core.keywords:_of_a_word": "a character",
    "smsgw.core.url_filings:found_in": "a text of an allowed length",
    "smsgw.core.url_filings:_end": "of a target, which has one",
    "smsgw.platform.links.table:leads_to": "a text of an allowed length",
    "smsgw.core.optout:plain": "a text of an allowed length, or the beginning of a reply",
    "smsgw.core.optout:wants_out": "the beginning of a reply",
}
"""Where texts are brought into a normal form, and why they are short: the time grows with the square of the marks on a
letter, so their length is looked at before."""


def _unfolds(node: ast.Call) -> bool:
    """By its name, or as a part of what a codec does (RFC 3490)."""
    name = dotted(node.func)
    return name.endswith("unicodedata.normalize") or any(
        isinstance(one, ast.Constant) and one.value in ("idna", "NFKC", "NFC", "NFKD", "NFD") for one in node.args
    )
