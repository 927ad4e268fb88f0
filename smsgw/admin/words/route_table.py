"""The words of the route table: what is in force, drafts, trials, versions, retries and explanations."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LEAD = N_("短信受理时按规则从上到下选择通道组，第一条符合的生效；没有符合的按运营商选择。改动先成草稿，试算后发布。")
EDIT, GO_ON, VERSIONS, RETRIES, OVERVIEW = (
    N_("编辑路由"), N_("继续编辑草稿"), N_("历史版本"), N_("重试规则"), N_("路由策略"),
)  # fmt: skip
DRAFT, TRIAL, PUBLISH, DISCARD = N_("路由草稿"), N_("试算"), N_("发布"), N_("放弃草稿")
RULE_ADD, RULE_EDIT, RULE_REMOVE = N_("新增规则"), N_("修改规则"), N_("删除规则")
POOL_ADD, POOL_EDIT, POOL_REMOVE = N_("新增通道组"), N_("修改通道组"), N_("删除通道组")
SAVE, KEEP, REMOVE = N_("保存到草稿"), N_("保留我的草稿"), N_("删除")
PUBLISH_TITLE, DISCARD_TITLE = N_("发布路由"), N_("放弃路由草稿")
ROLL_BACK, ROLL_BACK_TITLE = N_("回退到此版本"), N_("回退路由")
CONDITION: dict[str, str] = {
    "account": N_("账号"),
    "type": N_("类型"),
    "carrier": N_("运营商"),
    "province": N_("归属地"),
    "sign": N_("签名"),
    "prefix": N_("号码开头"),
    "keyword": N_("关键字"),
    "hours": N_("时段"),
}
"""What a rule may ask for, in the order in which it is shown."""
WHAT: dict[str, tuple[str, str]] = {
    "added": (N_("新增"), "green"),
    "removed": (N_("已删除"), "red"),
    "changed": (N_("修改"), "orange"),
    "moved": (N_("调整顺序"), "blue"),
}
KIND: dict[str, str] = {"pool": N_("通道组"), "rule": N_("规则")}
ROLE: dict[str, str] = {"": N_("不使用"), "primary": N_("主用"), "standby": N_("备用")}

NAME_HELP = N_("不超过 64 个字，各规则不同。")
POOL_NAME_HELP = N_("小写字母、数字、- _ .，不超过 64 个；建成后不能改名。")
POOL_NAME_BAD = N_("须为小写字母、数字、- _ .，以字母或数字开头，不超过 64 个")
POOL_NAME_TAKEN = N_("已有同名通道组")
POOL_NAME_RESERVED = N_("以 only- 开头的名称留给切换账号或签名的通道组")
RULE_NAME_RESERVED = N_("以 move 和空格开头的名称留给切换账号或签名的规则")
SWITCHING = N_("切换账号或签名的规则")
SWITCHING_HELP = N_("此规则由切换通道产生，这里只能调整先后；内容在账号的“切换通道”中修改或恢复，也可以从草稿删除。")
RULE_NAME_TAKEN = N_("已有同名规则")
LINES_HELP = N_("每行一个，任一符合即可；留空表示不限。")
PREFIX_HELP = N_("号码的开头几位，每行一个，如 138、1390013；境外号码写国家码。留空表示不限。")
KEYWORD_HELP = N_("正文（含签名）包含其中任一个，每行一个；留空表示不限。")
HOURS_HELP = N_("受理时间，如 22:00-06:00；留空表示全天。")
HOURS_BAD = N_("格式须为 08:00-21:00，可跨零点")
PREFIX_BAD = N_("第 %(n)s 行不是数字")
TOO_MANY = N_("最多 %(n)s 个")
NO_ACCOUNT = N_("没有账号 %(name)s")
PLACE_HELP = N_("规则从上到下，第一条符合的生效。")
FIRST, BEHIND = N_("最前"), N_("在“%(name)s”之后")
CONDITIONS, CONDITIONS_HELP = N_("条件"), N_("各项都符合才生效；全部留空则对所有短信生效。")
CARRIER_POOL = N_("%(name)s（按运营商）")
POOL_IN_USE = N_("规则“%(name)s”仍在使用此通道组，请先修改该规则")
NO_PRIMARY = N_("至少要有一个主用通道")
BAD_WEIGHT = N_("权重须为 1 至 1000 的整数")
SAVED, REMOVED, BEGUN = N_("已保存到草稿，尚未生效"), N_("已从草稿删除，尚未生效"), N_("已按正在生效的版本建立草稿")
DISCARDED, KEPT = N_("草稿已放弃"), N_("草稿已保留，发布后将取代新版本的改动")
MERGED = N_("已把新版本的改动合并到草稿")
MERGED_CLASHES = N_("已合并；%(names)s 双方都改过，以您的草稿为准，请核对")
RULE_REMOVE_EFFECT = N_("将从草稿中删除规则“%(name)s”。发布前不影响发送。")
POOL_REMOVE_EFFECT = N_("将从草稿中删除通道组“%(name)s”。发布前不影响发送；发布时组内等待的短信按新路由改走。")
DISCARD_EFFECT = N_("将放弃草稿中的 %(n)s 处改动，不能恢复。正在生效的路由不变。")
NOTE_HELP = N_("写明原因，记入路由版本和审计日志。")
PUBLISH_EFFECT = N_("将发布 %(changes)s 处改动，几秒内在所有节点生效。%(trial)s%(waiting)s可随时回退。")
ROLL_BACK_EFFECT = N_(
    "将以版本 %(version)s 的内容发布新版本，与正在生效的有 %(changes)s 处不同，几秒内在所有节点生效。"
    "%(trial)s%(waiting)s"
)
TRIED = N_(
    "按%(span)s的 %(messages)s 条短信试算：%(moved)s 条改走其他通道，%(lost)s 条没有可用通道（现为 %(lost_now)s 条）；"
    "%(over)s 个通道在最忙时段超过速率上限。"
)
TRIED_SAMPLE = N_(
    "从%(span)s约 %(messages)s 条短信中逐分钟抽样估算：约 %(moved)s 条改走其他通道，约 %(lost)s 条没有可用通道"
    "（现约 %(lost_now)s 条）；估计 %(over)s 个通道在最忙时段超过速率上限。"
)
TRIED_PART = N_(
    "%(span)s的短信过多，只试算了其中 %(messages)s 条，实际不少于：%(moved)s 条改走其他通道，%(lost)s 条没有可用通道"
    "（现为 %(lost_now)s 条），%(over)s 个通道在最忙时段超过速率上限。"
)
NOTHING_TRIED = N_("昨天和今天都没有短信，无法试算对发送的影响。")
NOT_TRIED = N_("无法试算：几秒内没有算出，有多少短信改走、有没有可用通道和是否超过速率上限都不知道。")
WAITING = N_("%(n)s 条短信在将取消的通道组中等待，会随之改走；因切换账号或签名的规则而改走的未计入。")
WAITING_MANY = N_("多于 %(n)s 条短信在将取消的通道组中等待，会随之改走；因切换账号或签名的规则而改走的未计入。")
WAITING_UNKNOWN = N_("有多少等待的短信会随之改走，暂时统计不出。")
TRIAL_LATE = N_("无法试算：没有在限定时间内算出。请换一个较短的时段，或稍后再试；草稿仍可发布。")
PUBLISHED = N_("版本 %(version)s 已生效，等待中的短信正在核对")
ROLLED_BACK_NOTE = N_("回退到版本 %(version)s：%(reason)s")
SPAN: dict[str, str] = {"yesterday": N_("昨天"), "today": N_("今天"), "hour": N_("最近一小时")}
VERSIONS_EMPTY = N_("还没有发布过路由")
VERSIONS_TEACH = N_("发布前按运营商选择通道。每次发布、切换通道和回退都留下一个版本，可随时回到其中任何一个。")
VERSIONS_LEAD = N_("最新的版本正在生效。任何一个旧版本都可以重新生效，回退本身也留下版本。")
IN_FORCE: dict[str, str] = {"now": N_("正在生效"), "old": N_("历史")}
IN_FORCE_TONE: dict[str, str] = {"now": "green", "old": "secondary"}
SUBMITTED_TAB = N_("等待批准")
SUBMITTED = N_("已提交，等待另一人批准；批准之前路由不变。")
SUBMITTED_LEAD = N_("须由第二人批准的路由表：批准的就是提交时的那一份，不能批准自己提交的。")
SUBMITTED_EMPTY = N_("还没有提交过路由表")
SUBMITTED_TEACH = N_("系统参数 route_approval 打开后，发布、回退和切换通道都先提交，由另一人在这里批准后生效。")
SUBMISSION: dict[str, str] = {
    "waiting": N_("等待批准"), "approved": N_("已批准"), "rejected": N_("已驳回"), "withdrawn": N_("已撤回"),
}  # fmt: skip
SUBMISSION_TONE: dict[str, str] = {
    "waiting": "orange", "approved": "green", "rejected": "red", "withdrawn": "secondary",
}  # fmt: skip
SUBMISSION_NAME = N_("路由表 %(n)s")
APPROVE, APPROVE_TITLE, REJECT, REJECT_TITLE = N_("批准"), N_("批准路由表"), N_("驳回"), N_("驳回路由表")
WITHDRAW = N_("撤回")
APPROVE_EFFECT = N_("将批准 %(by)s 提交的 %(changes)s 处改动，几秒内在所有节点生效。%(trial)s%(waiting)s可随时回退。")
REJECT_EFFECT = N_("将驳回 %(by)s 提交的路由表，路由不变；提交人的草稿仍在。")
REJECTED, OWN_WAITS = N_("路由表已驳回，路由不变。"), N_("这是您提交的，须由另一人批准。")
OLD_BASE = N_("提交之后已发布了版本 %(n)s，这一份不能再批准：请驳回后重新提交。")
