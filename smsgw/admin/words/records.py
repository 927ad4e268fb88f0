"""The words of what was received: what has become of it, and how it went to the customer."""

from __future__ import annotations

from smsgw.admin.i18n import N_

OUTCOME: dict[str, str] = {
    "opt_out": N_("退订"),
    "reply": N_("回复"),
    "message": N_("主动上行"),
    "unowned": N_("无归属账号"),
}
OUTCOME_TONE: dict[str, str] = {"opt_out": "orange", "reply": "green", "message": "blue", "unowned": "secondary"}
PUSHED: dict[str, str] = {
    "waiting": N_("待推送"),
    "offered": N_("已取走，待确认"),
    "retrying": N_("推送失败，重试中"),
    "pushed": N_("已推送"),
    "fetched": N_("客户已确认"),
    "dead": N_("已放弃"),
}
PUSHED_TONE: dict[str, str] = {
    "waiting": "azure", "offered": "blue", "retrying": "yellow", "pushed": "green", "fetched": "green", "dead": "red",
}  # fmt: skip
INBOUND_LEAD = N_("用户回复和主动发来的短信：回复了哪一条、是否退订、是否已推送给业务系统。")
INBOUND_EMPTY = N_("这段时间没有上行短信")
INBOUND_TEACHES = N_("用户回复短信后自动显示在这里，并关联到所回复的短信；回复退订词的号码自动加入退订记录。")
OPT_OUT = N_("查看退订记录")
TRACE = N_("查看所回复的短信")
