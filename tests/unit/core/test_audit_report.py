"""What a verification of the audit log says: few lines, and nothing left out of the verdict."""

from __future__ import annotations

from smsgw.core.audit import MAX_PROBLEMS, Report


def test_neighbours_of_a_kind_are_one_problem() -> None:
    report = Report()
    report.add("deleted", 5)
    report.add("deleted", 6)
    report.add("gap", 7, last=9)
    report.add("gap", 10, last=12)
    report.add("gap", 14)
    report.add("edited", 15)
    report.add("edited", 16, "by hand")
    spans = [(p.kind, p.first, p.last, p.detail) for p in report.problems]
    assert spans == [
        ("deleted", 5, 6, ""), ("gap", 7, 12, ""), ("gap", 14, 14, ""), ("edited", 15, 15, ""),
        ("edited", 16, 16, "by hand"),
    ]  # fmt: skip
    assert str(report.problems[1]).startswith("links 7 to 12 are missing")


def test_what_is_not_told_one_by_one_is_counted_and_not_taken_for_known() -> None:
    report = Report()
    for number in range(MAX_PROBLEMS + 3):
        report.add("edited", 2 * number)
    report.add("edited", 2 * (MAX_PROBLEMS - 1) + 1)
    assert (len(report.problems), report.more) == (MAX_PROBLEMS, 3), "the last one was a neighbour"
    for problem in report.problems:
        problem.known = "li"
    assert not report.sound
    report.more = 0
    assert report.sound
