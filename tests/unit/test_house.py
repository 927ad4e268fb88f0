"""The rules of the house that a program can check: lint, types, layers, declared dependencies."""

from __future__ import annotations

import ast
import configparser
import re
import string
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from source_trees import dotted, forgotten, modules, nodes, parsed

from smsgw.core import words as catalogue
from smsgw.core.alarm_rules import KINDS
from smsgw.core.errors import CODES
from smsgw.core.words import alarm_rules, alarms, business, interface, output, reasons

__all__ = ("forgotten",)
ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "smsgw"
SERVING = "smsgw/web/serving.py"


def seen(holds: Callable[[Any], object], *folders: Path) -> list[str]:
    """Where in the modules of folders a node is so, and what it says."""
    return [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path, tree in modules(*folders or (PACKAGE,))
        for node in nodes(tree)
        if holds(node)
    ]


def run(*command: str) -> str:
    """Run one tool of the virtual environment on the checkout; its output when it has something to say."""
    done = subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    return "" if done.returncode == 0 else f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports", "--no-cache")],
    ids=lambda command: " ".join(command[:2]),
)
@pytest.mark.slow
def test_tool_has_nothing_to_say(command: tuple[str, ...]) -> None:
    said = run(*command)
    assert not said, said


def test_nothing_loses_its_cancellation_or_looks_at_another_clock() -> None:
    """Before Python 3.12 ``asyncio.wait_for`` swallows a cancellation that comes together with the result, and who
    cancelled waits for ever. ``asyncio.timeout`` does not."""
    assert seen(lambda node: isinstance(node, ast.Attribute) and dotted(node) == "asyncio.wait_for") == []
    # ``smsgw.runtime.clock``; in ``core`` and ``protocols`` ``now`` is an argument.
    found = seen(lambda node: isinstance(node, ast.Attribute) and dotted(node).endswith(CLOCKS))
    assert [one for one in found if not one.removeprefix("smsgw/").startswith(OWN_TIME)] == []


def requirements(*where: tuple[str, str]) -> list[str]:
    """The names that sections of setup.cfg require, as they are written there."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return [re.split(r"[<>=!~; ]", line)[0] for part, key in where for line in config[part][key].split()]


RUN_TIME = ("options", "install_requires")
EXTRAS = "options.extras_require"


def test_dependencies_are_declared_and_explained() -> None:
    for folder, where in ((PACKAGE, (RUN_TIME,)), (ROOT / "tests", (RUN_TIME, (EXTRAS, "test"), (EXTRAS, "fuzz")))):

        def plain(name: str) -> str:
            return name.lower().replace("_", "-")

        declared = {plain(name) for name in requirements(*where)}
        ours = {"smsgw"} | {path.stem for path in (ROOT / "tests").rglob("*.py")}
        distributions = packages_distributions()
        undeclared = set()
        for path, tree in modules(folder):
            for node in nodes(tree):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module]
                for name in {n.partition(".")[0] for n in names} - ours - sys.stdlib_module_names:
                    if not declared & {plain(d) for d in distributions.get(name, [name])}:
                        undeclared.add(f"{path.relative_to(ROOT)} imports {name}")
        assert not undeclared, undeclared
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")  # every dependency is explained
    extras = [(EXTRAS, name) for name in ("embedded", "test", "dev", "fuzz")]
    for name in requirements(RUN_TIME, *extras):
        assert f"`{name}`" in text, f"docs/dependencies.md says nothing of {name}"


BUCKETS = {
    "smsgw/core/guard.py",  # Buckets: by address, user and the like, with a limit
    "smsgw/core/pacing.py",  # a channel's submits
    "smsgw/api/auth.py",  # requests of a key, at the key's rate
    "smsgw/partners/service.py",  # destinations of a partner, at the partner's rate
    "smsgw/simulator/carrier.py",  # submits that a simulated carrier takes
}
"""Who makes a ``TokenBucket``. Limits by what outsiders choose (addresses, names) are ``Buckets`` of ``core/guard``."""


def _named(name: str) -> set[str]:
    """Modules that use a name, as a variable, an attribute or a header."""
    return {
        str(path.relative_to(ROOT))
        for path, tree in modules(PACKAGE)
        for node in nodes(tree)
        if (isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == name)
        or (isinstance(node, ast.Constant) and node.value == name)
    }


SPEAK_OF_ROWS = {"Exception", "BaseException", "PostgresError", "InterfaceError", "CONFLICT"}


def _shows_its_text(handler: ast.ExceptHandler) -> Iterator[ast.AST]:
    """Where a handler writes an error that it has caught, of whatever kind."""
    known = {  # it is one of ours there
        below
        for node in ast.walk(handler)
        if isinstance(node, ast.IfExp | ast.If) and "isinstance" in ast.unparse(node.test)
        for below in ast.walk(node)
    }
    for node in ast.walk(handler):
        value: ast.AST | None = None
        if isinstance(node, ast.FormattedValue):
            value = node.value
        elif isinstance(node, ast.Call) and dotted(node.func) in ("str", "repr", "printable") and node.args:
            value = node.args[0]
        if isinstance(value, ast.Name) and value.id == handler.name and node not in known:
            yield node


def _may_be_the_databases(handler: ast.ExceptHandler) -> bool:
    if handler.name is None or handler.type is None:
        return False
    caught = {dotted(one) for one in ast.walk(handler.type)}
    return any(name.startswith("asyncpg.") or name.rpartition(".")[2] in SPEAK_OF_ROWS for name in caught)


def test_errors_of_the_database_are_shown_without_their_values() -> None:
    """What PostgreSQL says of an error has the row in it (``smsgw.runtime.log.safe``)."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(shown)}"
        for path, tree in modules(PACKAGE)
        for node in nodes(tree)
        if isinstance(node, ast.ExceptHandler) and _may_be_the_databases(node)
        for shown in _shows_its_text(node)
    ]
    assert found == []


