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
