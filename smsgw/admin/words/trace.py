"""The words of one message's way: hops, the rule that chose its queue, its PDUs, and trouble with it."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.core.permissions import Permission

MOST_PARTS = 20
"""That are told of in a report of trouble."""
COLON = N_("：")
MESSAGE, BATCH, REQUEST = N_("短信流水号"), N_("批次号"), N_("本页请求号")
ACCOUNT, CLIENT_REF, SUBMITTER = N_("账号"), N_("客户流水号"), N_("提交人")
NUMBER, STATUS, CHANNEL = N_("手机号"), N_("状态"), N_("通道")
ACCEPTED, SUBMITTED, ANSWERED, DONE = N_("受理时间"), N_("提交时间"), N_("应答时间"), N_("完成时间")
CARRIER_ID, CODE, DIGEST = N_("运营商消息号"), N_("原始码"), N_("存证 SHA-256")
PART = N_("第 %(n)s 段")

HOP: dict[str, str] = {
    "door": N_("平台校验"), "review": N_("审批"), "queue": N_("排队提交"), "answer": N_("运营商应答"),
    "report": N_("状态报告"), "push": N_("回执推送"),
}  # fmt: skip
HOP_STATE: dict[str, str] = {
    "done": N_("已通过"), "stuck": N_("停在这里"), "slow": N_("停在这里"), "now": N_("进行中"), "ahead": N_("未到"),
}  # fmt: skip
HOP_TONE: dict[str, str] = {"done": "green", "stuck": "red", "slow": "orange", "now": "blue", "ahead": "secondary"}
HOP_ADVICE: dict[str, str] = {
    "door": N_("短信没有离开平台：按上面的说明修改后重发；号码被名单拦截的，到“为什么发不到这个号码”查询并解除。"),
    "review": N_("审核未通过：按驳回理由修改内容后重新提交。"),
    "queue": N_("没有交给运营商：查看通道状态与告警，恢复后重发。"),
    "answer": N_("运营商没有接收或没有应答：查看通道状态；集中出现时带上原始码联系运营商。"),
    "report": N_("运营商没有送达手机：按原因处理后重发；集中在一个通道或运营商时联系运营商。"),
    "push": N_("短信本身已有结果，只是回执没有送到业务系统：核对推送地址，恢复后在回执推送记录中重新推送。"),
}
"""What to do where no reason of the carrier says more."""
_MAY_HAVE_ARRIVED = N_("可能已送达：请勿重发，等待迟到的回执，或凭本页编号向运营商查询。")
STATUS_ADVICE: dict[str, str] = {
    **dict.fromkeys(("uncertain", "unconfirmed", "no_report"), _MAY_HAVE_ARRIVED),
    "cancelled": N_("已撤销，没有发出：需要时重新发送。"),
    "duplicate": N_("同一内容已向这个号码发送过：无需重发。"),
}
"""What to do where the status says more than the hop."""

CONDITION: dict[str, str] = {
    "account": N_("账号"), "type": N_("短信类型"), "sign": N_("签名"), "carrier": N_("运营商"),
    "province": N_("归属地"), "prefix": N_("号段"), "keyword": N_("关键词"), "hours": N_("时段"),
}  # fmt: skip
"""Of routing rules."""

KIND: dict[str, str] = {"report": N_("运营商状态报告"), "operator": N_("人工认定，无运营商报文")}
SUBMIT, ANSWER = N_("提交报文"), N_("运营商应答报文")
CHECK: dict[str, str] = {
    "pdu": N_("报文与摘要"), "said": N_("报文内容与存证"), "result": N_("记录与存证"), "root": N_("存证日根"),
}  # fmt: skip
CHECK_STATE: dict[str, str] = {
    "right": N_("一致"), "wrong": N_("不一致"), "forgotten": N_("报文已过保留期，只留摘要"),
    "open": N_("当日的根在次日凌晨生成"), "gone": N_("当日存证已过保留期"),
    "many": N_("当日存证较多，请在回执存证页整体校验"),
}  # fmt: skip
CHECK_TONE: dict[str, str] = {"right": "green", "wrong": "red"}

RULES: tuple[tuple[str, str, str, Permission], ...] = (
    ("NUMBER_", N_("查询这个号码的名单与规则"), "/blocked/why", Permission.BLOCK_VIEW),
    ("CONTENT_SENSITIVE", N_("查看敏感词"), "/words", Permission.WORD_VIEW),
    ("SIGN_", N_("查看签名"), "/signs", Permission.SIGN_VIEW),
    ("TEMPLATE_", N_("查看短信模板"), "/templates", Permission.TEMPLATE_VIEW),
    ("BALANCE_", N_("查看账号余额"), "/accounts", Permission.ACCOUNT_VIEW),
    ("QUOTA_", N_("查看账号限额"), "/accounts", Permission.ACCOUNT_VIEW),
)
"""Where the rule stands by which we refuse: beginning of the code, label, page, and who may see it."""