def test_what_is_done_in_one_place() -> None:
    for name, modules_of_it in (
        *((name, {SERVING}) for name in (
           "client_address", "X-Forwarded-For", "X-Frame-Options", "X-Content-Type-Options", "Permissions-Policy",
           "Strict-Transport-Security",
        )), ("TokenBucket", BUCKETS),
    ):  # fmt: skip
        assert _named(name) == modules_of_it
    asked = seen(lambda node: isinstance(node, ast.Attribute) and node.attr == "remote")
    assert {one.partition(":")[0] for one in asked} == {SERVING}
    defined = {  # there is one kind of bucket
        f"{path.relative_to(ROOT)} {node.name}"
        for path, tree in modules(PACKAGE)
        for node in nodes(tree)
        if isinstance(node, ast.ClassDef) and re.search("Bucket|Limiter|Throttle", node.name)
    }
    assert defined == {"smsgw/core/bucket.py TokenBucket", "smsgw/core/guard.py Buckets"}


WIRED = [PACKAGE / name for name in ("pipeline", "platform", "channels", "partners")]
MOST_PARAMETERS = 10


def constructors() -> Iterator[tuple[str, ast.arguments]]:
    for path, tree in modules(*WIRED):
        for found in nodes(tree):
            if isinstance(found, ast.FunctionDef) and found.name == "__init__":
                yield f"{path.relative_to(ROOT)}:{found.lineno}", found.args


def test_constructors_take_few_parameters_and_switch_nothing_off() -> None:
    found = {
        where: n
        for where, args in constructors()
        if (n := len(args.posonlyargs) + len(args.args) + len(args.kwonlyargs) - 1) > MOST_PARAMETERS
    }
    assert not found, found
    # A check that is left out by leaving out an argument is missed by nobody: it has no default that means nothing.
    found = {  # no constructor has a default that switches something off
        (where, name, ast.unparse(default))
        for where, args in constructors()
        for name, default in _defaults(args)
        if isinstance(default, ast.Lambda) or ast.unparse(default) in NOTHING
    }
    assert {(where.partition(":")[0].removeprefix("smsgw/"), name) for where, name, _ in found} == EMPTY, found

    def patches(node: ast.AST) -> bool:  # a node is not patched after it was built
        named = [target for target in _targets(node) if isinstance(target, ast.Attribute)]
        return any(not (isinstance(one.value, ast.Name) and one.value.id == "self") for one in named)

    assert seen(patches, PACKAGE / "node") == []


