"""The words of what was received (what has become of it, how it went to the customer), and of reports."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.admin.words.messages import CLASS

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
CARE: dict[str, str] = {"unread": N_("未读"), "seen": N_("已读"), "answered": N_("已回复"), "done": N_("已处理")}
CARE_TONE: dict[str, str] = {"unread": "red", "seen": "azure", "answered": "green", "done": "secondary"}
WHOSE: dict[str, str] = {"mine": N_("指派给我的"), "nobody": N_("尚未指派的")}
REPLY = N_("回复")
REPLY_TITLE = N_("回复上行短信")
REPLY_SEND = N_("发送回复")
REPLY_LEAD = N_("回复沿用原短信的签名和扩展号，与其他短信一样路由、检查、计费和审核；发送后本条标为已回复。")
REPLY_EFFECT = N_("将向 %(number)s 发送一条回复，共 %(parts)s 条、计费 %(price)s 条。")
REPLY_HELD_EFFECT = N_("将向 %(number)s 发送一条回复，共 %(parts)s 条、计费 %(price)s 条；需审核通过后才会发出。")
REPLY_OPTED_OUT_EFFECT = N_(
    "该号码已退订营销短信。将以通知向 %(number)s 发送一条回复，共 %(parts)s 条、计费 %(price)s 条，请确认不含营销内容。"
)
REPLIED = N_("回复已提交，发送结果见下方往来短信")
ASSIGN = N_("指派")
ASSIGN_TITLE = N_("指派处理人")
ASSIGN_LEAD = N_("处理人会在消息中心收到提醒；只能指派给能查看该账号并有处理权限的人员。")
ASSIGNED = N_("已指派给 %(name)s")
TAKE = N_("由我处理")
TAKE_EFFECT = N_("将 %(n)s 条上行短信指派给您自己。")
DONE = N_("标为已处理")
DONE_EFFECT = N_("将 %(n)s 条上行短信标为已处理。")
REOPEN = N_("重新打开")
REOPEN_EFFECT = N_("将 %(n)s 条上行短信重新打开，状态回到处理之前。")
CARE_HEAD = N_("处理情况")
INBOUND_LEAD = N_("用户回复和主动发来的短信：回复了哪一条、是否退订、是否已推送给业务系统。")
INBOUND_EMPTY = N_("这段时间没有上行短信")
INBOUND_TEACHES = N_("用户回复短信后自动显示在这里，并关联到所回复的短信；回复退订词的号码自动加入退订记录。")
OPT_OUT = N_("查看退订记录")
TRACE = N_("查看所回复的短信")

# --- reports ---------------------------------------------------------------------------------------------------------

GROUP: dict[str, str] = {
    "account": N_("按账号"),
    "type": N_("按短信类型"),
    "sign": N_("按签名"),
    "channel": N_("按通道"),
    "carrier": N_("按运营商"),
    "province": N_("按归属地"),
    "origin": N_("按来源"),
}
PEOPLE: dict[str, str] = {"department": N_("按部门"), "account": N_("按账号"), "origin": N_("按来源")}
BY_PERSON = N_("按提交人")
PEOPLE_LEAD = N_(
    "所选时间内受理的短信，按提交人（人员、密钥或接入客户）合计；门户为人员在门户提交的，接口为密钥与协议客户提交的。"
    "人员归本人所在部门，密钥归账号所在部门。"
)
NO_GROUP = N_("不细分")
LAST_YEAR = N_("近 12 个月")
NO_CHANNEL = N_("未经通道")
DAILY_LEAD = N_(
    "按受理日期统计，一条短信记一次；成功率 = 成功 ÷（成功 + 失败），未知和未发出的不计入；"
    "计费条数不含未发出的短信，未扣除失败返还。"
)
MONTHLY_LEAD = N_(
    "各月为每日统计之和；成功率 = 成功 ÷（成功 + 失败），未知和未发出的不计入；"
    "计费条数不含未发出的短信，未扣除失败返还。"
)
CHART_TITLE = N_("发送结果（条记录，统计截至 %(at)s）")
CHART_SUMMARY = N_("成功 %(delivered)s，失败 %(failed)s，最终未知 %(unknown)s，未发出 %(unsent)s。")
RATE = N_("成功率（%）")
THIS_MONTH = N_("本月")
STATEMENT_LEAD = N_(
    "按日、按账号列出当月的提交、结果与计费条数，可打印、导出，供双方核对。结果按短信受理日统计；最后两列是全平台所有账号"
    "当天收到的回执存证的条数与默克尔根，回执可能属于前几天受理的短信，因此条数与同行的短信数不相等。"
)
REPORT_EMPTY = N_("这段时间没有发送统计")
TWO_BASES = N_("统计口径：门户按平台数据计；接口以客户系统已确认的回执为准，与平台数据并列，确认数每 15 分钟更新。")
OWN_UNKNOWN = N_("您只能看到自己提交的短信；按所选的分组或条件没有个人统计，请按账号、来源或人员查看。")
REPORT_TEACHES = N_("短信受理后一分钟内计入统计；结果随状态报告更新。")

# --- analyses --------------------------------------------------------------------------------------------------------

REASON = CLASS | {"NONE": N_("未给出原因")}
PLAYBOOK: dict[str, str] = {
    "EMPTY_NUMBER": N_("核对名单来源，用空号过滤剔除后再发"),
    "POWERED_OFF": N_("避开夜间，数小时后对失败的重发一次"),
    "SUSPENDED": N_("从名单中剔除，恢复后再发"),
    "BLACKLIST_CARRIER": N_("在“为什么发不到这个号码”申请运营商解除"),
    "BLACKLIST_LOCAL": N_("核对黑名单与退订记录，有误的解除"),
    "CONTENT_BLOCKED": N_("核对内容与链接是否报备，修改后换模板再发"),
    "FREQ_CARRIER": N_("降低同一号码的发送频次，隔日再发"),
    "FREQ_LOCAL": N_("核对频控策略，或隔日再发"),
    "POLICY": N_("核对时段与策略设置"),
    "SIGN_UNREGISTERED": N_("在签名设置中向该运营商报备签名，完成前换通道"),
    "HANDSET": N_("请用户清理收件箱或检查手机，稍后重发"),
    "NETWORK": N_("稍后重发；集中在一个通道时联系运营商"),
    "TIMEOUT": N_("延长有效期后重发；集中在一个通道时联系运营商"),
    "CHANNEL": N_("查看通道状态与告警，必要时切换备用通道"),
    "UNKNOWN": N_("在错误码映射中登记原始码的含义"),
    "NONE": N_("向运营商询问原始码的含义，并在错误码映射中登记"),
}
"""What to do, by reason."""
NOT_KNOWN = N_("未知")
HEAT_TITLE = N_("失败原因分布（条）")
HEAT_SUMMARY = N_("最多的是%(what)s的%(reason)s，%(n)s 条。")
FAILURES_LEAD = N_("所选时间内有分段被运营商判为失败的短信，按原因交叉统计；点数字查看这些短信，按建议处理。")
FAILURES_EMPTY = N_("这段时间没有失败的短信")
FAILURES_TEACHES = N_("运营商回执为失败的短信，按原因汇总在这里。")
BY_HOUR = N_("按小时")
STAGE: dict[str, str] = {"queue": N_("受理到提交"), "answer": N_("提交到应答"), "report": N_("应答到回执")}
DELAYS_TITLE = N_("各环节耗时（P90，秒）")
DELAYS_SUMMARY = N_("共 %(n)s 条短信。")
DELAYS_LEAD = N_("受理、提交、应答、回执各环节的耗时分位数，取所选时间内最近 20 万条；定时短信的等待计入受理到提交。")
DELAYS_EMPTY = N_("这段时间没有提交给运营商的短信")
DELAYS_TEACHES = N_("短信提交给运营商后，各环节的耗时汇总在这里。")

# --- checks of figures ------------------------------------------------------------------------------------------------

SPAN: dict[str, str] = {"day": N_("日"), "month": N_("月")}
CHECK_STATE: dict[str, str] = {"right": N_("一致"), "wrong": N_("有差异"), "open": N_("回执未齐")}
CHECK_TONE: dict[str, str] = {"right": "green", "wrong": "red", "open": "azure"}
CHECK_NOTICE: dict[str, str] = {
    "right": N_("全部数字与记录一致。"),
    "wrong": N_("有数字与记录不一致，见下。请核实记录是否被改动，并重新统计这一天（smsgwctl stats recount）。"),
    "open": N_("状态报告尚未收齐，先核对提交账；收齐后逐项核对。"),
}
CHECKS_LEAD = N_(
    "每晚自动核对：日 = 当日记录之和，月 = 各日之和；受理 = 已提交 + 有原因未提交 + 暂存，差额须为 0。"
    "提交率 = 已提交 ÷ 受理；提交成功率剔除有原因未提交的和暂存的，应为 100%。有差异时告警。"
)
CHECKS_EMPTY = N_("这段时间没有核对结果")
CHECKS_TEACHES = N_("有短信的日子，次日凌晨自动核对，结果显示在这里。")
DIFFERENCE = N_("差异")
DIMENSION: dict[str, str] = {
    "": N_("账号合计"), "type": N_("短信类型"), "sign": N_("签名"), "channel": N_("通道"), "carrier": N_("运营商"),
    "province": N_("归属地"), "origin": N_("来源"), "submitter": N_("提交人"),
}  # fmt: skip
ENDED: dict[str, str] = {
    "accepted": N_("受理"), "delivered": N_("成功"), "failed": N_("失败"), "unknown": N_("最终未知"),
    "unsent": N_("未发出"),
}  # fmt: skip
UNIT: dict[str, str] = {"messages": N_("短信条数"), "units": N_("计费条数")}

# --- success of channels ----------------------------------------------------------------------------------------------

CATEGORY: dict[str, str] = {
    "blacklist": N_("黑名单"), "blocker": N_("软件屏蔽"), "network": N_("运营商基站网络问题"),
    "handset": N_("手机用户自身问题"), "customer": N_("客户手机屏蔽"), "words": N_("敏感词"), "other": N_("其他"),
}  # fmt: skip
ANY_CATEGORY = N_("全部剔除的")
SUCCESS_GROUP: dict[str, str] = {"carrier": N_("按通道与运营商"), "day": N_("按通道与日")}
SUCCESS_BY = N_("按通道")
SUCCESS_LEAD = N_(
    "按受理日期统计在通道有结果的短信：未剔除 = 成功 ÷（成功 + 失败 + 最终未知）；剔除后再减去剔除规则所列的失败，"
    "各日用当日有效的规则版本。剔除每 5 分钟统计一次。"
)
SUCCESS_EMPTY = N_("这段时间没有通道结果")
SUCCESS_TEACHES = N_("短信经通道发出并有结果后，各通道的成功率显示在这里。")
SUCCESS_TITLE = N_("各日结果（条）与成功率")
SUCCESS_SUMMARY = N_("有结果 %(ended)s 条，成功 %(delivered)s，剔除 %(left_out)s，剔除规则：%(rules)s。")
RAW_RATE, COUNTED_RATE = N_("未剔除成功率（%）"), N_("剔除后成功率（%）")
FAILED_COUNTED = N_("失败（计入）")
NO_RULES = N_("无")
LEFT_OUT = N_("剔除")
SHIFT = N_("转移流量")
EXCLUSIONS = N_("剔除规则")
EXCLUSION_NEW = N_("新版本")
EXCLUSION_TITLE = N_("新增剔除规则版本")
EXCLUSION_SEND = N_("保存新版本")
EXCLUSION_ABOUT = N_("所选日期起，以下原因的失败不计入通道成功率；已经过去的日子沿用当时的版本，版本不能修改或删除。")
EXCLUSION_EFFECT = N_(
    "自 %(from)s 起剔除 %(classes)s 种原因和 %(codes)s 个代码；晚于这一天开始的其他版本不再生效。操作记入审计日志。"
)
EXCLUSION_SAVED = N_("第 %(version)s 版已保存")
EXCLUSIONS_LEAD = N_("哪些失败不计入通道成功率。每个版本自某日起有效，各日按当日有效的版本统计。")
EXCLUSIONS_EMPTY = N_("还没有剔除规则")
EXCLUSIONS_TEACH = N_("没有规则时全部失败都计入。新增版本后，自所选日期起，所列原因的失败不计入通道成功率。")
COUNTED_HELP = N_("选了类别的原因不计入成功率；留空的照常计入。")
CODES_HELP = N_("一行一个：代码和类别，用空格隔开，如“MK:0005 手机用户自身问题”；代码优先于所属原因。")
CODE_LINE = N_("第 %(n)s 行须为“代码 类别”，类别可用：%(known)s")
CODE_TWICE = N_("第 %(n)s 行的代码重复")
CLASS_FIELD = {"UNKNOWN": "failure_unknown"}
"""Labels of classes that have another than their own."""
BY_CLASS = N_("按失败原因")
BY_CODE = N_("按原始码")
EXCLUSION_STATE: dict[str, str] = {"now": N_("生效中"), "ahead": N_("待生效"), "over": N_("已被取代")}
EXCLUSION_TONE: dict[str, str] = {"now": "green", "ahead": "azure", "over": "secondary"}

# --- rebates ---------------------------------------------------------------------------------------------------------

REFUND = "refund"
REBATE: dict[str, str] = {REFUND: N_("失败返还"), "rebate": N_("返点")}
REBATES_LEAD = N_(
    "未发出的短信，以及按账号约定未能送达的短信，所退回的条数，和按返点规则每月返还的条数；"
    "金额按原扣费时的单价计算（返点按返还时的单价），改价不影响已有记录。"
)
REBATES_EMPTY = N_("这段时间没有返点记录")
REBATES_TEACHES = N_("短信未能发出，或账号开启了失败返还而短信未能送达时，退回的条数自动记在这里。")
