"""The words of the fault register."""

from __future__ import annotations

from smsgw.admin.i18n import N_

TAB_FAULTS, TAB_YEAR, TAB_TIMELINE = N_("故障"), N_("年度统计"), N_("事件时间线")
STATE: dict[str, str] = {
    "open": N_("待响应"), "handling": N_("处理中"), "recovered": N_("已恢复待结案"), "closed": N_("已结案"),
}  # fmt: skip
STATE_TONE: dict[str, str] = {"open": "red", "handling": "blue", "recovered": "orange", "closed": "green"}
KEPT: dict[str, str] = {"running": N_("计时中"), "over": N_("已超时"), "kept": N_("按时"), "late": N_("超时")}
KEPT_TONE: dict[str, str] = {"running": "blue", "over": "red", "kept": "green", "late": "orange"}
COUNTS: dict[str, str] = {"yes": N_("计入"), "no": N_("不计入")}
COUNTS_TONE: dict[str, str] = {"yes": "azure", "no": "secondary"}
LEAD = N_("从发生到结案的故障登记：响应与恢复计时，临近和超过时限时按告警通知升级。")
EMPTY = N_("没有故障记录")
TEACH = N_("严重告警持续数分钟会自动登记为故障，也可手工登记。响应、恢复、原因与处理都记在这里，结案后可打印报告。")
NEW = N_("登记故障")
NEW_ABOUT = N_("用户申报或值班发现、平台没有告警的故障，在此登记。恢复须由处理人确认。")
BEGAN_HELP = N_("形如 2026-01-31 09:05，故障实际发生的时间；恢复时限从此刻起算。")
WHEN_WRONG = N_("应形如 2026-01-31 09:05")
SAVE = N_("登记")
OPENED = N_("故障已登记")
RESPOND = N_("响应")
RESPOND_EFFECT = N_("将响应 %(n)s 个故障，由您负责处理；其中未认领的告警一并认领。")
RESPOND_NONE = N_("所选故障都已响应。")
NOTE, NOTE_SAVE = N_("补充记录"), N_("保存")
NOTE_ABOUT = N_("查到了什么、做了什么。与故障一起保存，写入报告。")
NOTED = N_("记录已保存")
RECOVER = N_("确认恢复")
RECOVER_ABOUT = N_("故障结束的时间。由告警登记的故障在告警解除后自动恢复，此处可提前或更正。")
RECOVERED_AT_HELP = N_("形如 2026-01-31 09:05，不早于发生，不晚于现在。")
RECOVERED = N_("已记为恢复")
CLOSE = N_("结案")
CLOSE_ABOUT = N_("写明原因与处理后结案，之后不能再改；报告可打印。")
CLOSE_EFFECT = N_("结案后不能再补充或更正。响应：%(response)s；恢复：%(recovery)s；%(counts)s年度统计。")
CLOSED = N_("故障已结案")
COUNT, LEAVE_OUT = N_("改为计入"), N_("改为不计入")
COUNT_ABOUT = N_("写明理由。不计入的不占年度次数，也不降低可用率，例如计划内检修、运营商侧故障、重复登记。")
COUNTED = N_("已更改")
COUNT_EFFECT = N_("本年计入的故障由 %(now)s 次变为 %(then)s 次（承诺不超过 %(most)s 次）。")
REPORT = N_("故障报告")
OF_ALARM = N_("登记为故障")
OF_ALARM_ABOUT = N_("将以该告警登记故障，发生时间取告警的发生时间；告警解除后自动恢复。")
SEE_FAULT = N_("查看故障")
OVER_NOW = N_("已超过时限，请尽快处理")
SETTINGS = N_("故障时限")
SETTINGS_ABOUT = N_("改动只影响之后登记的故障，已登记的时限不变。")
SETTINGS_SAVED = N_("已保存")
AUTOMATIC: dict[str, str] = {"0": N_("不自动登记"), "1": N_("仅严重告警"), "2": N_("严重与警告")}
AFTER_HELP = N_("告警持续不到这么久的不登记；处于静默的告警不登记。")
YEAR_MOST_HELP = N_("年度统计以此对照。")
STEP: dict[str, str] = {
    "opened": N_("已登记"), "joined": N_("并入告警"), "graver": N_("升为严重"),
    "responded": N_("已响应"), "taken": N_("告警已认领，记为响应"),
    "note": N_("记录"), "recovered": N_("确认恢复"), "over": N_("告警解除，记为恢复"),
    "back": N_("告警再次发生，恢复撤销"),
    "counted": N_("改为计入"), "left_out": N_("改为不计入"), "closed": N_("已结案"),
}  # fmt: skip
WHO: dict[str, str] = {"faults": N_("平台")}
DETAIL_ALARMS = N_("相关告警")
RESPONSE, RECOVERY = N_("响应用时"), N_("恢复用时")
TIME_LEFT, TIME_OVER = N_("剩余 %(time)s，截至 %(by)s"), N_("超过 %(time)s，应于 %(by)s 前")
TIME_WAS = N_("时限 %(by)s")
RULE_COUNT = N_("按发生时间所在年份统计；同一次中断的告警合并为一个故障，标为不计入的除外。")
RULE_AVAILABILITY = N_(
    "可用率 = 1 − 故障时长 ÷ 统计时长。故障时长只含计入的故障，自发生至恢复，重叠部分只算一次，未恢复的算至现在；"
    "统计时长为 %(since)s 至 %(until)s。"
)
YEAR_EMPTY = N_("%(year)s 年没有故障")
YEAR_TEACH = N_("登记的故障按年统计次数、时限与可用率。")
TIMELINE_LEAD = N_("告警、配置变更、程序启动与升级、通道接管、故障处理按时间排在一起，便于看出先后因果。")
TIMELINE_EMPTY = N_("这段时间没有事件")
TIMELINE_TEACH = N_("可放大时间范围，或向前翻看。")
TIMELINE_MORE = N_("事件较多，只显示最近 %(n)s 条，请缩小时间范围。")
SOURCE: dict[str, str] = {
    "alarm": N_("告警"), "change": N_("配置变更"), "node": N_("节点与版本"), "fault": N_("故障处理"),
}  # fmt: skip
SPAN: dict[str, str] = {
    "15": N_("15 分钟"), "60": N_("1 小时"), "360": N_("6 小时"), "1440": N_("1 天"), "10080": N_("7 天"),
    "43200": N_("30 天"),
}  # fmt: skip
RAISED, CLEARED = N_("告警发生：%(what)s"), N_("告警解除：%(what)s")
STARTED, UPGRADED = N_("节点 %(node)s 启动，版本 %(version)s"), N_("节点 %(node)s 升级：%(before)s → %(version)s")
STOPPED, TAKEN_OVER = N_("节点 %(node)s 停止"), N_("通道 %(object)s 由节点 %(before)s 转到节点 %(node)s")
TAKEN = N_("通道 %(object)s 由节点 %(node)s 接管")
FAULT_STEP = N_("故障 #%(id)s：%(what)s")
