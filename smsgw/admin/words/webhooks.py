"""The words of addresses that events are pushed to."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {"active": N_("正常"), "failing": N_("推送失败"), "disabled": N_("已停用")}
TONE: dict[str, str] = {"active": "green", "failing": "red", "disabled": "secondary"}
WAY: dict[str, str] = {"pull": N_("业务系统取走"), "webhook": N_("推送"), "bind": N_("协议连接")}
FORMAT: dict[str, str] = {
    "json": N_("JSON：事件类型与多个事件"), "json_array": N_("JSON：只有事件的数组"),
    "json_item": N_("JSON：每次一个事件"), "form": N_("表单：每次一个事件"),
    "form_json": N_("表单：一个字段内是 JSON 数组"), "get": N_("GET：每次一个事件，写在地址里"),
}  # fmt: skip
REST = N_("其余全部事件")
CALLBACK = N_("消息自带的地址")
LEAD = N_("状态报告、上行短信等事件推送到业务系统的地址：每种事件一个，带签名，失败后在约 28 小时内重试 11 次。")
EMPTY = N_("还没有推送地址")
TEACHES = N_("为账号设置推送地址后，状态报告和上行短信在产生后一秒左右送到业务系统；没有地址的事件由业务系统取走。")
ADD, ADD_TITLE = N_("新建推送地址"), N_("新建推送地址")
ADD_CALLBACK, ADD_CALLBACK_TITLE = N_("允许消息自带地址"), N_("允许消息自带地址")
ABOUT_CALLBACK = N_("发送时可用 callback_url 给出状态报告的地址；只推送到这里列出的域名，共用一个密钥和格式。")
EDIT, EDIT_TITLE, SAVE, SAVED = N_("修改"), N_("修改推送地址"), N_("保存"), N_("推送地址已保存。")
TEST, TEST_TITLE = N_("推送样例"), N_("推送样例")
TEST_EFFECT = N_("将立即向 %(host)s 推送一个带签名的样例（类型 webhook.test），不含真实数据，也不进队列。")
ROTATE, ROTATE_TITLE = N_("轮换密钥"), N_("轮换密钥")
ROTATE_EFFECT = N_(
    "将为 %(name)s 生成新的密钥并显示一次。旧密钥再签名 %(hours)s 小时："
    "此间每次推送带两个签名，业务系统验证任一个即可。"
)
ROTATE_NOW = N_("将为 %(name)s 生成新的密钥并显示一次。旧密钥立即不再签名，业务系统换上新密钥之前会拒绝推送。")
FORCE_HELP = N_("上一次轮换的旧密钥仍在签名时须打开：它立即不再签名，只有怀疑密钥泄露时才需要。")
KEEP_HELP = N_("0 到 168 小时；填 0 时旧密钥立即失效。")
WAY_EDIT, WAY_TITLE = N_("送达方式"), N_("事件的送达方式")
WAY_HELP = N_(
    "推送：没有地址的事件仍由业务系统取走。协议连接：只有状态报告和上行短信走 CMPP/SMPP 连接，其余由业务系统取走。"
)
BELOW_HELP = N_("可用条数低于它时通知一次（事件“余额不足”）；填 0 不通知。")
WAY_EFFECT = N_("%(account)s 的事件改为“%(way)s”，正在等待的 %(n)s 个事件几秒内改走新方式。")
WAY_KEPT = N_("%(account)s 的事件仍为“%(way)s”，余额低于 %(below)s 条时通知。")
WAY_SAVED = N_("送达方式已保存。")
NO_BALANCE = N_("（不通知）")
STOP, START, REMOVE = N_("停用"), N_("启用"), N_("删除")
STOP_EFFECT = N_(
    "将停用 %(n)s 个推送地址。等待中的 %(waiting)s 个事件和新产生的事件都留在队列里，启用后继续推送；"
    "超过 %(days)s 天未送达的会过期。"
)
START_EFFECT = N_("将启用 %(n)s 个推送地址，等待中的 %(waiting)s 个事件几秒内开始推送。")
REMOVE_EFFECT = N_(
    "将删除 %(n)s 个推送地址及其密钥，不能恢复。等待中的 %(waiting)s 个事件改走账号的其余地址，没有时由业务系统取走。"
)
SECTION_ADDRESS, SECTION_FORMAT, SECTION_ACCOUNT = N_("地址"), N_("格式"), N_("账号")
NAME_HELP = N_("字母、数字、点、横线或下划线，保存后不能修改。")
URL_HELP = N_("https://…；只能是公网地址，或运维人员为账号放行的网段。GET 格式须含占位符，如 {message_id}。")
EVENTS_HELP = N_("都不选时，接收没有指定其他地址的全部事件。")
HOSTS_HELP = N_("每行一个域名；.example.org 表示其下所有域名。")
FORMAT_HELP = N_("业务系统已按其他平台的格式开发时，可选表单或 GET，并在“字段对应”中改名。")
ITEMS_HELP = N_("一次推送最多带几个事件，1 到 100；“每次一个事件”的格式不受此项影响。")
LINGER_HELP = N_("第一个事件等待其他事件同行的毫秒数，0 到 60,000。")
CONCURRENCY_HELP = N_("同时进行的推送，1 到 16。")
EXPECT_HELP = N_("除 2xx 外应答还须是这段文字；写成 JSON 对象时，应答至少要有这些成员。留空为任何 2xx 都算成功。")
FIELDS_HELP = N_("每行一个：对方字段名=事件字段，如 mobile=to、n=parts.total。留空为事件原样。")
FIELDS_WRONG = N_("第 %(n)s 行不是“对方字段名=事件字段”。")
TIMES_HELP = N_("iso、unix、unix_ms，或由 yyyy yy MM dd HH mm ss 组成的格式（北京时间）。")
ITEMS_FIELD_HELP = N_("“表单：一个字段内是 JSON 数组”的字段名。")
PUT_EFFECT = N_(
    "%(account)s 的“%(events)s”将推送到 %(host)s；"
    "等待中的 %(n)s 个事件几秒内开始推送。业务系统返回 2xx 以外即重试。%(again)s"
)
PUT_FIRST = N_(
    "%(account)s 的事件现在由业务系统取走。保存后改为推送：“%(events)s”送到 %(host)s，"
    "等待中的 %(n)s 个事件几秒内开始推送，业务系统不能再取到它们。%(again)s"
)
PUT_BIND = N_(
    "%(account)s 的事件现在走协议连接。保存后“%(events)s”的地址为 %(host)s，把送达方式改为推送后才使用。%(again)s"
)
CALLBACK_EFFECT = N_("%(account)s 发送时可以要求把状态报告推送到这 %(n)s 个域名。%(again)s")
STARTS_AGAIN = N_("此地址现已停用，保存后重新启用。")
AT_LEAST = N_("至少 %(n)s")
CHART_CALLS, CHART_SPEED = N_("推送结果"), N_("应答最慢的推送")
GOOD, FAILED, RATE, SLOWEST = N_("成功（次）"), N_("失败（次）"), N_("成功率"), N_("最慢应答（毫秒）")
MILLISECONDS = N_("毫秒")
CHART_SUMMARY = N_("成功 %(good)s 次，失败 %(failed)s 次，送达 %(events)s 个事件。")
SPANS: dict[str, str] = {"day": N_("近 24 小时"), "week": N_("近 7 天")}
DELAYS = N_("最近 %(n)s 个事件从产生到送达：半数在 %(median)s 秒内，95%% 在 %(most)s 秒内。")
