"""The words of channels and of what decides about the way of a message."""

from __future__ import annotations

from smsgw.admin.i18n import N_

START, STOP, DRAIN, SET = N_("启用"), N_("停用"), N_("排空"), N_("修改")
START_TITLE, STOP_TITLE, DRAIN_TITLE = N_("启用通道"), N_("停用通道"), N_("排空通道")
ADD_TITLE, SET_TITLE = N_("新增通道"), N_("修改通道")
START_EFFECT = N_(
    "将登录运营商网关并开始发送。所服务的通道组中有 %(queued)s 条短信排队，另有 %(deferred)s 段待本通道重发。"
)
STOP_EFFECT = N_(
    "将等待 %(sending)s 段在途短信的应答，随后退出登录。%(unreported)s 段已提交的短信还没有状态报告，停用期间收不到；"
    "%(queued)s 条排队的短信和 %(deferred)s 段待重发的改走 %(others)s。"
)
STOP_ALONE_EFFECT = N_(
    "将等待 %(sending)s 段在途短信的应答，随后退出登录。%(unreported)s 段已提交的短信还没有状态报告，停用期间收不到。"
    "所服务的通道组没有其他已连接的通道，%(queued)s 条排队的短信和 %(deferred)s 段待重发的将一直等待，"
    "超过有效期即作废。"
)
DRAIN_EFFECT = N_(
    "将不再发送新短信，但保持连接，以便收回 %(unreported)s 段短信的状态报告。"
    "%(queued)s 条排队的短信和 %(deferred)s 段待重发的改走 %(others)s。"
)
DRAIN_ALONE_EFFECT = N_(
    "将不再发送新短信，但保持连接，以便收回 %(unreported)s 段短信的状态报告。所服务的通道组没有其他已连接的通道，"
    "%(queued)s 条排队的短信和 %(deferred)s 段待重发的将一直等待，超过有效期即作废。"
)
REMOVE, REMOVE_TITLE, REMOVED = N_("删除"), N_("删除通道"), N_("通道已删除。")
REMOVE_EFFECT = N_(
    "将删除通道“%(name)s”，不能恢复；发送记录和报表保留。它服务 %(pools)s 个通道组，%(rules)s 条路由规则送到这些组。"
    "将等待 %(sending)s 段在途短信的应答，随后退出登录；%(unreported)s 段已提交的短信收不到状态报告，可先排空。"
)
REMOVE_OTHERS_EFFECT = N_("这些组中 %(queued)s 条排队的短信和 %(deferred)s 段待重发的改走 %(others)s。")
REMOVE_ALONE_EFFECT = N_(
    "这些组没有其他已连接的通道，%(queued)s 条排队的短信和 %(deferred)s 段待重发的将一直等待，超过有效期即作废。"
)
DESIRED_DONE: dict[str, str] = {
    "started": N_("通道已启用，正在连接。"),
    "stopped": N_("通道已停用。"),
    "draining": N_("通道正在排空。"),
}
MORE_THAN = N_("多于 %(n)s")
POLICY: dict[str, str] = {
    "hold": N_("等待状态报告，到期记为未确认"),
    "hold_short": N_("短时等待状态报告，到期记为未确认"),
    "resend": N_("重新发送（可能重复）"),
}
"""What happens to parts whose answer was lost."""
PROBE: dict[str, tuple[str, str]] = {
    "ok": (N_("探测正常"), "green"),
    "failed": (N_("探测失败"), "red"),
    "under way": (N_("探测中"), "yellow"),
}
SAVE = N_("保存")
LINK_STATE: dict[str, tuple[str, str]] = {
    "connecting": (N_("连接中"), "yellow"),
    "binding": (N_("登录中"), "yellow"),
    "both": (N_("收发"), "green"),
    "sending": (N_("只发"), "green"),
    "receiving": (N_("只收"), "green"),
    "leaving": (N_("断开中"), "secondary"),
}

# --- versions --------------------------------------------------------------------------------------------------------

