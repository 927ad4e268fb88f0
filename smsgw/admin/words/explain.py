"""The words of the explanation of a route, and of what follows a failure."""

from __future__ import annotations

from smsgw.admin.i18n import N_

TITLE, SEND = N_("路由解释"), N_("解释")
LEAD = N_("按正在生效的设置计算一条短信会怎样：拦截、审批、编码、价格、规则和通道。不发送，也不扣费。")
SIGN_HELP = N_("留空使用账号的默认签名。")
CONTENT_HELP = N_("不含签名；与实际发送的检查完全相同。")
VERDICT: dict[str, tuple[str, str]] = {
    "accepted": (N_("会受理"), "good"),
    "held": (N_("会受理，但须先审批"), "warning"),
    "waiting": (N_("会受理，但现在没有已连接的通道，将排队等待"), "warning"),
    "rejected": (N_("此号码不会发送"), "bad"),
    "refused": (N_("整个请求会被拒绝"), "bad"),
}
KNOWN_BY: dict[str, str] = {
    "override": N_("号码库（导入或携号转网）"),
    "segment": N_("号段"),
    "country": N_("国家码"),
    "default": N_("号段未知，按移动处理"),
}
MISS = N_("%(condition)s不符")
OUT: dict[str, str] = {
    "stopped": N_("已停用"),
    "draining": N_("正在排空，不再发送"),
    "standby": N_("备用：主用可用时不发送"),
    "elsewhere": N_("不在此通道组"),
}
WHERE: dict[str, tuple[str, str]] = {
    "sign": (N_("签名设置"), "/signs"),
    "template": (N_("短信模板"), "/templates"),
    "word": (N_("敏感词"), "/words"),
    "opt_out": (N_("审批规则与时段"), "/review/rules"),
    "review": (N_("审批规则与时段"), "/review/rules"),
    "only": (N_("白名单"), "/allowed"),
    "block_list": (N_("查拦截原因"), "/blocked/why"),
    "empty": (N_("查拦截原因"), "/blocked/why"),
    "consent": (N_("同意台账"), "/consents"),
    "hours": (N_("审批规则与时段"), "/review/rules"),
    "registration": (N_("签名设置"), "/signs"),
    "link": (N_("短链报备"), "/filings"),
    "complaints": (N_("投诉处理"), "/complaints"),
    "balance": (N_("充值管理"), "/top-ups"),
    "quota": (N_("业务管理"), "/accounts"),
    "frequency": (N_("审批规则与时段"), "/review/rules"),
    "abroad": (N_("业务管理"), "/accounts"),
}
"""Check -> the page where its rule stands."""

FAULT: dict[str, tuple[str, str]] = {
    "throttle": (N_("发送过快"), N_("运营商要求慢一些，没有收下")),
    "busy": (N_("运营商繁忙"), N_("队列满或系统错误，没有收下")),
    "network": (N_("网络问题"), N_("报告说在运营商内部丢失")),
    "absent": (N_("手机原因"), N_("关机、不在服务区或存储已满，过几小时可能成功")),
    "limit": (N_("频次或时段"), N_("超过运营商的频次限制，或不在允许的时段")),
    "channel": (N_("通道原因"), N_("此通道不能发，换通道可能成功")),
    "ported": (N_("携号转网"), N_("号码属于另一家运营商")),
    "permanent": (N_("不可恢复"), N_("到哪里都会再被拒绝")),
    "uncertain": (N_("可能已送达"), N_("从不重发，避免重复")),
    "unknown": (N_("含义未知"), N_("从不重发，请先在错误码映射中说明")),
}
"""What a failure means for another try, and what that is."""
HOW: dict[str, str] = {"never": N_("不重试"), "same": N_("原通道重试"), "other": N_("换通道重试")}
RETRIES_LEAD = N_("短信明确失败后是否再试、走哪条通道、等多久。结果不明的从不重发。")
RETRY_EDIT, RETRY_RESET, SAVE = N_("修改重试规则"), N_("恢复默认"), N_("保存")
RETRY_RESET_TITLE = N_("恢复默认的重试规则")
TRIES_HELP = N_("第一次之后最多再试几次；0 表示有效期内不限次数。")
DEADLINE_HELP = N_("从受理起超过这么多秒不再开始重试；0 表示到短信有效期为止。")
FIRST_HELP = N_("第一次重试前等待的秒数；之后每次加倍。")
MOST_HELP = N_("加倍到这么多秒为止。")
HOW_HELP = N_("换通道重试时没有其他通道，且原通道可能成功的，仍走原通道。")
MOST_BELOW = N_("不能小于首次等待")
RETRY_EFFECT = N_(
    "将把%(type)s短信“%(fault)s”的处理改为：%(how)s。几秒内在所有节点生效，用于此后的失败；已在等待重试的不变。"
)
RETRY_RESET_EFFECT = N_("将恢复%(type)s短信“%(fault)s”的默认处理：%(how)s。几秒内生效，用于此后的失败。")
RETRY_RESET_NOTHING = N_("%(type)s短信“%(fault)s”已按默认处理：%(how)s。")
RETRY_SAVED = N_("重试规则已保存")
NEVER_SAID = N_("不重试")
SAID = N_("%(how)s，%(tries)s，首次等 %(first)s，最长 %(most)s，%(deadline)s")
SAID_AT_ONCE = N_("%(how)s，%(tries)s，立即，%(deadline)s")
TIMES, TIMES_ANY = N_("最多 %(n)s 次"), N_("次数不限")
WITHIN, WITHIN_ANY = N_("受理后 %(time)s内"), N_("有效期内")
UNITS = ((3600, N_("%(n)s 小时")), (60, N_("%(n)s 分钟")), (1, N_("%(n)s 秒")))
"""Seconds of each, the longest first."""
