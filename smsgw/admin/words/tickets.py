"""The words of tickets."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {"open": N_("待响应"), "handling": N_("处理中"), "closed": N_("已办结")}
STATE_TONE: dict[str, str] = {"open": "red", "handling": "blue", "closed": "green"}
MINE: dict[str, str] = {"opened": N_("我提交的"), "assigned": N_("由我处理")}
LEAD = N_("业务人员提交的问题，从响应到答复全程可查；临近和超过响应时限时按告警通知升级。")
EMPTY = N_("没有工单")
TEACH = N_("在短信全链路页点“报告问题”可带上该短信的编号提交工单，也可在此新建。")
NEW, SET = N_("提交工单"), N_("保存")
NEW_ABOUT = N_("说明现象、时间和影响。手机号会自动脱敏，需要定位短信时填写短信编号。")
MESSAGES_HELP = N_("短信编号，多个用空格或换行隔开，最多 20 个；须是该账号的短信。")
MESSAGES_WRONG = N_("应为短信编号，以空格或换行隔开")
OPENED = N_("工单已提交")
SAY, SAY_ABOUT = N_("回复"), N_("提交人与处理人都能看到；手机号会自动脱敏。")
SAID = N_("已回复")
TAKE = N_("接手")
TAKE_EFFECT = N_("将接手 %(n)s 个工单，由您负责处理，响应计时随即结束。")
TAKE_NONE = N_("所选工单都已有人响应。")
ASSIGN, ASSIGN_ABOUT, ASSIGNED = N_("指派"), N_("由此人负责处理。"), N_("已指派")
CLOSE, CLOSE_ABOUT = N_("办结"), N_("写明答复后办结；提交人 30 天内可重开。")
CLOSED = N_("工单已办结")
REOPEN, REOPEN_ABOUT = N_("重开"), N_("说明为何没有解决；响应时限重新计算。")
REOPENED = N_("工单已重开")
FORMER, FORMER_KEPT = N_("重开前的响应"), N_("%(kept)s：时限 %(by)s，响应 %(at)s")
MESSAGES = N_("相关短信")
STEP: dict[str, str] = {
    "opened": N_("提交"), "said": N_("回复"), "taken": N_("已接手"), "assigned": N_("已指派"), "closed": N_("已办结"),
    "reopened": N_("重开"),
}  # fmt: skip
STEP_SAYS = {"opened": "ticket_said", "assigned": "assigned_to", "closed": "ticket_reply"}
"""The term for what a step says; of others it is something more."""
OVER = N_("已超过响应时限，仍无人响应")
SETTINGS = N_("响应时限")
SETTINGS_ABOUT = N_("改动只影响之后提交的工单。")
SETTINGS_SAVED = N_("已保存")
