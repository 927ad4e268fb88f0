"""The words of number prefixes and ported numbers."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.platform.routing.prefixes import By

LEAD = N_(
    "号段之外更准的依据：导入的号段、携号转网号码，和从运营商回执学到的；越长越优先，整号优先于号段。"
    "单个号码只能按前 3 位筛选，整号请用“查号码归属”。"
)
SOURCE: dict[str, str] = {"import": N_("导入或人工"), "learned": N_("自动学习")}
SINGLE: dict[str, str] = {"number": N_("单个号码"), "prefix": N_("号段")}
SET, SET_TITLE = N_("设置号段或号码"), N_("设置号段或携转号码")
PREFIX_HELP = N_("3 至 11 位数字；11 位就是一个号码。已有的会被替换。")
PROVINCE_HELP = N_("按省路由时使用；不知道可留空。")
EFFECT = N_(
    "%(prefix)s 开头的号码此后按%(carrier)s处理，几秒内在所有节点生效；已受理的短信不变。最近一天的短信中有 "
    "%(n)s 条发往这些号码，其中 %(moved)s 条当时按其他运营商发送。"
)
EFFECT_REPLACES = N_(
    "%(prefix)s 开头的号码现在按%(before)s处理，此后改按%(carrier)s，几秒内在所有节点生效；已受理的短信不变。"
    "最近一天的短信中有 %(n)s 条发往这些号码，其中 %(moved)s 条当时按其他运营商发送。"
)
SAVED = N_("已设置")
REMOVE = N_("删除")
REMOVE_EFFECT = N_("删除 %(n)s 个，此后按更短的号段或号段表判断，几秒内在所有节点生效；已受理的短信不变。")
EMPTY, TEACHES = (
    N_("还没有更准的依据"),
    N_("号码按号段表判断运营商和归属地。携号转网和新号段在这里写明；运营商回执指出的携转号码会自动记下。"),
)
PAGE = N_("号段与携号转网")
IMPORT, IMPORTS = N_("导入号段文件"), N_("导入记录")
IMPORT_LEAD = N_("号段或携转号码、运营商、省份三列；先看会改变多少，再确认。更大的文件用命令 smsgwctl number import。")
IMPORT_EFFECT = N_(
    "文件中有 %(all)s 个号段与号码：新增 %(added)s 个，改变 %(changed)s 个（其中自动学到的 %(learned)s 个），"
    "%(same)s 个不变；几秒内在所有节点生效，已受理的短信不变。最近一天的短信中有 %(messages)s 条发往这些号码，"
    "其中 %(moved)s 条当时按其他运营商发送。导入后可在导入记录中撤销。"
)
IMPORT_NOTHING = N_("文件中的 %(all)s 个号段与号码都已是这样，没有需要改变的。")
IMPORT_DONE = N_("已导入：新增 %(added)s 个，改变 %(changed)s 个，%(same)s 个不变。")
IMPORTS_LEAD = N_("每次导入改变了多少；有改变的最近 20 次可以撤销，恢复成导入前的样子，此后又被改过的保持不变。")
IMPORTS_EMPTY, IMPORTS_TEACH = N_("还没有导入过文件"), N_("导入的号段文件列在这里，可以逐个撤销。命令行导入的也在内。")
IMPORT_STATE: dict[str, str] = {"open": N_("生效中"), "undone": N_("已撤销"), "over": N_("不能再撤销"),
                                "nothing": N_("没有改变")}  # fmt: skip
IMPORT_TONE: dict[str, str] = {"open": "green", "undone": "secondary", "over": "secondary", "nothing": "secondary"}
TAKE_BACK = N_("撤销导入")
TAKE_BACK_EFFECT = N_("将恢复 %(undone)s 个号段与号码，几秒内在所有节点生效；%(kept)s 个此后又被改过，保持不变。")
TAKE_BACK_NONE = N_("选中的导入没有改变、已经撤销，或时间太久、不能再撤销。")
TAB_ENTRIES = N_("号段与号码")
LOOK_UP, LOOK_UP_TITLE = N_("查号码归属"), N_("查一个号码的运营商和归属地")
LOOK_UP_LEAD = N_("与路由的判断完全一致，并写明依据。号码不写进地址，查询记入审计。")
BY: dict[str, str] = {
    By.NUMBER: N_("依据该号码自己的记录（携号转网）"),
    By.PREFIX: N_("依据号段 %(prefix)s 的记录"),
    By.SEGMENT: N_("依据七位号段表"),
    By.NETWORK: N_("依据网号（前三四位），归属地未知"),
    By.NOTHING: N_("未知号段，按中国移动路由"),
    By.ABROAD: N_("境外号码"),
}
INSTEAD = N_("号段表原为%(carrier)s。")
LEARNED = N_("由回执码 %(code)s 学到。")
