"""The words of business kinds, of how often and when they are sent (频控与时段)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LEAD = N_(
    "每种业务类型何时可发、同一号码多久可收一次、走哪个通道组、是否须审批。自定义类型属于一种内置类型："
    "优先级、价格和法定要求（退订用语、用户同意）随内置类型，其余没有单独设置的也沿用它。"
)
FIXED, RETIRED = N_("内置"), N_("已停用")
ADD, ADD_TITLE = N_("新增业务类型"), N_("新增业务类型")
NAME_HELP = N_("供接口使用，保存后不能修改：2 至 32 位小写字母、数字或下划线，以字母开头，如 bill。")
LABEL_HELP = N_("页面和报表中显示的名称，最多 12 个字，以后可以修改。")
BASE_HELP = N_("决定优先级、价格和法定要求，保存后不能修改。营销内容必须选营销。")
ADD_EFFECT = N_(
    "将新增业务类型“%(label)s”（%(name)s），属于%(base)s。几秒后接口和页面可用；接口名和所属类型不能再改，类型只能停用、"
    "不能删除。"
)
ADDED = N_("业务类型已新增")
RENAME, RENAME_TITLE, RENAMED = N_("改名"), N_("修改业务类型名称"), N_("名称已修改")
RETIRE, RETIRE_TITLE, RETIRE_DONE = N_("停用"), N_("停用业务类型"), N_("业务类型已停用")
RETIRE_EFFECT = N_(
    "停用“%(name)s”后，接口提交会被拒绝，页面不再可选；已受理的短信照常发送，历史记录和报表不变，可以随时恢复。"
    "最近 7 天发送了 %(messages)s 条，未结束的任务 %(tasks)s 个（照常发完），路由规则 %(rules)s 条。"
)
RESTORE, RESTORE_TITLE, RESTORED = N_("恢复使用"), N_("恢复业务类型"), N_("业务类型已恢复使用")
RESTORE_EFFECT = N_("恢复“%(name)s”后，几秒内接口和页面可以再次使用，原有的时段、频控和审批规则继续有效。")
FREQUENCY, SAVE, SAVED = N_("修改频控"), N_("保存"), N_("频控已保存，数秒内生效")
FREQUENCY_HELP = N_(
    "同一号码最多收到的条数与时长，可写几条：1/1m 5/1h 10/1d 即每分钟 1 条、每小时 5 条、每天 10 条。"
    "off 为不限；留空沿用上级。"
)
ALL_HELP = N_("其他账号合计发给同一号码的上限，写法同上；自定义类型与所属内置类型合计。")
IDENTICAL_HELP = N_("这些秒数内同一内容只发一次；0 为不限。")
PER: dict[str, str] = {"number": N_("按号码"), "template": N_("按号码和模板")}
FREQUENCY_EFFECT = N_(
    "将修改“%(name)s”的频控。按昨日全天均匀抽取的 %(numbers)s 个号码收到的 %(messages)s 条短信计算，"
    "会拒绝 %(refused)s 条（现行频控为 %(now)s 条）；每个号码从当日零点起算，不计其他账号和相同内容。"
    "每 5 分钟只看最早的 %(read)s 条，少见的类型可能抽取不到。"
)
APART = N_("单独计数")
NO_LIMIT = N_("不限")
BY_CARRIER = N_("按运营商")
GATES, GATES_SAVED = N_("修改发送条件"), N_("发送条件已保存，数秒内生效")
SIGNS: dict[str, str] = {
    "approved": N_("仅限本账号已审核的签名"),
    "registered": N_("仅限已审核且已在号码所属运营商报备的签名"),
    "off": N_("任意签名"),
}
SIGNS_HELP = N_("选“任意签名”后，接口可以冒用他人的签名发送。留空沿用上级，最上级为仅限本账号已审核的签名。")
LINKS: dict[str, str] = {"marketing": N_("须已报备"), "off": N_("不检查")}
LINKS_HELP = N_("选“不检查”后，营销短信可以含未报备的链接，运营商可能拦截。留空沿用上级，最上级为须已报备。")
CONSENT: dict[str, str] = {"marketing": N_("须已同意"), "off": N_("不检查")}
CONSENT_HELP = N_("选“不检查”后，营销短信可以发给未同意接收的号码，容易引起投诉。留空沿用上级，最上级为须已同意。")
SIGNS_EFFECT = N_(
    "将修改“%(name)s”的发送条件。按昨日全天均匀抽取的 %(messages)s 条短信和现有的签名计算，"
    "会因签名拒绝 %(sign_policy)s 条（现行条件为 %(now)s 条）。"
    "每 5 分钟只看最早的 %(read)s 条，少见的类型可能抽取不到。"
)
GATES_EFFECT = N_(
    "将修改“%(name)s”的发送条件。按昨日全天均匀抽取的 %(messages)s 条短信和现有的签名、报备、同意记录计算，"
    "会因签名拒绝 %(sign_policy)s 条、因链接拒绝 %(filed_links)s 条、因用户同意拒绝 %(consent)s 条"
    "（现行条件共 %(now)s 条）。"
    "每 5 分钟只看最早的 %(read)s 条，少见的类型可能抽取不到。"
)