NOTHING = {"None", "()", "[]", "{}", "False", "set()", "frozenset()", "MappingProxyType({})"}
EMPTY = {
    *(("pipeline/numbering.py", name) for name in ("accounts", "access_codes", "extensions")),
    *(("pipeline/snapshot.py", name) for name in ("accounts", "keys")),
    ("platform/campaigns/chunk_guard.py", "retry_at"),
    ("platform/change.py", "ids"),
}
"""Defaults of constructors that mean nothing and switch nothing off: tables with nothing in them yet, a row that is
tried once, ids that it is an error to ask for then."""


def _defaults(args: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    plain = [*args.posonlyargs, *args.args]
    for arg, default in zip(plain[len(plain) - len(args.defaults) :], args.defaults, strict=True):
        yield arg.arg, default
    for arg, given in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if given is not None:
            yield arg.arg, given


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []


OWN_TIME = ("simulator", "bench", "api/manual", "runtime/clock.py", "store/engine/embedded.py")
"""Other programs than the daemon; the clock itself; what compares with the times of files."""


CLOCKS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns")
DAYS = ROOT / "tests" / "days.py"


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """All of a module but the bodies of its functions; decorators and defaults are run with the rest."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        asked = [*getattr(node, "decorator_list", ()), *node.args.defaults, *filter(None, node.args.kw_defaults)]
    else:
        yield node
        asked = list(ast.iter_child_nodes(node))
    for below in asked:
        yield from run_at_import(below)


def asked_at_import(tree: ast.Module) -> Iterator[int]:
    """Lines that ask for the time when a module is imported, themselves or by a function that stands before them."""
    known = {*CLOCKS, "clock.now"} | {node.name for node in parsed(DAYS).body if isinstance(node, ast.FunctionDef)}

    def asks(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and ".".join(dotted(node.func).split(".")[-2:]) in known

    for line in tree.body:
        if isinstance(line, ast.If) and dotted(next(ast.iter_child_nodes(line.test), line)) == "__name__":
            continue  # a script, run
        yield from (node.lineno for node in run_at_import(line) if isinstance(node, ast.Call) and asks(node))
        if isinstance(line, ast.FunctionDef):
            called = (node for within in line.body for node in run_at_import(within))
            known |= {line.name} if any(asks(node) for node in called) else set()


def test_no_test_is_of_the_day_on_which_it_was_read() -> None:
    """A run may pass midnight: what is made of the time when a module is imported is of yesterday then."""
    found = [
        f"{path.relative_to(ROOT)}:{line}" for path, tree in modules(ROOT / "tests") for line in asked_at_import(tree)
    ]
    assert found == []
    for text in (  # the time of an import is seen and that of a test is its own
        "TODAY = datetime.now(UTC).date()",
        "DAYS = [date.today() + timedelta(days=n) for n in (0, 1)]",
        "class Clock:\n    now: datetime = noon()",
        "async def last(day=today()): ...",
        "@pytest.mark.parametrize('day', [datetime.datetime.now()])\ndef test_x(day): ...",
        "def due():\n    return noon()\n\nDUE = due()",
    ):
        assert len(list(asked_at_import(ast.parse(text)))) == 1, text
    text = "class Clock:\n    now = field(default_factory=noon)\n    def at(self):\n        return today()"
    assert list(asked_at_import(ast.parse(text))) == []


def test_names_are_given_once_and_long_tables_are_not_locked() -> None:
    """Two test modules of one name break the collection; of two migrations with one number the second is never applied
    to a database that has the first."""
    for of in (
        lambda: [path.name for path in (ROOT / "tests").rglob("test_*.py")],
        lambda: [path.name[:4] for path in (PACKAGE / "store" / "migrations").iterdir()],
    ):
        assert [name for name, n in Counter(of()).items() if n > 1] == []
    # Until its transaction ends nobody else can write it: days have theirs one by one, other tables CONCURRENTLY.
    wrong = re.compile(rf"CREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)\S+\s+ON\s+({LONG})\s*[(U]")
    found = [
        f"{path.name}: {match[0]}"
        for path in sorted(
            (PACKAGE / "store" / "migrations").glob("*.sql")
        )  # but for the baseline: nobody waits for it
        for match in wrong.finditer(path.read_text("utf-8"))
    ]
    assert not found


LONG = "message|part|attempt|event|customer_event|webhook_attempt|partner_part|evidence|ledger|audit"
"""Tables of millions of rows, all of which are written all the time."""


EDGES = [PACKAGE / name for name in ("commands", "api", "admin", "web")]
ASKING = {"acquire", "execute", "fetch", "fetchrow", "fetchval", "snapshot", "transaction"}
"""What a database can be asked to do. An edge may hold one, to pass it on."""
HOLDING = re.compile(r"(^|\.)(db|database|connection)$")


def asks(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    held = isinstance(called, ast.Attribute) and called.attr in ASKING
    return held and bool(HOLDING.search(ast.unparse(called.value)))


def test_the_database_is_asked_below_the_edges_and_left_as_it_was() -> None:
    assert seen(asks, *EDGES) == []
    assert all(asks(ast.parse(text, mode="eval").body) for text in ("ctx.db.fetch(x)", "database.transaction()"))
    # Connections of the pool go from one to the next as they are.
    left = re.compile(  # nothing is left in a session of the pool
        r"[\"';] ?SET (?!LOCAL|TRANSACTION)|pg_advisory_lock|set_config\(|LISTEN [a-z]|CREATE TEMP|CURSOR FOR"
        r"|add_listener|set_type_codec"
    )
    own = {  # connections of their own; the pool's own setting, which it takes back
        "store/engine/cluster_roles.py", "store/engine/migrate.py", "store/engine/database.py",
    }  # fmt: skip
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if left.search(path.read_text())}
    assert found == own


STATE_NUMBER = re.compile(
    r"\b(?:\w+\.)?(?:\w+_)?state(?:::\w+)?\s*(?:"
    r"(?:=|<>|!=|<=|>=|<|>|(?:NOT )?IN|(?:NOT )?BETWEEN|IS (?:NOT )?DISTINCT FROM)\s*\(?\s*\d"
    r"|(?:=|<>)\s*(?:ANY|ALL)\s*\(\s*(?:'\{|ARRAY\[)\s*\d)"
    r"|\b\d+\s*(?:=|<>)\s*(?:\w+\.)?state\b|\bCASE (?:\w+\.)?state WHEN \d"
    r"|\bstate = CASE\b(?:(?!\bEND\b).)*\b(?:THEN|ELSE) \d+\b"
)


def statements(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module, each on one line, however it is put together."""
    for node in nodes(tree):
        match node:
            case ast.Constant(value=str() as text):
                yield node.lineno, " ".join(text.split())
            case ast.JoinedStr(values=parts):
                said = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
                yield node.lineno, " ".join("".join(said).split())


def test_states_stand_in_statements_by_their_names() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {seen[0]}"
        for path, tree in modules(PACKAGE)
        for line, text in statements(tree)
        if (seen := STATE_NUMBER.search(text))
    ]
    assert not found, found
    for statement in (  # a number of a state is seen
        "SELECT 1 FROM part WHERE\n    state\n    = 40", "WHERE p.state IN (40, 41)", "WHERE state = ANY('{10,20}')",
        "WHERE state NOT BETWEEN 10 AND 20", "SET state = CASE WHEN x THEN {a} ELSE 41 END",
        "CASE p.state WHEN 40 THEN 1", "WHERE 40 = p.state", "WHERE old_state IS DISTINCT FROM 3",
        "WHERE state = ANY (ARRAY[1, 2])",
    ):  # fmt: skip
        ((_, text),) = statements(ast.parse(repr(statement)))
        assert STATE_NUMBER.search(text), statement


