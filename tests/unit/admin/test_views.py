"""Small things that pages show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from jinja2 import UndefinedError

from smsgw.admin import words
from smsgw.admin.call import Call
from smsgw.admin.i18n import teller, translations
from smsgw.admin.kit.cells import plain
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.pages.home.figures import Flow
from smsgw.admin.pages.sending.preview import preview
from smsgw.admin.pages.sending.send import effect
from smsgw.admin.pages.sending.tasks import COLUMNS
from smsgw.admin.pages.sending.wizard import Step
from smsgw.admin.staticfiles import StaticFiles
from smsgw.admin.views import Views, china_time, duration
from smsgw.admin.words import provinces
from smsgw.core.errors import Invalid
from smsgw.core.states import STATUS_NAMES
from smsgw.core.words import chinese_of, phrase
from smsgw.platform.campaigns.model import Progress
from smsgw.platform.drafts.model import Kind, State


def test_figures_are_told_as_people_read_them(tmp_path) -> None:
    for seconds, text, chinese in (
        (0, "0 ms", ""), (0.0124, "12 ms", ""), (0.9996, "1.0 s", ""), (3.44, "3.4 s", ""),
        (125, "2 min 5 s", "2 分 5 秒"), (11400, "3 h 10 min", "3 小时 10 分"),
    ):  # fmt: skip
        assert duration(timedelta(seconds=seconds), translations("en").gettext) == text
        assert chinese in duration(timedelta(seconds=seconds))
    for statuses, shown in (  # what was cancelled of a task is no progress
        ({"delivered": 590, "failed": 10, "cancelled": 400}, "60% · 400 cancelled"),
        ({"delivered": 590, "submitted": 10, "cancelled": 1400}, "29% · 1,400 cancelled"),
        ({"cancelled": 3}, "0% · 3 cancelled"),
        ({"delivered": 3}, 100),
        ({}, ""),
    ):
        valid = sum(statuses.values())
        listed = SimpleNamespace(progress=Progress(valid, valid, 0, statuses))
        (column,) = (column for column in COLUMNS if column.key == "progress")
        assert plain(column, listed, teller("en")) == shown
    assert china_time(datetime(2026, 1, 1, 20, 0, tzinfo=UTC)) == "01-02 04:00:00"
    (tmp_path / "a.css").write_text("a{}")
    first = StaticFiles(tmp_path).url("a.css")
    (tmp_path / "a.css").write_text("b{}")
    assert StaticFiles(tmp_path).url("a.css") != first


def test_provinces_have_their_names_in_both_languages_and_are_found_by_either() -> None:
    english, chinese_ = teller("en"), teller("zh")
    assert len(provinces.PROVINCES) == 35, "the provinces, and abroad"
    for name in provinces.PROVINCES:
        assert provinces.said(name, english).isascii(), name
        assert provinces.said(name, chinese_) == name
        assert provinces.chinese(provinces.said(name, english).lower()) == provinces.chinese(name) == name
    assert provinces.said("山西", english) != provinces.said("陕西", english)
    assert provinces.said("火星", english) == provinces.chinese("火星") == "火星", "what we have no name for stays"
    assert provinces.Region("广东", "深圳").english == "Guangdong · 深圳"
    assert str(provinces.Region("北京", "")) == "北京"


def test_the_day_is_compared_until_its_last_whole_hour() -> None:
    now = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)  # half past ten in China
    midnight = datetime(2025, 12, 31, 16, tzinfo=UTC)
    day, hour = timedelta(days=1), timedelta(hours=1)
    flow = Flow.of(
        [(midnight, "submitted", 6), (midnight + 10 * hour, "submitted", 100), (midnight - day + hour, "submitted", 4),
         (midnight - day + 11 * hour, "submitted", 50), (midnight, "delivered", 3), (midnight, "failed", 1),
         (midnight - day, "delivered", 1), (midnight - day, "failed", 1)],
        now,
    )  # fmt: skip
    assert flow.today["submitted"] == [6, *[0] * 9, 100]
    assert (flow.yesterday["submitted"], flow.hours) == ([0, 4, *[0] * 9, 50, *[0] * 12], 10)
    assert flow.change("submitted") == 50.0  # 6 to 4: not the running hour, nor the later ones of yesterday
    assert flow.change("accepted") is None
    assert (flow.rate_change(), len(flow.spark("submitted").split())) == (25.0, 11)
    assert flow.spark("accepted") == ""


def test_a_text_is_previewed_as_the_phone_will_show_it_and_its_effect_adds_up() -> None:
    for sign, text, parts in (
        ("市政服务", "好" * 64, 1), ("市政服务", "好" * 65, 2), ("", "a" * 160, 1), ("", "a" * 161, 2), ("", "", 0),
    ):  # fmt: skip
        assert preview(sign, text).parts == parts  # 6 + 64 = 70
    assert (preview("", "a" * 160).coding, preview("另一个", "【市政服务】你好").text) == ("gsm7", "【市政服务】你好")
    emoji = preview("", "好" * 69 + "😀")
    assert (emoji.characters, emoji.double, emoji.parts) == (71, 1, 2), "as parts and the API's units count"
    euro = preview("", "a" * 159 + "€")
    assert (euro.characters, euro.parts) == (161, 2)
    assert preview("市政服务", "x\ud800").characters == 8  # half a character does not break the page
    good = {  # the effect adds up
        "verdict": "accepted", "carrier": "CMCC", "parts": 2, "price": 2, "to": "+8613800138000", "coding": "ucs2",
        "code": "OK",
    }  # fmt: skip
    got = effect(
        [
            good,
            good | {"carrier": "CTCC", "parts": 1, "price": 1, "coding": "gsm7"},
            {"verdict": "rejected", "to": "+8613800138001", "code": "NUMBER_INVALID", "message": "…"},
            good | {"verdict": "refused", "carrier": "CUCC", "code": "NO_ROUTE"},
        ],
        english=True,
    )
    assert (got.numbers, got.parts, got.price, got.each) == (2, 3, 3, (1, 2))
    assert got.codings == ("gsm7", "ucs2")
    assert dict(got.carriers) == {"CMCC": 1, "CTCC": 1}
    assert got.refused == (("8613800138001", "Invalid phone number"),)
    assert got.blocked == ("CUCC",)


def test_what_is_shown_is_told_and_confirmed() -> None:
    env = Views(StaticFiles())._environments["zh"]
    assert env.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError):
        env.from_string("{{ nobody }}").render()
    in_full_width = str.maketrans("()", "（）")  # statuses read as in the api
    assert {key: zh.translate(in_full_width) for key, zh in chinese_of("status").items()} == words.STATUS
    assert words.STATUS_COLOUR.keys() == STATUS_NAMES.keys() == words.EXPLANATION.keys()
    for code, shown in (  # a long code of ours may break after an underscore
        ("NUMBER_OPTED_OUT", '<code class="wraps">NUMBER_<wbr>OPTED_<wbr>OUT</code>'),
        ("DELIVRD", "<code>DELIVRD</code>"),
        ("ak_live_22bed605d01b26a5", "<code>ak_live_22bed605d01b26a5</code>"),
        ("RATE_<B>_LIMITED", '<code class="wraps">RATE_<wbr>&lt;B&gt;_<wbr>LIMITED</code>'),
    ):
        cell = Views(StaticFiles())._environments["zh"].get_template("ui/cell.html")
        assert str(cell.module.coded(code)) == shown  # type: ignore[attr-defined]
    assert [Effect("", found).idle for found in ({"n": "0"}, {"n": 0}, {"n": 3}, {"waiting": "0"})] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not Effect("", {"n": "0"}, option="也发给 %(dead)s 个").idle, "there is something to choose"
    assert "send_at" not in refused("send_at")
    assert "计划时间" in refused("send_at")
    assert "来源地址" in refused("address")
    assert "接收地址" in refused("address", {"address": "note_hook"}), "of the form, not of another page"

    def at(key: str, **state: Any) -> list[int]:
        draft = cast(Any, SimpleNamespace(id=1))
        return Step(CALL, key, draft, Kind.SAME, State(content="您好", to="13800138000", **state), "k").done

    assert (at("confirm"), at("confirm", rate="5"), at("audience")) == ([1, 2], [1, 2, 3], [1])


CALL = cast(Call, SimpleNamespace(language="zh", gettext=lambda text: text))


def refused(field: str, labels: dict[str, str] | None = None) -> str:
    return refusal(CALL, Invalid("PARAM_INVALID", field=field, reason=phrase("draft.choose")), labels or {})
