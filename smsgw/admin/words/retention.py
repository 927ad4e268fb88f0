"""The words of retention (数据保留与脱敏)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

TITLE = N_("数据保留与脱敏")
LEAD = N_(
    "各类数据先脱敏、后清除：到第一个期限，号码换成带密钥的散列值（不显示，仅可按完整号码比对），正文清空；"
    "到第二个期限，整行清除。"
)
TAB_NOW, TAB_RULES = N_("现行规则"), N_("变更记录")
CLASS: dict[str, str] = {
    "messages": N_("发送记录"), "inbound": N_("上行记录"), "pdus": N_("回执报文"), "clicks": N_("短链访问"),
    "events": N_("推送事件"),
    "audit": N_("审计日志"), "files": N_("导出与上传文件"),
}  # fmt: skip
HOLDS: dict[str, str] = {
    "messages": N_("号码、正文；群发任务的名单与变量、审批内容、下游分段一并处理"),
    "inbound": N_("号码、正文"),
    "pdus": N_("报文原文；摘要与每日存证保留，核验不受影响"),
    "clicks": N_("访问地址、来源页；归属省份、设备与判定保留"),
    "events": N_("不含号码，只引用记录"),
    "audit": N_("号码入库时即已掩码"),
    "files": N_("到期后删除文件"),
}
NEVER, DAYS = N_("不启用"), N_("%(n)s 天后")
WHOLE_DAYS, OWN = N_("%(n)s 天后"), N_("按各文件期限")
UNTOUCHED = N_(
    "联系人、黑白名单、退订、同意台账和投诉按号码起作用，不在此列，由各自页面管理。"
    "号码筛选清单（保留 90 天）和未提交的发送草稿也含号码，由本人删除。"
)
FIRST, SECOND = N_("号码脱敏"), N_("整行清除")
SECOND_WHERE = N_("整行清除的期限在配置文件 [retention] 中设置。")
NEXT, NOTHING = N_("下次执行（每天 1 至 6 时）"), N_("目前没有到期的数据。")
OFF = N_("未启用号码脱敏：号码与正文保留到整行清除为止。")
COMING = N_("%(class)s：%(days)s 天，约 %(rows)s 行（%(first)s 至 %(last)s）")
MASKED = N_("已脱敏 %(n)s 行，至 %(day)s")
CHANGE, CHANGE_TITLE, SEND = N_("申请变更"), N_("申请变更数据保留规则"), N_("提交申请")
ABOUT = N_("变更经另一人审批后生效。脱敏不可恢复：之后只能按完整号码查找，任何人都看不到号码。")
DAYS_HELP: dict[str, str] = {
    "messages": N_("30 天以上；0 为不启用。短信发送记录通常须能追溯 5 个月（150 天）。"),
    "inbound": N_("8 天以上；0 为不启用。"),
    "pdus": N_("30 天以上，不晚于发送记录；0 为不启用。"),
    "clicks": N_("2 天以上；0 为不启用。访问地址换成散列值，省份在判定时已记下。"),
}
TEXTS_HELP = N_("不勾选则只脱敏号码，正文保留到整行清除。")
SHORT = N_("发送记录的号码只保留 %(n)s 天，短于 5 个月。")
EFFECT = N_("生效后首次执行将脱敏：%(what)s。此操作不可恢复。%(short)s")
EFFECT_NOTHING = N_("生效后目前没有数据到期。%(short)s")
JOIN = N_("；")
ASKED = N_("已提交申请，等待另一人审批")
WAITING = N_("有一项变更等待审批")
RULES_LEAD = N_("每次变更由一人申请、另一人审批，全部留存。")
EMPTY, TEACHES = N_("还没有变更"), N_("没有规则时不做脱敏。申请变更并经另一人审批后生效。")
STATE: dict[str, str] = {
    "waiting": N_("待审批"), "holds": N_("生效中"), "passed": N_("已被取代"), "rejected": N_("已驳回"),
}  # fmt: skip
STATE_TONE: dict[str, str] = {"waiting": "orange", "holds": "green", "passed": "secondary", "rejected": "red"}
PASS, REJECT = N_("同意"), N_("驳回")
PASS_EFFECT = N_("同意后即生效，首次执行将脱敏：%(what)s。此操作不可恢复；不能审批自己提交的申请。")
PASS_NOTHING = N_("同意后即生效，目前没有数据到期。不能审批自己提交的申请。")
REJECT_EFFECT = N_("将驳回 %(n)s 项申请，现行规则不变。")
