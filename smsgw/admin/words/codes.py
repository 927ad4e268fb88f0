"""The words of carriers' codes."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LEAD = N_("运营商的原始码是什么意思、该怎么办、是否计入成功率，以及最近 7 天各有多少短信因此失败。")
ADD, EDIT, RESET, SAVE = N_("说明一个码"), N_("修改含义"), N_("恢复默认"), N_("保存")
SET_TITLE, RESET_TITLE = N_("原始码的含义"), N_("恢复默认的含义")
SOURCE: dict[str, str] = {"report": N_("状态报告"), "answer": N_("提交应答")}
SHOW: dict[str, str] = {"": N_("全部"), "seen": N_("最近 7 天出现过"), "own": N_("人工说明"), "unknown": N_("含义未知")}
CODE_HELP = N_("按运营商给出的写法，如 MK:0001；不分大小写。")
CLASS_HELP = N_("告诉客户的原因。")
FAULT_HELP = N_("决定是否重试、走哪条通道，见重试规则。")
CARRIER_HELP = N_("携号转网时号码现在属于谁；不知道可留空。")
CHANNEL_HELP = N_("留空对所有通道生效；同一个码在不同通道含义不同时按通道说明。")
SET_EFFECT = N_(
    "%(code)s（%(source)s，%(channel)s）此后的含义为“%(cls)s”，按“%(fault)s”决定是否重试。几秒内在所有节点生效，"
    "已有的记录不变；最近 7 天有 %(n)s 条短信因此码失败。"
)
SET_EFFECT_UNKNOWN = N_(
    "%(code)s（%(source)s，%(channel)s）此后的含义为“%(cls)s”，按“%(fault)s”决定是否重试。几秒内在所有节点生效，"
    "已有的记录不变；最近 7 天有多少短信因此码失败，暂时统计不出。"
)
LATE = N_(
    "失败的短信太多或数据库正忙，最近 7 天的数量尚未统计完，也不能按是否出现过筛选。稍后重新打开本页会接着逐日统计。"
)
RESET_EFFECT = N_("%(code)s（%(source)s，%(channel)s）此后按默认含义处理。几秒内在所有节点生效，已有的记录不变。")
SAVED, REMOVED = N_("含义已保存"), N_("已恢复默认")
ONLY_PORTED = N_("只有携号转网的码可以写运营商")
EVERY_CHANNEL = N_("全部通道")