ACTING = {"submitter", "decided_by", "done_by", "acked_by", "emergency_by"}


def _annotated(node: ast.AST) -> list[tuple[str, ast.expr]]:
    if isinstance(node, ast.arg) and node.annotation is not None:
        return [(node.arg, node.annotation)]
    if isinstance(node, ast.AnnAssign):
        return [(ast.unparse(node.target).rpartition(".")[2], node.annotation)]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
        return [(node.name, node.returns)]
    return []


def test_modules_give_a_constant_once_and_need_not_themselves() -> None:
    """Imports between modules make no circle, those for types alone included: each can be read on its own."""
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): tree
        for path, tree in modules(PACKAGE)
    }
    TopologicalSorter({name: imported(tree, names.keys()) - {name} for name, tree in names.items()}).prepare()
    # The second would win without a word, also where the first was meant.
    for path, tree in modules(PACKAGE):  # no module gives a constant twice
        targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
        names = Counter(target.id for target in targets if isinstance(target, ast.Name))
        assert [name for name, n in names.items() if n > 1] == [], path
    todo = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")  # no module says todo
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if todo.search(line)
    ]
    assert not found, found


def imported(tree: ast.Module, names: Collection[str]) -> set[str]:
    found = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & set(names) or {node.module}
    return found & set(names)


