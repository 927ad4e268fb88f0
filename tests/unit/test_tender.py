"""``docs/tender.md``: every requirement once, and what is said to show it is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import portal_walk

from smsgw.admin.kit import discovery
from smsgw.api.routes import ROUTES
from smsgw.cli import _HOME

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "tender.md").read_text("utf-8")
REQUIREMENTS = """
S0.1 S0.2 S0.3 S1.1 S1.2a S1.2b S1.2c S1.2d S2.1 S2.1a S2.1b S2.1c S2.1d S2.1e S2.1f S2.1g S2.1h S2.1i S2.1j S2.2a
S2.2b S2.2c S2.2d S2.2e S2.2f S2.2g S3 S4.a S4.b S4.c S4.d S4.e S4.f S4.g S4.h S4.i S4.j S4.k S4.l S4.m S4.n1 S4.n2
S4.1a S4.1b S4.1c S5.0a S5.0b S5.1a S5.1b S5.2a S5.2b S5.2c S5.3 S5.4 S5.5a S5.5b S6.0 S6.1a S6.1b S6.1c S6.1d S6.1e
S6.1f S6.1g S6.1h S6.1i S6.2a S6.2b S6.2c S6.3 S6.4a S6.4b S6.5 S6.6a S6.6b S7.1a S7.1b S7.1c S7.1d S7.2a S7.2b S7.2c
S7.3a S7.3b S7.3c S7.3d S7.3e S7.3f S7.3g S7.4a S7.4b S7.4c S7.4d S7.4e S7.4f S7.4g S7.5a S7.5b S7.5c S7.6a S7.6b S7.7a
S7.7b S7.7c S7.7d S7.7e S7.7f S7.7g S7.7h S8.1a S8.1b S8.1c S8.2a S8.2b S8.2c S8.2d S8.2e S8.2f S8.2g S8.3a S8.3b S8.3c
S8.4a S8.4b S8.4c S8.4d S8.4e S8.4f S8.4g S8.4h S9.1a S9.1b S9.1c S9.1d S9.1e S10.1 S10.2 S10.3 S11.1a S11.1b S11.2a
S11.2b S11.3 S11.4 S12.1 S13.1 S13.2a S13.2b S13.2c S13.2d S13.3a S13.3b S14a S14b S14c S14d S14e S15a S15b S15c S16a
S16b S16c S17a S17b S17c S17d S17e S17f S17g S17h S17i S18a S18b S18c S18d S18e S19a S19b S20a S20b S21a S21b S22 S22b
S23.1 S23.2 S23.3 S23.4a S23.4b S23.4c S23.4d S23.4e S23.4f S23.4g S23.5 U1 U2 U3 U4 U5 U6 U7 U8 U9 U10 U11 U12 U13 U14
U15 U16 U17 U18 U19 U20 U21 U22 U23 U24 U25
""".split()
WORKS, PARTLY, MISSING = "有", "部分", "无"


def rows(first: str) -> list[list[str]]:
    """The cells of all lines of tables whose first cell is like this."""
    found = re.findall(rf"^\| (?={first} \|)(.*) \|$", TEXT, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in found]


TABLE = [cells for cells in rows(r"[SU]\d+(?:\.\w+)?[a-z]?") if len(cells) > 4]


def quoted(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


def test_every_requirement_stands_there_once_and_is_counted() -> None:
    assert [cells[0] for cells in TABLE] == REQUIREMENTS
    assert {len(cells) for cells in TABLE} == {7}
    counted: dict[str, Counter[str]] = {}
    for cells in TABLE:
        group = re.split(r"\.|(?<=\d)[a-z]", cells[0])[0]
        counted.setdefault("U" if group[0] == "U" else group, Counter())[cells[5]] += 1
    sums = {cells[0]: [int(cell) for cell in cells[1:]] for cells in rows(r"(?:S\d+|U|合计)") if len(cells) == 4}
    told = {group: [counts[state] for state in (WORKS, PARTLY, MISSING)] for group, counts in counted.items()}
    told["合计"] = [sum(column) for column in zip(*told.values(), strict=True)]
    assert sums == told


def test_every_row_names_what_there_is() -> None:
    pages = {portal_walk.shape(route.path) for route in discovery.routes() if route.method == "GET"} | {"/login"}
    calls = {f"{route.method} {route.path}" for route in ROUTES}
    for id_, name, where, tests, pictures, state, note in TABLE:
        assert name, id_
        assert state in (WORKS, PARTLY, MISSING), id_
        assert where or state == MISSING, id_
        assert tests if state == WORKS else note if state == PARTLY else not tests + pictures, (
            f"{id_}: what works is shown by a test; what is missing of the rest is told"
        )
        for test in quoted(tests):
            path, _, function = test.partition("::")
            assert function.startswith("test_"), test
            assert f"def {function}(" in (ROOT / "tests" / path).read_text("utf-8"), test
        for place in quoted(where):
            command = place.startswith("smsgwctl ") and place.split()[1] in _HOME
            assert command or place in pages | calls or (ROOT / place).is_file(), (id_, place)


class _Anywhere:
    """A site of which nothing but the names of its pages is asked."""

    anybody = "anybody"

    @property
    def database(self) -> _Anywhere:
        return self

    async def fetchval(self, _: str) -> str:
        return "1"

    def role_for(self, _: object) -> str:
        return self.anybody


async def test_every_picture_is_one_that_is_taken() -> None:
    stops = await portal_walk.stops(_Anywhere(), portal_walk.pages())  # type: ignore[arg-type]
    pictures = {stop.name for stop in stops}
    for cells in TABLE:
        for file in quoted(cells[4]):
            name, size, language, theme, kind = file.split(".")
            assert name in pictures, (cells[0], file)
            assert size in portal_walk.SIZES
            assert (language in ("zh", "en"), theme in ("light", "dark"), kind) == (True, True, "png")


NAMES = (
    "短信模板 审批中心 业务场景 业务管理 员工管理 部门管理 人员管理 平台设置 角色管理 用户管理 签名设置 "
    "充值管理 短信订单 退款单 流量订单 流量退单 话费订单 话费退单 "
    "自定义发送 定时短信记录 发送记录 上行记录（回复记录） 日报表 月报表 返点记录 短链报表 "
    "联系人 日常用语 黑名单 白名单 空号过滤 "
    "短链列表 短链报备 短链生成任务 访问详情 调查问卷 模板中心 制作中心 活动数据 "
    "发送大数据短信 大数据短信任务 大数据短信草稿箱 视频短信模板 5G消息 智能消息模板 微信公众号 APP推送 IP白名单"
).split()
"""What the tender calls its functions, letter by letter."""


def test_the_names_of_the_tender_stand_in_the_menu_or_are_told_to_be_missing() -> None:
    shown: dict[str, str] = {}
    for entry in discovery.entries():
        shown.setdefault(entry.label, entry.path)
        if entry.heading:
            shown.setdefault(entry.heading, entry.path)
    told = {cells[0]: quoted(cells[1]) for cells in rows(r"[^|`]+") if len(cells) == 2 and cells[0] in NAMES}
    assert told == {name: [shown[name]] if name in shown else [] for name in NAMES}
