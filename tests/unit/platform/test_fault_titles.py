"""What faults are called that alarms have opened, in both languages."""

from __future__ import annotations

import pytest

from smsgw.core.carried import packed
from smsgw.core.words import english_of, labels_of
from smsgw.platform.faults.model import MOST_TITLE, title_of, title_said, titles_called


@pytest.mark.parametrize("kind", labels_of("alarm"))
def test_the_title_of_every_kind_of_alarm_is_told_in_both_languages(kind: str) -> None:
    named = labels_of("alarm")[kind]
    about, alone = title_said(title_of(kind, "channel/移动 A")), title_said(title_of(kind, ""))
    assert (str(about), english_of(about)) == (f"{named} 移动 A", f"移动 A: {named.english}")
    assert (str(alone), english_of(alone)) == (str(named), named.english)
    packed(about)  # it is part of what an alarm says


def test_titles_are_found_in_english_and_others_stay() -> None:
    named = str(labels_of("alarm")["channel_down"])
    for title in ("机房断电", f"{named}了", "channel is down"):
        assert title_said(title) == title
    assert len(str(title_said(title_of("channel_down", "channel/" + "a" * 200)))) == MOST_TITLE
    assert str(labels_of("alarm")["channel_down"]) in titles_called(" CHANNEL is down ")
    assert titles_called(" ") == []