WORDS = ("core/words/", "admin/words", "api/words")
"""Where sentences have their home, and Chinese that is data (core/words/chinese_lexicon.py, samples.py)."""
HAN = re.compile("[\u3400-\u9fff]")


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module, those left out that only say something to its reader."""
    said = {
        id(line.value)
        for node in nodes(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for line in node.body
        if isinstance(line, ast.Expr)
    }
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


def test_sentences_stand_in_the_modules_of_words() -> None:
    """``call.gettext(…) % values`` would show the reader "1 row(s) (waits|wait)": ``call.filled`` chooses."""
    pages = [*(PACKAGE / "admin" / "pages").rglob("*.py"), *(PACKAGE / "admin" / "kit").rglob("*.py")]
    found = [f"{path.name}: {line.strip()}" for path in pages for line in path.read_text().splitlines()
             if re.search(r"call\.gettext\([^()]*\) %", line)]  # fmt: skip
    assert found == []
    found: dict[str, list[int]] = {}  # chinese stands in the modules of words
    for path, tree in modules(PACKAGE):
        name = str(path.relative_to(PACKAGE))
        lines = [line for line, text in literals(tree) if HAN.search(text)]
        if lines and not name.startswith(WORDS):
            found[name] = lines
    assert found == {}
    # What they show is in the page that they belong to, in its language.
    found = {  # scripts say nothing themselves
        f"{path.name}:{number}"
        for path in (PACKAGE / "admin" / "static" / "js").rglob("*.js")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if HAN.search(line) or re.search(r"\\u(?:\{)?[3-9][0-9a-fA-F]{3}\b", line)
    }
    assert found == set()


def calls_of(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in nodes(tree):
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in names:
            yield node


def choices(node: ast.expr) -> Iterator[str]:
    """The texts that an argument may be, as far as it shows."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from choices(node.body)
        yield from choices(node.orelse)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_catalogue_has_every_phrase_and_no_other() -> None:
    wrong = []
    for path, tree in modules(PACKAGE):
        for call in calls_of(tree, "phrase"):
            given = {word.arg for word in call.keywords}
            for key in choices(call.args[0]) if call.args else ():
                where = f"{path.relative_to(ROOT)}:{call.lineno} {key}"
                if key not in catalogue.PHRASES:
                    wrong.append(f"{where}: not in the catalogue")
                elif None not in given and given != places(catalogue.PHRASES[key][0]):
                    wrong.append(f"{where}: given {given}, said {places(catalogue.PHRASES[key][0])}")
        for call in calls_of(tree, "label", "labels_of", "chinese_of"):
            wrong += [f"{path}:{call.lineno}" for kind in choices(call.args[0]) if kind not in catalogue.LABELS]
    assert not wrong, "\n".join(wrong)
    used = {  # the catalogue has no words that nobody says
        text
        for path, tree in modules(PACKAGE)
        if not str(path.relative_to(PACKAGE)).startswith("core/words/")
        for _, text in literals(tree)
    }
    used |= {f"alarm_rule.{kind}" for kind in KINDS}  # what a rule looks for
    assert (set(catalogue.PHRASES) - used, set(catalogue.LABELS) - used) == (set(), set())
    assert set(catalogue.CODES) - used == set()
    every = [*catalogue.CODES.items(), *catalogue.PHRASES.items(), *catalogue.FINDINGS.items()]
    every += [(f"{kind}.{value}", both) for kind, of in catalogue.LABELS.items() for value, both in of.items()]
    wrong = [
        key
        for key, (chinese, english) in every
        if places(chinese) != places(english) or not chinese or not english or HAN.search(english)
    ]
    assert not wrong, wrong
    parts = (reasons, business, interface, output, alarms, alarm_rules)
    assert sum(len(part.WORDS) for part in parts) == len(catalogue.PHRASES), "a key stands twice"
    assert set(catalogue.CODES) == set(CODES)


