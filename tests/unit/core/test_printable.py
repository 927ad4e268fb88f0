"""What may stand in a text of several lines."""

from __future__ import annotations

from smsgw.core.printable import lines_printable


def test_a_text_of_several_lines_has_breaks_tabs_and_wide_blanks_and_nothing_unseen() -> None:
    assert lines_printable("\u3000\u3000您好，\n\t已查明\u00a0。")
    assert not any(lines_printable(f"好{unseen}") for unseen in "\0\x1b\u202e\ufeff")
