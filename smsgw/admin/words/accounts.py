"""The words of sending accounts (业务管理)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STANDING: dict[str, str] = {"active": N_("已启用"), "stopped": N_("已停用"), "halted": N_("上级停用")}
STANDING_TONE: dict[str, str] = {"active": "green", "stopped": "secondary", "halted": "orange"}
PROTOCOL: dict[str, str] = {"http": "HTTP", "smpp": "SMPP", "cmpp": "CMPP"}
LEAD = N_("短信账号决定价格、接入方式、限额和数据归属；账号可以分上下级，上级的停用与日上限也管到下级。")
EMPTY, TEACHES = N_("还没有短信账号"), N_("新建账号并充值后，本单位的人员和业务系统即可发送短信。")
ADD, ADD_TITLE, CREATE = N_("新建账号"), N_("新建短信账号"), N_("新建")
EDIT, EDIT_TITLE, SAVE, SAVED = N_("修改"), N_("修改短信账号"), N_("保存"), N_("账号已保存，几秒内生效。")
ADDED = N_("账号已建立。余额为 0 条，充值或设置授信后即可发送。")
PRICE, PRICE_TITLE, PRICED = N_("价格与授信"), N_("价格与授信"), N_("价格与授信已保存。")
UNITS, UNITS_TITLE, UNITS_DONE = N_("调整余额"), N_("调整余额"), N_("余额已调整，现为 %(balance)s 条。")
STOP, START = N_("停用"), N_("启用")
STOP_EFFECT = N_(
    "将停用 %(names)s，连同下级共 %(accounts)s 个账号：新的提交几秒内即被拒绝，%(waiting)s 条排队的短信暂停，"
    "%(keys)s 个在用密钥不能发送。重新启用后继续发送，已过有效期的除外。"
)
START_EFFECT = N_(
    "将启用 %(names)s，连同下级共 %(accounts)s 个账号（下级自己停用的仍停用）：几秒内可以提交，"
    "%(held)s 条暂停的短信继续发送。"
)
MORE_THAN = N_("超过 %(n)s")
EDIT_EFFECT = N_(
    "将修改账号 %(name)s 的 %(n)s 项设置，几秒内生效。连同下级共 %(accounts)s 个账号、"
    "%(keys)s 个在用密钥；今日已受理 %(used)s 条。"
)
NOTHING_EFFECT = N_("没有要修改的设置。")
ADD_EFFECT = N_(
    "将新建账号 %(name)s（上级：%(parent)s）。单价 %(price)s 元/条，余额从 0 条开始，充值或设置授信后才能发送。"
)
NO_PARENT = N_("无")
PRICE_SINCE, PRICE_FIRST = N_("%(price)s 元，自 %(since)s 起"), N_("%(price)s 元，自开户起")
PRICE_EFFECT = N_(
    "账号 %(name)s 的单价由 %(before)s 元改为 %(after)s 元，可用条数由 %(had)s 条变为 %(has)s 条。"
    "近 30 天计费 %(used)s 条：按现价 %(cost)s 元，按新价 %(costs)s 元。"
    "新单价自保存时起生效，此前已入账的仍按原单价计费，账单不变。"
)
UNITS_EFFECT = N_("账号 %(name)s 的余额将由 %(before)s 条变为 %(after)s 条（%(change)s 条）。")
UNITS_NONE = N_("请填写不为 0 的条数")
UNITS_HELP = N_("正数为增加，负数为扣减；不能低于授信下限。")
NOTE_HELP = N_("写明依据，如合同或单据编号；记入账目与审计日志。")
NAME_HELP = N_("1 到 64 个字母、数字、点、下划线或连字符，建立后不能修改。")
NAME_PROBLEM = N_("只能含字母、数字、点、下划线和连字符")
PARENT_HELP = N_(
    "上级账号的停用、合同期和额度对本账号同样有效；新建时的单价和每条计费条数取自上级。"
    "留空为没有上级，只有可查看全部账号的人员可以留空。"
)
DEPARTMENT_HELP = N_("能查看该部门的人员可查看此账号；留空则随上级账号。")
PROTOCOLS_HELP = N_("业务系统可用的接入方式；都不选则只能在门户发送。")
NETWORKS_HELP = N_("每行一个地址或网段，业务系统只能从这些地址接入；留空为不限。")
RATE_HELP = N_("本账号每秒最多提交的短信数。")
QUOTA_HELP = N_("本账号及下级合计每日（自然日）最多受理的条数，超出即拒绝；留空为不设。")
MONTH_HELP = N_("本账号及下级合计每月（自然月）最多受理的条数；留空为不设。")
SIGN_HELP = N_("没有指定签名时使用；2 到 20 个字，不含【】。")
EXTEND_HELP = N_("附加在通道接入号之后的数字，用来识别回复属于本账号；改后 30 天内仍识别原扩展号的回复。")
DAY_HELP = N_("格式 2026-01-31；留空为不限。")
STOPS_HELP = N_("关闭则合同到期后仍可发送。")
DAY_PROBLEM = N_("日期格式应为 2026-01-31")
PRICE_PROBLEM = N_("0 到 999.9999，最多四位小数")
CREDIT_HELP = N_("余额用完后还可以发送的条数（后付费额度）；0 为预付费。")
PER_PART_HELP = N_("每一条短信计费的条数，通常为 1。")
REFUND_HELP = N_("运营商未能送达的短信退回条数。")
IDENTITY, ACCESS, LIMITS, CONTRACT = N_("账号"), N_("接入与号码"), N_("限额"), N_("合同")
MONEY, BELONGS = N_("价格与余额"), N_("相关内容")
HAS = N_("%(n)s 个")
SIGNS, RECORDS, UNSEEN = N_("签名设置"), N_("发送记录"), N_("（不在您的数据范围内）")

TRAINING, TRAINING_TITLE = N_("进入演练模式"), N_("进入演练模式")
TRAINING_END, TRAINING_END_TITLE = N_("退出演练模式"), N_("退出演练模式")
TRAINING_EFFECT = N_(
    "“%(name)s”进入演练模式后，%(people)s 人在平台上、%(keys)s 个正式密钥通过接口所发的短信都只提交到仿真运营商，"
    "不会到达任何手机，不扣费，不计入统计与对账；审批、任务、回执照常。须先停用账号，且没有未结束的短信和任务"
    "（现有 %(parts)s 段、%(tasks)s 个）。切换后再启用账号。"
)
TRAINING_END_EFFECT = N_(
    "“%(name)s”退出演练模式后，%(people)s 人在平台上、%(keys)s 个正式密钥通过接口所发的短信将真正发到手机并计费。"
    "须先停用账号，且没有未结束的短信和任务（现有 %(parts)s 段、%(tasks)s 个）。切换后再启用账号。"
)
TRAINING_ABOUT = N_("供培训和演练：流程照常，所发短信只提交到仿真运营商，不会到达任何手机，不扣费。须先停用账号。")
TRAINING_END_ABOUT = N_("退出后所发短信将真正发到手机并计费。须先停用账号。")
TRAINING_BEGUN = N_("已进入演练模式；启用账号后开始演练。")
TRAINING_ENDED = N_("已退出演练模式；启用账号后恢复正式发送。")
TRAINING_ON = N_("演练模式：所发短信只到仿真运营商，不会到达任何手机，不计费、不计入统计。")
