"""The words of filed links (短链报备)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {
    "pending": N_("待报备"), "submitted": N_("报备中"), "registered": N_("通过"), "refused": N_("驳回"),
}  # fmt: skip
STATE_TONE: dict[str, str] = {"pending": "secondary", "submitted": "blue", "registered": "green", "refused": "red"}
LEAD = N_("短信中链接的域名或地址在各运营商的报备情况；策略要求时，未报备的链接不能用于营销短信。")
EMPTY, TEACHES = N_("还没有短链报备"), N_("登记链接的域名、备案号和证明材料，提交运营商后在此记录各运营商的答复。")
ADD, ADD_TITLE, ADDED = N_("新增报备"), N_("新增短链报备"), N_("报备已登记。")
REGISTER, REGISTERED, SAVE = N_("登记运营商答复"), N_("运营商答复已登记，几秒内生效。"), N_("保存")
REMOVE, REMOVE_EFFECT = N_("删除报备"), N_("将删除 %(n)s 条报备（%(names)s）：此后这些链接按未报备处理。")
ADD_EFFECT = N_(
    "将为 %(account)s 登记 %(target)s；运营商答复通过之前按待报备处理。被运营商驳回的同一链接重新成为待报备。"
)
REGISTER_EFFECT = N_("将把 %(target)s 在 %(carriers)s 的报备状态设为“%(state)s”，几秒内对 %(account)s 的短信生效。")
TARGET_HELP = N_("域名，或域名加路径的开头，如 t.example.cn 或 example.cn/act。")
ICP_HELP = N_("网站备案号，如 京ICP备12345678号。")
NOTE_HELP = N_("页面用途与证明材料的存放位置。")
ACCOUNT_HELP = N_("留空为全部账号。")
CARRIER_NOTE_HELP = N_("运营商的工单号或答复。")