COPY_TITLE, COPIED = N_("复制通道"), N_("复制自 %(name)s")
RECORD, RECORD_TITLE, RECORD_END, RECORD_END_TITLE = (
    N_("开启录制"), N_("录制提交报文"), N_("结束录制"), N_("结束提交报文录制"),
)  # fmt: skip
RECORD_ABOUT = N_("供投诉举证与排查：留存此通道提交的报文与应答，在短信全链路中查看，到期删除；不影响发送。")
RECORD_HOURS: dict[str, str] = {"1": N_("1 小时"), "4": N_("4 小时"), "24": N_("24 小时"), "72": N_("72 小时")}
RECORD_HOURS_HELP = N_("到时自动结束。")
RECORD_EFFECT = N_(
    "将录制此通道提交的每段短信及其应答，%(hours)s 小时后自动结束。按最近 24 小时的 %(submits)s 段计，"
    "每天约 %(rows)s 行、%(mb)s MB；"
    "每秒最多留存 %(second)s 段，总量最多 %(most)s MB，超出的不留存、只计数，不影响发送。报文中有完整号码和短信内容，"
    "只有能查看报文的人在短信全链路中看到，保留 %(days)s 天后删除。"
)
RECORD_DONE, RECORD_END_DONE = N_("已开启，几秒内生效。"), N_("已结束，几秒内生效。")
RECORD_END_EFFECT = N_("将不再录制新提交的短信；已录制的 %(kept)s 条报文仍保留 %(days)s 天。")
WIRE_ENDS: dict[str, str] = {
    "": N_("查看已中断：通道已停止或重新启动。"),
    "the time is over": N_("查看已结束：时间已到。"),
    "more came than could be written": N_("查看已结束：报文太多，来不及脱敏。"),
    "the file is full": N_("查看已结束：报文太多。"),
}
"""Why a look at the PDUs of a channel is over, as the recording says it."""
VERSION_STATE: dict[str, tuple[str, str]] = {
    "waiting": (N_("待批准"), "yellow"),
    "active": (N_("现行"), "green"),
    "replaced": (N_("已被替换"), "secondary"),
    "rejected": (N_("已驳回"), "red"),
    "withdrawn": (N_("已撤回"), "secondary"),
}
APPROVE, APPROVE_TITLE, APPROVED = N_("批准"), N_("批准通道修改"), N_("版本 %(n)s 已生效，各节点几秒内跟随。")
REJECT, REJECT_TITLE = N_("不采用"), N_("不采用此修改")
REJECTED, WITHDRAWN = N_("版本 %(n)s 已驳回，通道不变。"), N_("版本 %(n)s 已撤回，通道不变。")
ROLL_BACK, ROLL_BACK_TITLE = N_("回退"), N_("回退到旧版本")
ROLLED_BACK = N_("已按版本 %(old)s 设置，成为版本 %(n)s，各节点几秒内跟随。")
ROLL_BACK_WAITS = N_("回退到版本 %(old)s 的修改已提交为版本 %(n)s，等待另一人批准。")
REASON_HELP = N_("随版本保存，最多 200 字。")
HOT_EFFECT = N_("将改变 %(n)s 项：%(fields)s。通道不断开，几秒内生效。")
RECONNECT_EFFECT = N_(
    "将改变 %(n)s 项：%(fields)s。通道会先等 %(sending)s 段在途短信的应答，再断开 %(bound)s 条连接并按新设置重新登录；"
    "%(queued)s 条排队的短信和 %(deferred)s 段待重发的届时继续发送。"
)
NO_EFFECT = N_("与现行版本相同，没有改变。")
PASSWORD_FIELD = N_("接入密码")

# --- connection tests ------------------------------------------------------------------------------------------------

WIZARD = (N_("选择协议"), N_("填写参数"), N_("连接测试"), N_("确认启用"))
"""The steps to a new channel."""
NEXT_TEST = N_("保存，下一步测试")
MADE = N_("通道已建立，尚未启用。请先测试连接。")
CHECK_STAGE: dict[str, str] = {
    "resolve": N_("解析地址"),
    "connect": N_("连接端口"),
    "tls": N_("TLS 与证书"),
    "login": N_("登录网关"),
    "keepalive": N_("心跳与窗口"),
    "connections": N_("连接数"),
    "reports": N_("状态报告"),
}
CHECK_VERDICT: dict[str, tuple[str, str]] = {
    "good": (N_("无问题"), "green"),
    "warning": (N_("注意"), "yellow"),
    "bad": (N_("有问题"), "red"),
    "skipped": (N_("未测试"), "secondary"),
}
PROBE_TITLE, PROBE_SEND = N_("发送测试短信"), N_("发送")
PROBE_HELP = N_("请填写您手边的手机；短信只经本通道发送。")
PROBE_EFFECT = N_(
    "将经通道 %(channel)s 向 %(number)s 真实发送 1 条短信，运营商按合同计 1 条费用；"
    "不从任何发送账号扣条数，也不自动重发。"
)
PROBE_ELSEWHERE = N_("本节点没有运行此通道：它可能刚刚启用，或由另一节点运行。请稍后重试，或在那个节点上发送。")
PROBE_SENT = N_("测试短信已提交，等待状态报告。")

# --- words that texts must not have ----------------------------------------------------------------------------------

