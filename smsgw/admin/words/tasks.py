"""The words of tasks: their lists, what can be done to them, and what that does."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.admin.words.home import TASK_STATE

STATE: dict[str, str] = {
    **{state: label for state, (label, _) in TASK_STATE.items()},
    "finished": N_("已完成"),
    "cancelled": N_("已取消"),
    "failed": N_("失败"),
}
STATE_TONE: dict[str, str] = {
    **{state: tone for state, (_, tone) in TASK_STATE.items()},
    "finished": "green",
    "cancelled": "secondary",
    "failed": "red",
}
UNDER_WAY = frozenset(TASK_STATE)
"""States of tasks that can be cancelled, …"""
MOVING = frozenset({"importing", "running", "sent"})
"""… and of those whose figures change by themselves."""
EDIT_REJECTED = N_("修改未通过审批，任务仍按修改前已批准的内容发送。理由：%(reason)s")
WHY: dict[str, str] = {
    "PAUSED": N_("已由人员暂停"),
    "NO_ROUTE": N_("暂无可用通道，稍后自动重试"),
    "RESTORED": N_("数据库从备份恢复，备份之后的部分可能已经发出，请核对后再继续"),
    "REVIEW_REJECTED": N_("审批未通过"),
    "TO_EMPTY": N_("没有有效的号码"),
    "STAGE_WATCHED": N_("这一步已发完，正在观察结果"),
}
STEP_TO = N_("%(share)s：至第 %(n)s 个号码")
STEP_MINUTES = N_("每步至少观察 %(n)s 分钟")
STEP_LIMITS = N_("失败超过 %(failed)s%%、退订超过 %(opted_out)s%% 或投诉超过 %(complained)s%% 时自动停止")
STEPPED = N_("逐步发送")
STAGE_WHY: dict[str, str] = {
    "failed": N_("失败的短信过多"),
    "opted_out": N_("退订的收信人过多"),
    "complained": N_("投诉过多"),
    "unknown": N_("超过 24 小时仍有两成以上的短信没有结果"),
}
HALTED = N_(
    "逐步发送在第 %(stage)s 步自动停止：%(why)s，%(count)s 条，占 %(of)s 条的 %(share)s%%，限值为 %(limit)s%%。"
    "后面的号码没有发送，请决定继续还是取消。"
)
MEASURE: dict[str, str] = {"failed": N_("失败"), "opted_out": N_("退订"), "complained": N_("投诉")}
VERDICT: dict[str, str] = {"over": N_("超过限值"), "near": N_("接近限值"), "within": N_("未超过")}
VERDICT_TONE: dict[str, str] = {"over": "red", "near": "orange", "within": "green"}
DECIDED: dict[str, str] = {
    "passed": N_("未超过限值，自动进入下一步"),
    "halted": N_("自动停止"),
    "released": N_("由人员决定继续"),
}
DECIDED_TONE: dict[str, str] = {"passed": "green", "halted": "red", "released": "blue"}
RELEASE = N_("立即进入下一步")
RELEASE_EFFECT = N_("将不再等待观察，直接发送下一步的 %(next)s 个号码；之后仍按限值自动停止。")
GO_ON = N_("仍然继续发送")
GO_ON_EFFECT = N_("将在自动停止后继续发送，下一批为 %(next)s 个号码；从这里起重新统计，超过限值会再次停止。")
TIMED: dict[str, str] = {"true": N_("定时或周期"), "false": N_("立即发送")}
LEAD = N_("进度和结果按最近一次统计显示；点击任意一行查看详情。")
EMPTY = N_("这段时间没有发送任务")
TEACHES = N_("向较多号码、按文件或在指定时间发送时会建立发送任务，可随时暂停、继续和取消。")
SCHEDULED_LEAD = N_(
    "尚未开始的定时任务和仍会再次发送的周期任务；开始之前可编辑、改期或取消；按状态筛选可查看已开始、已完成和已取消的定时任务。"
)
SCHEDULED_EMPTY = N_("没有等待发送的定时任务")
SCHEDULED_TEACHES = N_("设有计划时间的发送任务在开始之前显示在这里。")
SINGLE = N_("定时的单次短信")
IMPORTING = N_("正在读入号码，完成后自动开始。")
IMPORTING_ROWS = N_("正在读入号码：已读 %(done)s 行，共 %(total)s 行，完成后自动开始。")

SCHEDULED_TABS = ((N_("列表"), "/scheduled"), (N_("日历"), "/scheduled/calendar"))
WEEKDAYS = (N_("周一"), N_("周二"), N_("周三"), N_("周四"), N_("周五"), N_("周六"), N_("周日"))
COPY = N_("复制为草稿")
MEND = N_("修改后重发")
MEND_ROWS = N_("下载问题行")
MEND_ROWS_BUT = N_("下载问题行（不含重复的 %(n)s 行）")
PAUSE = N_("暂停")
RESUME = N_("继续")
CANCEL = N_("取消任务")
PAUSE_EFFECT = N_("将暂停 %(n)s 个任务，共有 %(left)s 个号码尚无结果；已交给运营商的无法收回，其余停在队列中。")
RESUME_EFFECT = N_("将继续 %(n)s 个任务，从暂停处接着发送，共有 %(left)s 个号码尚无结果。")
CANCEL_EFFECT = N_(
    "将取消 %(n)s 个任务，共有 %(left)s 个号码尚无结果：未提交运营商的不再发送，已扣条数退回；已提交的无法撤回。"
    "取消后不能恢复。"
)
RUN_NOW = N_("立即开始")
RUN_NOW_EFFECT = N_("将不再等待计划时间，%(n)s 个任务立即开始，共有 %(left)s 个号码。")
RESCHEDULE = N_("改期")
RESCHEDULE_HELP = N_("格式如 2026-10-01 09:30，北京时间，最晚为一年内。")
RESCHEDULED = N_("已改期")
RESCHEDULE_EFFECT = N_("任务“%(name)s”（%(numbers)s 个号码）将改在 %(time)s 开始发送。")
EDIT = N_("编辑任务")
EDIT_SAVE = N_("保存修改")
EDIT_TIME = N_("时间")
EDIT_OPTIONS = N_("选项")
EDIT_CONTENT_HELP = N_("使用模板的任务不能改内容和签名；{变量} 只能用建立任务时已有的。")
EDIT_POOL_HELP = N_("只列出路由规则允许该账号使用的通道池；它没有可用通道时改走路由规则的通道。")
EDIT_FREQUENCY_HELP = N_("例如每 7 天最多 1 条；条数和周期都留空则不另外限制。")
EDIT_STEPS_HELP = N_("如 1, 10，最后一步自动为全部；留空则一次发完。")
EDIT_EFFECT = N_(
    "任务“%(name)s”有 %(numbers)s 个号码：预计 %(parts)s 条改为 %(parts_then)s 条，"
    "计费 %(units)s 条改为 %(units_then)s 条；条数在发送时扣除，现在没有预扣。"
)
EDIT_ESTIMATE = N_("条数按均匀抽取的 %(n)s 行推算。")
EDIT_MOVES = N_("将改在 %(time)s 开始发送。")
EDIT_HELD = N_("修改后须由他人重新审批，通过之前不会发送；原来的审批作废。原因：%(why)s。")
EDIT_FREE = N_("修改后不再需要审批，到时间自动发送。")
EDIT_STAYS = N_("内容未变或不需要审批，到时间按新的设置发送。")
AS_SCENARIO = N_("存为业务场景")
EDIT_ROUND = N_("编辑周期任务")
EDIT_ROUND_HELP = N_(
    "从下一次起按新的规则、内容和设置发送；已发送的各次保留当时的内容和结果。正在发送时不能修改，请先等它发完或取消。"
)
EVERY_AT_HELP = N_("如 09:00；多个时刻用逗号分开。")
ON_WEEK_HELP = N_("每周发送时选择星期。")
ON_MONTH_HELP = N_("每月发送时选择日期；没有该日的月份跳过，“最后一天”总有。")
UNTIL_HELP = N_("如 2026-12-31，当天仍会发送；留空则一直重复，可随时取消。")
EDIT_COMING = N_("之后将在 %(times)s 发送（最多列出 5 次）。")
EDIT_DONE = N_("已开始过的 %(n)s 次不受影响。")
RUN_MADE = N_("第 %(run)s 次 · %(at)s · %(n)s 个号码")
RUN_MISSED = N_("第 %(run)s 次 · %(at)s · 错过")
RUN_SAID = N_("%(run)s · 内容：%(text)s")
AND = N_("、")
EDITED = N_("任务已修改")
EDITED_HELD = N_("任务已修改，等待他人审批")
NO_TIME = N_("请按“年-月-日 时:分”填写，例如 2026-10-01 09:30")
PAST = N_("计划时间须晚于现在")
RECORDS = N_("查看发送记录")
REPORT = N_("发送数据报表")
REPORT_LEAD = N_("最近一次发送的结果，一条短信记一次，最多统计 200,000 条；没有生成短信的行见“问题号码”。")
REPORT_EMPTY, REPORT_TEACHES = N_("还没有发送结果"), N_("请从任务详情打开，或在此填写任务号。任务开始发送后才有结果。")
REPORT_CHART = N_("%(name)s：发送结果（条）")
UNTOLD: dict[str, str] = {"gone": N_("已超过保存期限"), "uncounted": N_("暂未统计出来，请稍后刷新")}
"""Why it is not said how many have clicked."""
CLICK_SUMMARY = N_("点击短链 %(clicked)s，未点击 %(unclicked)s。")
CLICK_RATE = N_("点击率（%）")
BY_CARRIER = N_("按运营商")
REPORT_GROUP: dict[str, str] = {
    "province": N_("按归属地"),
    "channel": N_("按通道"),
    "reason": N_("按未送达原因"),
    "hop": N_("按回落"),
}
NOT_KNOWN = N_("未知")
PROBLEMS = N_("问题号码")
PROBLEMS_LEAD = N_("没有生成短信的行：导入时被清除的，或发送时被拒绝的。可导出后修改，重新提交。")
PROBLEMS_EMPTY = N_("没有问题号码")
PROBLEMS_TEACHES = N_("请从任务详情打开，或在此填写任务号。")

UNCLICKED = N_("再次发送给未点击的人")
UNCLICKED_EFFECT = N_(
    "这个任务的号码中，%(n)s 个还没有点击短链，将建立一份内容相同、只发给这些号码的草稿；"
    "已点击的 %(clicked)s 个号码不会再收到，"
    "发送失败原因为空号或运营商黑名单的 %(dead)s 个号码默认不发。确认后才发送；在那之前又点击的人也不会收到，"
    "定时发送的，确认之后才点击的人仍会收到。%(unkept)s"
)
UNCLICKED_NONE = N_("这个任务没有带个性化短链且未点击的号码（已点击 %(clicked)s 个），没有可再次发送的。")
UNCLICKED_DEAD = N_("也发给空号和运营商黑名单中的 %(dead)s 个号码（多半再次失败，照常计费）")
UNCLICKED_ONE = N_("一次只能对一个任务再次发送，请只选一个任务。")
UNCLICKED_DONE = N_("已建立草稿，接收号码为未点击的 %(n)s 个")
