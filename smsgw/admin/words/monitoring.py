"""The words of alarms."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {"open": N_("未认领"), "taken": N_("处理中"), "cleared": N_("已恢复")}
STATE_TONE: dict[str, str] = {"open": "red", "taken": "blue", "cleared": "green"}
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

TAB_ALARMS, TAB_RECEIVERS, TAB_NOTES, TAB_SILENCES = N_("告警"), N_("接收人"), N_("通知记录"), N_("静默")
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
}  # fmt: skip
LEVEL: dict[str, str] = {"all": N_("全部告警"), "critical": N_("仅严重")}
ACTIVE: dict[str, str] = {"active": N_("启用"), "stopped": N_("停用")}
ACTIVE_TONE: dict[str, str] = {"active": "green", "stopped": "gray"}
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
EVENT: dict[str, str] = {"raised": N_("告警"), "cleared": N_("恢复"), "test": N_("测试通知")}
NOTE_STATE: dict[str, str] = {
    "waiting": N_("待发送"), "sending": N_("发送中"), "sent": N_("已发送"), "failed": N_("发送失败"),
    "unsure": N_("结果不明"), "dropped": N_("无需通知"),
}  # fmt: skip
NOTE_TONE: dict[str, str] = {
    "waiting": "azure", "sending": "blue", "sent": "green", "failed": "red", "unsure": "orange",
    "dropped": "gray",
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
HOLDS_TONE: dict[str, str] = {"holds": "orange", "over": "gray"}
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
KIND_HELP = N_("不选则为全部告警。")
OBJECT_HELP = N_("如 channel/通道名；留空则不限对象。")
SILENCE_EFFECT = N_("“%(kind)s”（对象：%(object)s）在 %(until)s 之前不通知任何接收人。")
SILENCED = N_("已静默")
END = N_("结束静默")
END_EFFECT = N_("将立即结束 %(n)s 个静默，仍未恢复的告警随即通知。")
END_NONE = N_("所选静默都已结束。")
