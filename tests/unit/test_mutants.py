"""The mutants that ``scripts/mutate`` makes, and that a test meets them."""

from __future__ import annotations

import ast

import pytest
from mutants import mutants
from mutating import ROOT, near, run
from rights import drawn, faults

SOURCE = b'''
LIMIT = 5

def over(n: int = 0) -> bool:
    """More than 4."""
    log.info("asked", n=1)
    if n < 0 and not quiet:
        complain(n, "x")
    return n > LIMIT

_SQL = """
SELECT id FROM part WHERE id = $1 AND account_id = ANY($2) AND state IN (10, 11) AND id >= $3 ORDER BY id FOR UPDATE
"""
'''


def test_the_mutants_of_a_module() -> None:
    found = [str(one).partition(" ")[2] for one in mutants("x.py", SOURCE)]
    assert found == [
        "`5` → `6`", "`0` → `1`",
        "`n < 0 and not quiet` → `(not quiet)`", "`n < 0 and not quiet` → `(n < 0)`", "`<` → `<=`", "`0` → `1`",
        "`not quiet` → `(quiet)`", '`complain(n, "x")` → `...`', "`>` → `>=`",
        "`account_id = ANY($2)` → `(account_id = ANY($2) OR true)`",
        "`state IN (10, 11)` → `(state IN (10, 11) OR true)`", "`id = $1` → `(id = $1 OR true)`",
        "`FOR UPDATE` → ``", "`10,` → ``",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["smsgw/core/guard.py", "smsgw/store/messages/claiming.py"])
def test_every_mutant_of_ours_is_a_program(path: str) -> None:
    source = (ROOT / path).read_bytes()
    made = list(mutants(path, source))
    assert len(made) > 50
    assert len(set(made)) == len(made)
    for one in made:
        compile(one.apply(source), path, "exec", dont_inherit=True)


def test_tests_that_are_near() -> None:
    first, second = near("smsgw/core/bucket.py")
    assert first[0] == "tests/unit/core/test_bucket.py"
    assert first[-1].startswith("tests/property")
    assert "tests/unit/core/test_guard.py" in second


def test_a_mutant_is_killed_and_the_module_is_left_as_it_is() -> None:
    path = "smsgw/core/cells.py"
    before = (ROOT / path).read_bytes()
    one = next(mutants(path, before))
    became, by = run(["tests/unit/core/test_cells.py"], one)
    assert (became, by.partition("::")[0]) == ("killed", "tests/unit/core/test_cells.py")
    assert (ROOT / path).read_bytes() == before


def test_faults_in_rights_are_the_same_with_the_same_seed() -> None:
    every = faults(ROOT)
    assert {kind for kind, some in every.items() if len(some) < 20} == set(), "the code is written otherwise now"
    chosen = drawn(every, 1, 8)
    assert [kind for kind, _ in chosen] == ["page", "operation", "scope", "role"] * 2
    assert chosen == drawn(faults(ROOT), 1, 8) != drawn(every, 2, 8)
    for _, fault in chosen:
        source = (ROOT / fault.path).read_bytes()
        assert fault.apply(source) != source
        if fault.path.endswith(".py"):
            ast.parse(fault.apply(source))
