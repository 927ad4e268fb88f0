"""The words of the register of complaints."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {
    "open": N_("待处理"), "checking": N_("调查中"), "answered": N_("已答复"), "closed": N_("已办结"),
}  # fmt: skip
STATE_TONE: dict[str, str] = {"open": "orange", "checking": "blue", "answered": "green", "closed": "secondary"}
ORIGIN: dict[str, str] = {"user": N_("用户"), "carrier": N_("运营商"), "authority": N_("12321 等监管渠道")}
DUE: dict[str, str] = {"over": N_("已逾期"), "day": N_("24 小时内到期或已逾期")}
LATE: dict[str, str] = {"late": N_("已逾期")}
LEAD = N_("用户或运营商转来的投诉：对应的短信、同意凭证、发送人、处理过程和答复；每件都有答复时限。")
EMPTY = N_("没有投诉")
TEACH = N_("收到投诉后在这里登记；登记时自动找到发给该号码的短信，并可停发营销短信。")
ADD, ADD_TITLE, SAVE = N_("登记投诉"), N_("登记投诉"), N_("登记")
ABOUT_NUMBER = N_("不选短信时，按号码对应最近发给它的一条短信。")
NOTE_HELP = N_("用户说了什么、要求什么；不要写无关的个人信息。")
REFERENCE_HELP = N_("运营商或监管渠道的工单号，可不填。")
SIGN_HELP = N_("不含【】；不填时按对应的短信。")
DUE_HELP = N_("从现在起多少天内答复。")
BLOCK_HELP = N_("加入黑名单（来源：投诉），任何账号都不再向该号码发营销短信。需要管理全部账号的黑名单权限。")
BLOCK_NOT_ALLOWED = N_("停发营销短信对全部账号生效，您没有这项权限；请取消勾选，由平台管理员处理。")
ADDED = N_("已登记投诉 %(id)s")
HANDLE, HANDLE_TITLE, HANDLE_SAVE = N_("记录处理"), N_("处理投诉"), N_("保存")
HANDLED = N_("已记录")
STEP_HELP = N_("选择“已答复”时，这里写的就是给用户或运营商的答复内容。")
FILE = N_("下载调查材料")
MESSAGES, CONSENTS, STEPS = N_("发给该号码的短信"), N_("同意凭证"), N_("处理过程")
MESSAGES_NOTE = N_("登记前 %(days)s 天内最近 %(n)s 条；有底色的是被投诉的短信。")
NO_MESSAGES = N_("登记前 %(days)s 天内没有发给该号码的短信")
MESSAGES_HIDDEN = N_("没有查看发送记录的权限，不显示短信")
NO_CONSENTS = N_("同意台账中没有该号码的记录")
CONSENTS_HIDDEN = N_("没有查看名单的权限，不显示同意凭证")
OVERDUE = N_("已过答复时限，请尽快处理。")

# --- the file for the carrier ----------------------------------------------------------------------------------------

TITLE = N_("短信投诉调查材料")
NAME: dict[str, str] = {
    "id": N_("投诉编号"), "reference": N_("来源工单号"), "origin": N_("投诉来源"), "at": N_("登记时间"),
    "actor": N_("登记人"), "due_at": N_("答复时限"), "number": N_("投诉号码"), "note": N_("投诉内容"),
    "account": N_("发送账号"), "sign": N_("短信签名"), "channel": N_("发送通道"), "message": N_("被投诉短信"),
    "state": N_("处理状态"), "reply": N_("答复内容"), "owner": N_("提供单位"), "made": N_("生成时间"),
}  # fmt: skip
LINE_MESSAGE = N_("%(id)s  %(at)s  %(account)s  发送人 %(submitter)s  【%(sign)s】  %(type)s  %(status)s  %(code)s")
LINE_CONSENT = N_("%(given)s  %(state)s  %(source)s  凭证：%(proof)s  文本版本：%(wording)s  登记人 %(actor)s")
LINE_STEP = N_("%(at)s  %(actor)s  %(state)s  %(said)s")