ACTION: dict[str, str] = {"block": N_("拦截"), "review": N_("送审"), "replace": N_("替换")}
ACTION_TONE: dict[str, str] = {"block": "red", "review": "orange", "replace": "blue"}
WORDS_LEAD = N_("发送前按此表检查短信内容，改动几秒内在所有节点生效。全角、空格、标点、繁体等变形同样会被发现。")
WORDS_EMPTY = N_("还没有敏感词")
WORDS_TEACH = N_("可以按分类加入敏感词，含有它们的短信会被拦截、送审或替换。")
WORDS_ADD, WORDS_ADD_TITLE, WORDS_TEST = N_("添加敏感词"), N_("添加敏感词"), N_("检测文本")
WORDS_REMOVE = N_("删除")
WORD_IMPORT, WORDS = N_("导入敏感词"), N_("敏感词")
WORD_IMPORT_LEAD = N_("从 CSV 或 XLSX 表格批量导入，后台处理；每一行的结果都可下载，不会悄悄丢弃。")
WORD_DUPLICATE: dict[str, str] = {"skip": N_("跳过：保留原有设置"), "overwrite": N_("覆盖：改用表格中的分类和处理方式")}
WORD_DUPLICATES_HELP = N_("词已在表中（账号和类型也相同）时的处理方式；同一文件中重复出现的词也按此处理。")
WORD_IMPORT_ACTION_HELP = N_("用于没有写处理方式的行。表格中可写：拦截、送审、替换。")
WORD_IMPORT_CATEGORY_HELP = N_("用于没有写分类的行，可留空。")
WORD_IMPORT_RESULT, WORD_IMPORT_WRONG = N_("下载导入结果"), N_("下载未导入的行")
WORDS_REMOVE_EFFECT = N_("将删除 %(n)s 个敏感词，此后含有它们的短信不再因此被拦截、送审或替换。")
LINES_HELP = N_("每行一个，一次最多 1,000 个，每个最多 64 个字符；可粘贴表格中的两列，第二列为分类。更多请用导入。")
CATEGORY_HELP = N_("如 赌博、广告法；同一分类可以一起查询。")
REPLACEMENT_HELP = N_("处理方式为替换时使用；留空则替换为同样个数的 *。")
SCOPE_HELP = N_("留空为全部账号。")
TYPE_HELP = N_("留空为全部类型。")
TEST_ACCOUNT_HELP = N_("选择账号后，也检查只对它（及其上级）生效的词；留空只检查对全部账号生效的词。")
TEST_TYPE_HELP = N_("选择类型后，也检查只对它生效的词；留空只检查对全部类型生效的词。")
BAD_WORDS = N_("第 %(lines)s 行不是有效的敏感词：须有文字或数字，最多 64 个字符")
TOO_MANY_WORDS = N_("一次最多 %(n)s 个，现有 %(have)s 个")
ADD_EFFECT: dict[str, str] = {
    "block": N_("将保存 %(n)s 个敏感词（%(scope)s），其中 %(known)s 个已在表中，会改设置。含有它们的短信会被拦截。"),
    "review": N_("将保存 %(n)s 个敏感词（%(scope)s），其中 %(known)s 个已在表中，会改设置。含有它们的短信须先审批。"),
    "replace": N_("将保存 %(n)s 个敏感词（%(scope)s），其中 %(known)s 个已在表中，会改设置。短信中的它们会被替换。"),
}
WORD_EDIT, WORD_EDIT_TITLE, WORD_SAVE = N_("修改"), N_("修改敏感词"), N_("保存")
WORD_SAVED = N_("敏感词已保存，几秒内生效")
BAD_WORD = N_("须含文字，且不超过 %(n)s 个字符")
EDIT_EFFECT: dict[str, str] = {
    "block": N_("将保存敏感词“%(word)s”（%(scope)s），几秒内生效。含有它的短信会被拦截。"),
    "review": N_("将保存敏感词“%(word)s”（%(scope)s），几秒内生效。含有它的短信须先审批。"),
    "replace": N_("将保存敏感词“%(word)s”（%(scope)s），几秒内生效。短信中的它会被替换。"),
}
WORDS_ADDED = N_("已保存 %(n)s 个敏感词")
OUTCOME: dict[str, tuple[str, str]] = {
    "": (N_("没有发现敏感词，内容不受影响。"), "good"),
    "replace": (N_("短信照常发送，其中的敏感词会被替换。"), "info"),
    "review": (N_("短信须审批后才发送。"), "warning"),
    "block": (N_("短信会被拦截。"), "bad"),
}
"""What becomes of a text, by the gravest action."""
THROTTLES = N_("近 7 天每小时放行的最低速率（段/秒）")
THROTTLED_TO, THROTTLE_LIMIT = N_("最低放行速率"), N_("现速率上限")
THROTTLES_SUMMARY = N_("近 7 天最低降到 %(n)s 段/秒，现速率上限 %(limit)s 段/秒。")
