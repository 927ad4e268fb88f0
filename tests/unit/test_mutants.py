"""The mutants that ``scripts/mutate`` makes, and that a test meets them."""

from __future__ import annotations

from mutants import mutants
from mutating import ROOT, run

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


def test_a_mutant_is_killed_and_the_module_is_left_as_it_is() -> None:
    path = "smsgw/core/cells.py"
    before = (ROOT / path).read_bytes()
    one = next(mutants(path, before))
    became, by = run(["tests/unit/core/test_cells.py"], one)
    assert (became, by.partition("::")[0]) == ("killed", "tests/unit/core/test_cells.py")
    assert (ROOT / path).read_bytes() == before