WRITES = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE (?!SKIP|OF\b|NOWAIT)\w)")
STORE = re.compile(r"^(store|audit|events)\.(insert|append|record|add|put|set|change|imported)\w*$")
ITSELF = """
alarms/notes.py:claim alarms/notes.py:end alarms/notes.py:lose audience/saved.py:count_of audit/readings.py
campaigns/feeder.py campaigns/importer.py campaigns/service.py:finish campaigns/stage_watch.py links/counting.py
calls/queries.py campaigns/uploads.py campaigns/worker.py change.py channels/checks.py:tell channels/checks.py:run
accounts/reminders.py content/reminders.py drafts/service.py:found drafts/service.py:look_again
exports/service.py:_count health/service.py:next_ health/sizes.py:step jobs/queries.py links/clicks.py:_enter_unkept
links/clicks.py:_store files/queries.py links/sending.py:take links/sending.py:give_back links/sending.py:told
load_tests/queries.py login/passkeys.py:check login/pending.py numbers/filters.py:settle numbers/filters.py:_fill
numbers/filters.py:_ask org/factors.py org/failed_logins.py org/sessions.py walls/service.py:seen
statements/service.py:next_ sheets/queries.py
""".split()
"""What of ``platform`` writes without a ``Change``, as nobody has wished it of a service: it is done by the clock, by a
job or an engine, as a check or a survey goes; or it is a login, which has entries of its own."""


