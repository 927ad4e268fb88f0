"""The words of the approval centre (审批中心)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {
    "pending": N_("待审"),
    "passed": N_("已通过"),
    "rejected": N_("已驳回"),
    "expired": N_("已失效"),
    "withdrawn": N_("已撤回"),
}
STATE_TONE: dict[str, str] = {"pending": "purple", "passed": "green", "rejected": "red", "expired": "secondary",
                              "withdrawn": "secondary"}  # fmt: skip
OVER: dict[str, str] = {state: label for state, label in STATE.items() if state != "pending"}
KIND: dict[str, str] = {"false": N_("短信"), "true": N_("任务")}

WAITING_TAB = N_("待审")
OVER_TAB = N_("已审")
LEAD = N_("本人提交的内容须由他人审批；通过后进入发送队列。")
OVER_LEAD = N_("已通过、已驳回和已失效的内容，以及由谁在何时审批。")
EMPTY = N_("没有待审批的内容")
TEACHES = N_("命中敏感词、号码数超过上限或账号要求审批的短信和任务，会在这里等待审批，无论来自页面还是接口。")
OVER_EMPTY = N_("这里还没有已审的内容")
OVER_TEACHES = N_("审批后的内容会保留在这里，供查询。")

URGENT = N_("特发")
PASS = N_("通过")
REJECT = N_("驳回")
PASS_EFFECT = N_(
    "将通过 %(n)s 件，共 %(numbers)s 个号码：短信 %(calls)s 件（%(parts)s 条）、发送任务 %(tasks)s 个。"
    "通过后进入发送队列，定时的在计划时间发送，不在允许时段内的顺延。"
)
REJECT_EFFECT = N_(
    "将驳回 %(n)s 件，共 %(numbers)s 个号码：短信 %(calls)s 件（%(parts)s 条）、发送任务 %(tasks)s 个。"
    "驳回后不会发送，已扣条数退回；提交人会看到原因。"
)
OWN_SKIPPED = N_("其中 %(own)s 件由您本人提交，不会处理。")
OWN = N_("由您本人提交，须由他人审批。")
WORD_WITHOUT_CATEGORY = N_("敏感词")

DIFFERS = N_("不同")
RISK: dict[str, str] = {
    "link": N_("含链接：%(links)s（已报备或在已审核模板中）"),
    "new_link": N_("含新链接：%(links)s（未报备，也不在已审核模板中）"),
    "new_sign": N_("新签名：【%(sign)s】%(days)s 天前才通过审核"),
    "no_sign": N_("签名【%(sign)s】没有审核记录"),
    "night": N_("营销短信将在夜间 %(time)s 开始发送"),
    "strangers": N_("抽查 %(asked)s 个号码，%(share)s%% 该账号从未发过"),
    "empty": N_("抽查 %(asked)s 个号码，%(share)s%% 是空号"),
    "unknown": N_("抽查 %(asked)s 个号码，%(share)s%% 状态未知"),
    "first": N_("提交人 %(submitter)s 首次发送"),
}
"""What a reviewer should think about; the keys are of ``platform.review.insight``."""

# --- rules -----------------------------------------------------------------------------------------------------------

RULES = N_("审批规则")
RULES_LEAD = N_(
    "哪些短信和任务须先审批，以及各类短信的发送时段。按账号和类型设置，没有设置的沿用上级；页面与接口同样适用。"
    "含须审批敏感词的内容总是须审批，在“敏感词”中设置。"
)
RULES_EDIT = N_("修改审批规则")
RULES_SAVE = N_("保存规则")
RULES_SAVED = N_("审批规则已保存，数秒内生效")
RULES_HELP = N_("留空即沿用上级：先看该账号和类型，再看该账号，再看上级账号和全部账号。")
EVERYBODY = N_("全部账号")
ANY_TYPE = N_("全部类型")
INHERITED = N_("按模板：未使用已审核模板的内容须审批。")
OVER_HELP = N_("一次发送的号码数超过它须审批；0 为不限。")
SIGN_HELP = N_("签名通过审核不足这些天须审批，没有审核记录的也须审批；0 为不限。")
LINK_HELP = N_("链接未报备、也不在该账号已审核模板中的，须审批。")
REVIEW: dict[str, str] = {"off": N_("不审批"), "untemplated": N_("未用模板须审批"), "all": N_("全部须审批")}
YES_NO: dict[str, str] = {"true": N_("须审批"), "false": N_("不审批")}
HOURS_EDIT = N_("修改发送时段")
HOURS_HELP = N_(
    "北京时间，可按星期设多个时段；时段外，任务等到下一时段发送，接口和协议提交的短信被拒绝（TIME_WINDOW_CLOSED）。"
    "留空即沿用上级；任何时间都可发送时填 00:00 至 00:00。"
)
HOURS_EFFECT = N_(
    "将修改“%(name)s”的发送时段。按昨日全天抽取的 %(messages)s 条短信计算"
    "（每 5 分钟从最早的 %(read)s 条中取至多 %(each)s 条），"
    "在时段外的有：任务的 %(waits)s 条（须等待）、接口和协议提交的 %(refused)s 条（会被拒绝）；"
    "现行时段共 %(now)s 条。运行中的任务也按新时段发送。"
)
RULES_EFFECT = N_(
    "将修改“%(name)s”的审批规则。按昨日的发送计算：%(messages)s 条短信中会有 %(held)s 条须审批"
    "（现行规则为 %(held_now)s 条），"
    "%(tasks)s 个任务中会有 %(tasks_held)s 个须审批（现行规则为 %(tasks_now)s 个）。"
)
FIRST_ONES = N_("昨日的发送较多，只计算了最早 100,000 条中的至多 5,000 条短信，和至多 500 个任务。")
EFFECT_UNKNOWN = N_("将修改“%(name)s”。昨日的短信没能在限时内算完，会影响多少尚不清楚；可以稍后再试，也可以现在确认。")
TIMES = N_("等待时限")
REMIND_HELP = N_("等待超过这些分钟标为红色，并产生告警。")
EXPIRE_HELP = N_("短信无人审批超过这些小时即失效，已扣条数退回；任务一直等待。")
TIMES_EFFECT = N_(
    "等待超过 %(review_remind_minutes)s 分钟提醒，短信 %(review_expire_hours)s 小时后失效。"
    "现在等待的 %(n)s 件中有 %(late)s 件已超过提醒时限。"
)
