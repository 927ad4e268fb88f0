"""Mutants: single small changes of a module, as places of its text where something else could stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARE = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in",
    ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
_ARITHMETIC = {ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*"}
_SIGN = re.compile(r"[<>=!]+|is not|is|not in|in|//|[-+*/%]")
_LOGS = ("log", "sparing", "daily")
_NAMED = ast.Name | ast.Attribute
_OF_TYPES = ("isinstance", "issubclass", "cast", "_expect")

_SQL = re.compile(r"\b(SELECT|UPDATE|INSERT INTO|DELETE FROM|WHERE)\b")
_CONDITION = re.compile(
    r"(?<=\bAND )(?!\$)(?:\([^()]*\)|[^()\n])*?"
    r"(?=\s+AND\b|\s+ORDER\b|\s+LIMIT\b|\s+FOR\b|\s+RETURNING\b|\s+GROUP\b|\s+THEN\b|\n|\)|\"|$)"
)
_FIRST = re.compile(r"(?<=WHERE )(?:\([^()]*\)|[^()\n])*?(?=\s+AND\b)")
_LOCK = re.compile(r"\s+FOR (UPDATE|SHARE)( OF \w+)?( SKIP LOCKED)?")
_OPERATOR = re.compile(r"(?<= )(<=|>=|<>|<|>)(?= )")
_OTHER = {"<=": "<", "<": "<=", ">=": ">", ">": ">=", "<>": "="}
_ONE_OF_A_LIST = re.compile(r"(?<=IN \()(\d+), ")
_FOR_THE_PLAN = re.compile(r"\bid >= (\$\d+|\{oldest\})$")
"""Keeps old days out of the plan: what it leaves out is not there."""


@dataclass(frozen=True, order=True, slots=True)
class Mutant:
    """Replace the octets from ``start`` to ``end`` of a file by ``text``."""

    path: str
    start: int
    end: int
    text: str
    line: int
    was: str

    def apply(self, source: bytes) -> bytes:
        """The module as it would be."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def __str__(self) -> str:
        was, now = (" ".join(text.split()) for text in (self.was, self.text))
        return f"{self.path}:{self.line} `{was}` → `{now}`"


class _Module:
    """The text of a module and its places."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where a node begins and ends."""
        begin = self._lines[node.lineno - 1] + node.col_offset
        return begin, self._lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    def text(self, start: int, end: int) -> str:
        return self.source[start:end].decode()

    def mutant(self, start: int, end: int, text: str) -> Mutant:
        line = self.source.count(b"\n", 0, start) + 1
        return Mutant(self.path, start, end, text, line, self.text(start, end))

    def sign(self, left: ast.expr, right: ast.expr, sign: str) -> Mutant:
        """Another sign between two operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        return self.mutant(start, end, _SIGN.sub(sign, self.text(start, end), count=1))


def mutants(path: str, source: bytes) -> Iterator[Mutant]:
    """All of a module: comparisons, conditions, arithmetic, numbers, statements, arguments; and those of its SQL."""
    module = _Module(path, source)
    for node in _walk(ast.parse(source)):
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                yield module.sign(left, right, _COMPARE[type(op)])
            case ast.BoolOp(op=op, values=values):
                for n in range(len(values)):  # without one of them
                    left_over = values[:n] + values[n + 1 :]
                    rest = left_over[0] if len(left_over) == 1 else ast.BoolOp(op, left_over)
                    yield module.mutant(*module.span(node), f"({ast.unparse(rest)})")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC and not _is_text(left, right):
                yield module.sign(left, right, _ARITHMETIC[type(op)])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield module.mutant(*module.span(node), f"({ast.unparse(operand)})")
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if isinstance(
                test, ast.Name | ast.Attribute | ast.Call
            ):
                yield module.mutant(*module.span(test), f"(not {ast.unparse(test)})")
            case ast.Constant(value=bool(value)):
                yield module.mutant(*module.span(node), str(not value))
            case ast.Constant(value=int(value)):
                yield module.mutant(*module.span(node), str(value + 1))
            case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign():
                yield module.mutant(*module.span(node), "...")
            case ast.Call(func=func, args=[one, two, *_]) if all(isinstance(a, _NAMED) for a in (one, two)):
                if not (isinstance(func, ast.Name) and func.id in _OF_TYPES):
                    text = f"{ast.unparse(two)}, {ast.unparse(one)}"
                    yield module.mutant(module.span(one)[0], module.span(two)[1], text)
            case ast.Constant(value=str()) | ast.JoinedStr():
                if _SQL.search(module.text(*module.span(node))):
                    yield from _in_sql(module, *module.span(node))


def _in_sql(module: _Module, start: int, end: int) -> Iterator[Mutant]:
    text = module.text(start, end)

    def changed(found: re.Match[str], to: str) -> Mutant:
        begin = start + len(text[: found.start()].encode())
        return module.mutant(begin, begin + len(found[0].encode()), to)

    for pattern in (_CONDITION, _FIRST):  # a parameter has to stay, for its type
        conditions = [found for found in pattern.finditer(text) if not _FOR_THE_PLAN.search(found[0])]
        yield from (changed(found, f"({found[0]} OR true)") for found in conditions)
    yield from (changed(found, "") for found in _LOCK.finditer(text))
    operators = [found for found in _OPERATOR.finditer(text) if not text[: found.start()].endswith("id ")]
    yield from (changed(found, _OTHER[found[0]]) for found in operators)
    yield from (changed(found, "") for found in _ONE_OF_A_LIST.finditer(text))


def _is_text(*nodes: ast.expr) -> bool:
    return any(isinstance(n, ast.JoinedStr | ast.List | ast.Tuple) or _is_string(n) for n in nodes)


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """What runs: no annotations, decorators, docstrings, logs."""
    children = ast.iter_child_nodes(node)
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Expr(value=ast.Constant()) | ast.arg():
            return
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))) if name in _LOGS:
            return
        case ast.FunctionDef(name="__repr__" | "__str__" | "__len__"):
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            children = iter([*node.args.defaults, *(d for d in node.args.kw_defaults if d), *node.body])
        case ast.ClassDef():
            children = iter(node.body)
        case ast.AnnAssign():
            children = iter([node.value] if node.value else [])
        case ast.JoinedStr():
            children = iter(())
    yield node
    for child in children:
        yield from _walk(child)