def _writing(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions that write by a statement, of their own or of the module's, or by the store."""
    named = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        if any(WRITES.search(text) for _, text in statements(node.value))
        for target in _targets(node)
        if isinstance(target, ast.Name)
    }
    for function in nodes(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            within = [node for line in function.body if not _only_said(line) for node in ast.walk(line)]
            if any(
                (isinstance(node, ast.Name) and node.id in named)
                or (isinstance(node, ast.Call) and STORE.match(dotted(node.func)))
                or (isinstance(node, ast.Constant) and isinstance(node.value, str) and WRITES.search(node.value))
                for node in within
            ):
                yield function


def _only_said(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def test_whoever_changes_something_says_who_wishes_it() -> None:
    """What begins a transaction of its own does so in a unit of a ``Change``; what is given a connection is within one,
    or within that of who is listed here."""
    found = set()
    for path, tree in modules(PACKAGE / "platform"):
        for function in _writing(tree):
            args = [*function.args.args, *function.args.kwonlyargs]
            kinds = {ast.unparse(arg.annotation) for arg in args if arg.annotation is not None}
            if not kinds & {"Change", "Unit", "Connection"}:
                found.add(f"{path.relative_to(PACKAGE / 'platform')}:{function.name}")
    assert {name for name in found if not {name, name.partition(":")[0]} & {*ITSELF}} == set()
    assert {name for name in ITSELF if not any(one.startswith(name) for one in found)} == set()

    # ``Unit.record`` takes what a thing was before as it is given: whoever changes something gives it.
    def untold(node: ast.AST) -> bool:  # what is changed is told as it was before
        match node:
            case ast.Call(func=ast.Attribute(attr="record"), args=[action, _], keywords=named):
                given = {word.arg for word in named}
                return "before" not in given and None not in given and not _happens(action)
        return False

    assert seen(untold, PACKAGE / "platform") == []
    found = [  # who acts is no string
        f"{path.relative_to(ROOT)}:{annotation.lineno} {name}: {ast.unparse(annotation)}"
        for path, tree in modules(PACKAGE)
        for node in nodes(tree)
        for name, annotation in _annotated(node)
        if (text := {part.strip() for part in ast.unparse(annotation).split("|")}) and "str" in text
        if "actor" in name.split("_") or name in ACTING or text & {"Actor", "Author", "ActorLabel"}
        if PACKAGE / "api" not in path.parents  # its models are what stands in JSON
    ]
    assert not found, found


NOTHING_BEFORE = """
account.topup alarm.ack alarm_receiver.test allow.import audience.members audit.verify block.import block.remove
brand.certificate call.try brand.picture channel.check channel.probe channel.record channel.remove complaint.add
consent.give consent.import consent.proof contact.import contact.put events.redeliver evidence.verify export.fetch
export.link export.request fact.retry factor.begin factor.emergency factor.reset fault.back fault.close report.rematch
fault.join fault.note fault.open fault.respond filter.ask filter.begin inbound.reply inbound.seen inbox.read
key.retire key.rotate key_file.reseal load_test.begin lift.ask link.file link.proof message.read message.resend
message.resolve message.verify notice.publish number.import number_status.import backup.begin backup.restore
diagnostics.fetch diagnostics.request diagnostics.take health_mail.ask number_status.remove numbers.unmask
partner.kick password.change prefix.import report.spelling route.draft_begin route.publish route.submit send
session.end setting.ask short_link.codes short_link.judge short_link.make sign.proof staff.import
staff.import_passwords staff.reset staff.unlock support_contact.add rebate.rule statement.take statistics.recount
ticket.open ticket.say ticket.take undo.ask wall.open word.import word.put
""".split()
"""Actions that happen: nothing was otherwise before, it is a secret, or a version of its own, or too many rows."""


def test_jobs_that_read_what_lies_on_their_node_are_bound_to_it() -> None:
    """Another node's anchors, logs and folders say nothing of the one that was meant."""

    def loose(node: ast.AST) -> bool:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            return False
        local = any(a.annotation and ast.unparse(a.annotation) in LOCAL for a in _arguments(node))
        return local and not all(any(w.arg == "bound" for w in c.keywords) for c in calls_of(node, "JobKind"))

    assert seen(loose) == []


LOCAL = {"Path", "Bundles"}


def _arguments(node: ast.FunctionDef | ast.ClassDef) -> list[ast.arg]:
    """Those of a function, or of what a class is made with."""
    if isinstance(node, ast.FunctionDef):
        return [*node.args.args, *node.args.kwonlyargs]
    makers = [made for made in node.body if isinstance(made, ast.FunctionDef) and made.name == "__init__"]
    return [argument for made in makers for argument in _arguments(made)]


def _happens(action: ast.expr) -> bool:
    """Whether it makes something, or is told of without a before."""
    name = ast.unparse(action)
    if isinstance(action, ast.Constant):
        name = str(action.value)
    return name in NOTHING_BEFORE or name.endswith(".add") or name in ("ACCEPT", "action")
