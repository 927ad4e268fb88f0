"""The words of alarms."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {"open": N_("未认领"), "taken": N_("处理中"), "cleared": N_("已恢复")}
ENDED: dict[str, str] = STATE | {"unwatched": N_("规则停用，异常可能仍在")}
STATE_TONE: dict[str, str] = {"open": "red", "taken": "blue", "cleared": "green", "unwatched": "secondary"}
SEVERITY: dict[str, str] = {"critical": N_("严重"), "warning": N_("警告")}
SEVERITY_TONE: dict[str, str] = {"critical": "red", "warning": "orange"}
LEAD = N_("平台发现的异常：恢复后自动关闭，保留 90 天。")
EMPTY = N_("没有告警")
TEACHES = N_("通道断开、磁盘不足、回执异常等情况发生时，会立即出现在这里并通知有权限的人员。")
ACKNOWLEDGE = N_("认领")
ACKNOWLEDGE_EFFECT = N_("将认领 %(n)s 条告警，由您负责处理，所有人都能看到；告警在恢复后自动关闭。")
ACKNOWLEDGE_TAKEN_EFFECT = N_(
    "将认领 %(n)s 条告警，由您负责处理，所有人都能看到；其中 %(taken)s 条原由他人认领，改由您负责，"
    "%(cleared)s 条已经恢复，不再认领。"
)

TAB_ALARMS, TAB_RULES, TAB_RECEIVERS = N_("告警"), N_("规则"), N_("接收人")
TAB_NOTES, TAB_SILENCES = N_("通知记录"), N_("静默")
WAY: dict[str, str] = {
    "sms": N_("短信"), "mail": N_("邮件"), "wecom": N_("企业微信机器人"), "dingtalk": N_("钉钉机器人"),
    "webhook": N_("Webhook"),
}  # fmt: skip
ADD: dict[str, str] = {
    "sms": N_("添加短信接收人"), "mail": N_("添加邮件接收人"), "wecom": N_("添加企业微信机器人"),
    "dingtalk": N_("添加钉钉机器人"), "webhook": N_("添加 Webhook"),
}  # fmt: skip
ADD_ABOUT: dict[str, str] = {
    "sms": N_(
        "通过本平台发送，建议选用独立账号并授予特发权限；通道或数据库故障时短信可能发不出，请同时设置其他方式的接收人。"
    ),
    "mail": N_("发信服务器在配置文件 [mail] 中指定。数据库中断时由节点直接发送。"),
    "wecom": N_("在企业微信群中添加群机器人，复制 Webhook 地址。地址中的密钥加密保存，不再显示。"),
    "dingtalk": N_("在钉钉群中添加自定义机器人，安全设置选“加签”，或选关键词“告警”。地址与密钥加密保存，不再显示。"),
    "webhook": N_(
        "以 POST 推送 JSON，按 webhook-signature 签名，每条带唯一编号，接收方可据此去重。密钥加密保存，不再显示。"
    ),
}
LEVEL: dict[str, str] = {"all": N_("全部告警"), "critical": N_("仅严重")}
ACTIVE: dict[str, str] = {"active": N_("已启用"), "stopped": N_("已停用")}
ACTIVE_TONE: dict[str, str] = {"active": "green", "stopped": "secondary"}
RECEIVERS_LEAD = N_(
    "告警发生与恢复时各通知一次。除短信外至少再设一种：短信依赖本平台，数据库中断时只有邮件、机器人和 Webhook 能送达。"
)
RECEIVERS_EMPTY = N_("还没有告警接收人")
RECEIVERS_TEACH = N_("添加接收人后，新的告警会发到短信、邮件、企业微信、钉钉或 Webhook。")
RECEIVER_EDIT = N_("修改接收人")
KEPT = N_("留空则不变。")
SECRET_HELP = N_("与接收方约定，16 至 200 个字符；以 whsec_ 开头的按 Base64 解码。")
SEC_HELP = N_("安全设置为“加签”时填写，以 SEC 开头；否则留空。")
RECEIVER_SAVED = N_("接收人已保存，可点“测试”确认能够收到")
TEST = N_("测试")
TEST_EFFECT = N_("将向 %(n)s 个接收人各发送一条测试通知，结果见通知记录。")
TEST_NONE = N_("所选接收人都已停用，不能测试。")
STOP, START, REMOVE = N_("停用"), N_("启用"), N_("删除")
STOP_EFFECT = N_("将停用 %(n)s 个接收人，未发出的通知不再发送。")
START_EFFECT = N_("将启用 %(n)s 个接收人，从新的告警开始通知。")
REMOVE_EFFECT = N_("将删除 %(n)s 个接收人及其地址，未发出的通知不再发送；通知记录保留。")
NOTES_LEAD = N_("每个告警对每个接收人通知一次，恢复时再通知一次；结果不明的可能已送达，不会自动再发。保留 90 天。")
NOTES_EMPTY = N_("还没有告警通知")
NOTES_TEACH = N_("添加接收人后，告警与恢复的通知及其结果显示在这里。")
EVENT: dict[str, str] = {"raised": N_("告警"), "cleared": N_("已恢复"), "test": N_("测试通知")}
NOTE_STATE: dict[str, str] = {
    "waiting": N_("待发送"), "sending": N_("发送中"), "sent": N_("已发送"), "failed": N_("发送失败"),
    "unsure": N_("结果不明"), "dropped": N_("无需通知"),
}  # fmt: skip
NOTE_TONE: dict[str, str] = {
    "waiting": "azure", "sending": "blue", "sent": "green", "failed": "red", "unsure": "orange",
    "dropped": "secondary",
}  # fmt: skip
AGAIN = N_("重新发送")
AGAIN_EFFECT = N_("将重新发送 %(n)s 条通知。其中 %(unsure)s 条结果不明，接收人可能收到两次。")
AGAIN_SOME = N_(
    "将重新发送 %(n)s 条通知。其中 %(unsure)s 条结果不明，接收人可能收到两次。"
    "另有 %(stays)s 条不重新发送：已发送、待发送，或接收人已停用或删除。"
)
AGAIN_NONE = N_("所选通知都不能重新发送：已发送、待发送，或接收人已停用或删除。")
THE_MESSAGE = N_("查看该短信")
AFTER_HELP = N_("0 为立即通知。升级用：告警发生后这么多分钟仍无人认领且未恢复，才通知此人；期间有人认领则不再通知。")
QUIET_HELP = N_("形如 22:00，可跨零点。时段内的警告推迟到时段结束，届时已恢复的不再通知；严重告警照常通知。")
QUIET_WRONG = N_("应为 00:00 至 23:59 的时间，开始与结束须同时填写")
ANY = N_("全部")
HOLDS: dict[str, str] = {"holds": N_("静默中"), "over": N_("已结束")}
HOLDS_TONE: dict[str, str] = {"holds": "orange", "over": "secondary"}
SILENT_FOR: dict[str, str] = {
    "30": N_("30 分钟"), "60": N_("1 小时"), "120": N_("2 小时"), "240": N_("4 小时"), "480": N_("8 小时"),
    "1440": N_("1 天"), "4320": N_("3 天"), "10080": N_("7 天"),
}  # fmt: skip
SILENCES_LEAD = N_(
    "静默期间符合条件的告警照常记录，但不通知任何接收人；静默结束时仍未恢复的才通知。已经通知过的，恢复时照常通知。"
)
SILENCES_EMPTY = N_("没有静默")
SILENCES_TEACH = N_("计划内检修前可先设静默，避免告警打扰值班人员。")
SILENCE_NEW = N_("新建静默")
SILENCE = N_("静默")
KIND_HELP = N_("不选则为全部告警；审计日志的告警不能静默，照常通知。")
OBJECT_HELP = N_("如 channel/通道名；留空则不限对象。")
SILENCE_EFFECT = N_("“%(kind)s”（对象：%(object)s）在 %(until)s 之前不通知任何接收人。")
SILENCED = N_("已静默")
END = N_("结束静默")
END_EFFECT = N_("将立即结束 %(n)s 个静默，仍未恢复的告警随即通知。")
END_NONE = N_("所选静默都已结束。")
RULES_LEAD = N_("什么情况算告警、持续多久、多严重、通知谁。修改后几秒内在所有节点生效，无需重启。")
RULES_EMPTY = N_("没有告警规则")
RULES_TEACH = N_("告警规则由平台内置，不会为空。")
RULE_EDIT, RULE_EXCEPT = N_("修改规则"), N_("添加例外")
RULE_ON: dict[str, str] = {"on": N_("已启用"), "off": N_("已停用")}
RULE_ON_TONE: dict[str, str] = {"on": "green", "off": "secondary"}
RULE_SEVERITY: dict[str, str] = {**SEVERITY, "as_found": N_("按情况")}
RULE_SEVERITY_TONE: dict[str, str] = {**SEVERITY_TONE, "as_found": "azure"}
RULE_CHANGED: dict[str, str] = {"default": N_("默认"), "changed": N_("已修改"), "except": N_("例外")}
RULE_EVERYBODY: dict[str, str] = {"": N_("全部接收人")}
RULE_AFTER_HELP = N_("异常持续这么多秒才告警；0 为立即。")
RULE_SEVERITY_HELP = N_("选“按情况”时由平台按严重程度判断。")
RULE_RECEIVERS_HELP = N_("不选则通知全部接收人。所选的都已停用、删除，或都只收严重告警而收不到时，也通知全部接收人。")
RULE_LASTING = N_("该规则不能修改：一经发现立即告警，一律通知全部接收人。")
RULE_SETTING_HELP = N_("与系统参数为同一个值，修改须有系统参数权限。")
RULE_OBJECT_HELP: dict[str, str] = {
    "channel": N_("形如 channel/通道名。"), "pool": N_("形如 pool/通道池名。"),
    "account": N_("形如 account/短信账号。"),
    "node": N_("形如 node/节点号。"), "webhook": N_("形如 webhook/短信账号/推送地址名。"),
    "lane": N_("lane/emergency（特发）、lane/otp（验证码）、lane/notice（通知）、lane/marketing（营销）。"),
}  # fmt: skip
RULE_EFFECT = N_("按新条件，最近 7 天会告警 %(then)s 次（实际 %(now)s 次）。保存后几秒内在所有节点生效。")
RULE_EFFECT_RAW = N_(
    "按新条件，最近 7 天会告警 %(then)s 次（实际 %(now)s 次；按分钟统计估算，未剔除不计入的失败）。"
    "保存后几秒内在所有节点生效。"
)
RULE_EFFECT_UNKNOWN = N_(
    "最近 7 天实际告警 %(now)s 次；该指标的历史数值没有保留，按新条件会有多少次无从推算。保存后几秒内在所有节点生效。"
)
RULE_EFFECT_OFF = N_("停用后不再产生该告警，正在告警的随即关闭。最近 7 天实际告警 %(now)s 次。")
RULE_SAVED = N_("规则已保存")
RULE_RESET, RULE_RESET_EFFECT = N_("恢复默认"), N_("将 %(n)s 条规则恢复默认，其中的例外将删除，按通用规则判断。")
RULE_TERMS: dict[str, str] = {
    "on": N_("状态"), "severity": N_("级别"), "after": N_("持续（秒）"), "receivers": N_("接收人"),
}  # fmt: skip
RULE_FIRST = N_("默认规则")
RULE_VERSION = N_("第 %(n)s 版")
NODES_LEAD = N_("每个节点独占的通道与工作；节点失联 15 秒后由其他节点接管。确认不再恢复的可以移除，其告警随即结束。")
NODES_EMPTY = N_("没有节点")
NODES_TEACH = N_("平台启动后，各节点及其接管的通道显示在这里。")
NODE = N_("节点 %(n)s")
NODE_STATE: dict[str, str] = {"live": N_("运行中"), "missing": N_("失联"), "removed": N_("已移除")}
NODE_TONE: dict[str, str] = {"live": "green", "missing": "red", "removed": "secondary"}
NODE_JOB: dict[str, str] = {
    "accounts/remind": N_("合同与用量提醒"),
    "acknowledged": N_("统计客户确认"), "calls.forget": N_("清理接口调用记录"), "clicks.judge": N_("短链访问判定"),
    "clicks.follow": N_("再发短信的点击补记"),
    "evidence/root": N_("每日存证"), "fallback": N_("补发链"), "faults": N_("故障登记与时限"),
    "job/holding": N_("停用账号的暂停与恢复"), "job/recall": N_("撤回不再可发的短信"),
    "job/sweep": N_("清理后台任务"), "links.count": N_("统计短链访问"),
    "partitions/index": N_("整理往日索引"), "rebates": N_("返点结算"),
    "retention/forget": N_("到期数据清理与脱敏"), "routing/follow": N_("排队短信随路由改走"),
    "shifting": N_("按成功率调整份额"), "signs/remind": N_("签名到期提醒"), "success": N_("统计通道成功率"),
    "tasks": N_("推进发送任务"),
}  # fmt: skip
"""By the name of the lease that its one node holds."""
NODE_REMOVE = N_("移除")
NODE_REMOVE_EFFECT = N_(
    "将移除 %(n)s 个失联的节点，其 %(alarms)s 条告警随即结束并通知恢复。节点若再次启动，会自动恢复。"
)
NODE_REMOVE_NONE = N_("所选节点都在运行或已移除，没有可移除的。")
DATABASE = N_("数据库")
DATABASE_ROLE: dict[str, str] = {"primary": N_("主库"), "standby": N_("备库（只读）")}
DATABASE_TONE: dict[str, str] = {"primary": "green", "standby": "red"}
DATABASE_HIDDEN = N_("数据库角色看不到备机的延迟：授予 pg_monitor 后即可显示并告警。")
SENTINEL = N_("Redis 哨兵")
REDIS: dict[str, str] = {
    "none": N_("未使用 Redis，因此没有哨兵：数据库是唯一的存储，高可用由数据库主备和节点租约保证"),
    "up": N_("已连接：只用于节点间通知与限速，不保存数据"),
    "away": N_("未连接：按本节点自身计数，收发不受影响"),
}
REDIS_TONE: dict[str, str] = {"none": "secondary", "up": "green", "away": "red"}
SEEN_STATE: dict[str, str] = {
    "up": N_("主库正常"),
    "down": N_("该哨兵认为主库不可用"),
    "gone": N_("各哨兵一致认为主库不可用"),
}
SEEN = N_("%(state)s：主库 %(master)s，备库 %(replicas)s 个，哨兵 %(sentinels)s 个，需 %(quorum)s 个一致")
SEEN_SILENT = N_("哨兵无响应：%(problem)s")
