"""The words of list pages: their states, buttons and effects, and what they say while there is nothing in them."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.admin.words.messages import CLASS, TYPE, Ended, cause_of
from smsgw.admin.words.records import ANY_CATEGORY, CATEGORY
from smsgw.platform.messages.model import MessageView

VERIFY = N_("校验完整性")
AUDIT_EMPTY = N_("这段时间没有操作记录")
AUDIT_TEACHES = N_("登录、查看、修改、导出等操作都会记录在这里，记录不可修改或删除，可随时校验。")
CANCEL = N_("取消任务")
CANCEL_EFFECT = N_("将取消 %(n)s 个任务。已完成的部分不会撤回。")
CANCEL_IMPORTS_EFFECT = N_(
    "将取消 %(n)s 个任务，其中 %(tasks)s 个是发送任务的号码导入：相应的发送任务一并取消，一条短信也不会发出。"
    "其余任务已完成的部分不会撤回。"
)
JOBS_EMPTY = N_("这段时间没有后台任务")
JOBS_TEACH = N_("导出、导入、重算等耗时操作在后台进行，进度和结果都在这里。从任一列表点“导出”即可开始。")
STOP = N_("停用")
STOP_EFFECT = N_("将停用 %(n)s 名员工（%(names)s）：不能再登录，正在使用的 %(sessions)s 个会话立即结束。")
START = N_("恢复")
START_EFFECT = N_("将恢复 %(n)s 名员工（%(names)s）：可用原密码登录。")
UNLOCK = N_("解锁")
UNLOCK_EFFECT = N_("将清除 %(n)s 名员工（%(names)s）的登录失败记录，可立即重试登录。")
STAFF_EMPTY = N_("还没有员工")
STAFF_TEACHES = N_("员工是登录本平台的人员；角色决定能做什么，部门和账号决定能看到哪些数据。")

# --- sent records ----------------------------------------------------------------------------------------------------

SEND = N_("短信发送")
REASON: dict[str, str] = {**CLASS, "NONE": N_("未给出原因")}
STAGE: dict[str, str] = {"submitted": N_("已提交运营商"), "refused": N_("未提交，有原因"), "held": N_("暂存待发")}
LEFT_OUT: dict[str, str] = {"any": ANY_CATEGORY, **CATEGORY}
TO_GROUP = N_("加入通讯录分组")
TO_GROUP_EFFECT = N_(
    "将 %(messages)s 条短信的 %(n)s 个号码加入所选分组：分组所在账号的通讯录中没有的，新建为联系人；同事名下的不动。"
)
TO_GROUP_DONE = N_("%(n)s 个号码已在分组中，其中新建联系人 %(new)s 位")
TO_GROUP_BUT = N_("%(n)s 个号码已在分组中，其中新建联系人 %(new)s 位；%(others)s 个在同事名下，没有加入")
TO_BLOCKED = N_("加入黑名单")
TO_BLOCKED_EFFECT = N_(
    "将 %(n)s 个号码加入 %(accounts)s 个账号各自的黑名单，此后不再向其发送任何短信；其中 %(there)s 个已在名单中。"
)
TO_BLOCKED_DONE = N_("已将 %(n)s 个号码加入黑名单")
CANCEL_MESSAGES = N_("取消发送")
CANCEL_MESSAGES_EFFECT = N_(
    "将取消 %(n)s 条尚未提交运营商的短信（%(parts)s 条计费退回），取消后不会发送，不能恢复。"
    "另外 %(gone)s 条已提交或已结束，不能取消。"
)
RESEND = N_("失败重发")
RESEND_EFFECT = N_("将重发 %(n)s 条失败的短信，共计费 %(parts)s 条，每条只重发一次。")
RESEND_BUT = N_("将重发 %(n)s 条失败的短信，共计费 %(parts)s 条，每条只重发一次。另外 %(refused)s 条不重发：%(why)s。")
RESEND_WHY = {
    "delivered": N_("已送达"), "maybe": N_("结果不明，可能已送达"), "waiting": N_("尚未结束"),
    "withdrawn": N_("已取消"), "duplicate": N_("同一内容已发给该号码"),
    "uncertain": N_("失败码不能确定手机没有收到"), "earlier": N_("此前一次提交结果不明"), "again": N_("已重发过"),
    "test": N_("测试短信"), "code": N_("登录验证码"), "gone": N_("号码已按保留规则脱敏"),
    "reviewed": N_("未经审批通过"), "dead": N_("空号或在运营商黑名单中"), "content": N_("内容被运营商拦截"),
}  # fmt: skip
RESEND_FOR_GOOD = N_("仍重发 %(dead)s 条空号、运营商黑名单号码或内容被拦截的短信（多半再次失败，照常计费）")
JOIN = N_("、")
RECORDS_LEAD = N_("点击任意一行查看该短信的全链路")
RECORDS_EMPTY = N_("这段时间还没有短信")
RECORDS_TEACH = N_("每一条短信，无论来自页面还是接口，都会记录在这里，并可查看从接收到回执的全过程。")
REPLIES_KEPT = N_("是否已回复只在上行记录仍保留的日期内可知，更早的发送记录不在此列。")
REPLIED: dict[str, str] = {"true": N_("已回复"), "false": N_("未回复")}
CLICKED: dict[str, str] = {"true": N_("已点击"), "false": N_("未点击")}
CLICKED_TONES = {"true": "green", "false": "plain"}
UNCLICKED = N_("再次发送给未点击的人")
UNCLICKED_EFFECT = N_(
    "所选短信带个性化短链的号码中，%(n)s 个还没有点击，将为这些号码建立一份草稿；已点击的 %(clicked)s 个号码不在其中，"
    "发送失败原因为空号或运营商黑名单的 %(dead)s 个号码默认不在其中。"
    "内容和时间在草稿中填写，确认后才发送；在那之前又点击的人不会收到，定时发送的，确认之后才点击的人仍会收到。%(unkept)s"
)
UNCLICKED_NONE = N_("所选短信没有带个性化短链且未点击的号码（已点击 %(clicked)s 个），没有可再次发送的。")
UNCLICKED_DEAD = N_("也发给空号和运营商黑名单中的 %(dead)s 个号码（多半再次失败，照常计费）")
UNCLICKED_DONE = N_("已建立草稿，接收号码为未点击的 %(n)s 个")
TEST: dict[str, str] = {"false": N_("正式短信"), "true": N_("测试短信")}
TESTED = N_("测试")
ENDED_BADLY = frozenset({"failed", "rejected", "expired"})


TYPES_OF: dict[str, str] = {**TYPE, "test": TESTED}


def types_of(message: MessageView) -> tuple[str, ...]:
    """What kind of message it is, one of the operator's by its label; one of a test key is marked as such."""
    return (message.label or message.type, *(("test",) if message.test else ()))


def clicked(message: MessageView) -> str:
    """Whether the personal link in it was clicked; empty: it has none."""
    return "" if message.clicks is None else "true" if message.clicks else "false"


def why(message: MessageView) -> str:
    """Why it was not delivered; empty while that is open, and for what was."""
    return why_of(message.status, message)


def why_of(status: str, ended: Ended) -> str:
    """The same by its status, and what is known of its end."""
    return cause_of(ended) if status in ENDED_BADLY else ""


# --- jobs ------------------------------------------------------------------------------------------------------------

JOB_KIND: dict[str, str] = {
    "export": N_("导出"),
    "task.import": N_("导入号码"),
    "draft.survey": N_("发送前检查"),
    "staff.import": N_("导入员工"),
    "contact.import": N_("导入联系人"),
    "word.import": N_("导入敏感词"),
    "block.import": N_("导入黑名单"),
    "allow.import": N_("导入白名单"),
    "prefix.import": N_("导入号段"),
    "consent.import": N_("导入同意记录"),
    "number.filter": N_("空号过滤"),
    "link.codes": N_("生成短码"),
    "route.follow": N_("通道切换"),
    "report.rematch": N_("重新匹配回执"),
    "statistics.recount": N_("统计重算"),
    "audit.verify": N_("审计日志校验"),
    "diagnostics": N_("诊断包"),
    "evidence.verify": N_("回执存证校验"),
    "load_test": N_("压测"),
}
JOB_STATE: dict[str, str] = {
    "waiting": N_("排队中"),
    "running": N_("进行中"),
    "done": N_("已完成"),
    "failed": N_("失败"),
    "cancelled": N_("已取消"),
}
JOB_TONE: dict[str, str] = {
    "waiting": "secondary",
    "running": "blue",
    "done": "green",
    "failed": "red",
    "cancelled": "secondary",
}
JOB_ERROR: dict[str, str] = {
    "JOB_EXPIRED": N_("未能在规定时间内完成，请重新提交"),
    "RESTORED": N_("数据库从备份恢复，未完成的作业已终止，请重新提交"),
    "JOB_CRASHED": N_("多次运行失败，请联系运维人员"),
}
EXPORT_HELD = N_("%(who)s 申请导出约 %(rows)s 行，超过免批行数，须由他人批准后才开始生成")
EXPORT_PASS, EXPORT_REJECT = N_("批准导出"), N_("驳回导出")
EXPORT_REJECT_EFFECT = N_("将驳回 %(n)s 个导出申请，申请人会看到原因")
EXPORT_APPROVED = N_("已批准，开始生成")
EXPORT_REJECTED = N_("%(who)s 驳回了导出申请：%(why)s")
VERIFY_SOUND = N_("校验通过：%(rows)s 条记录完整，未被改动")
VERIFY_BROKEN = N_("校验发现 %(n)s 处异常，请立即联系安全管理员")
PROBLEM_AT = N_("%(problem)s（%(rows)s）")
EVIDENCE_LEAD = N_(
    "运营商每条状态报告的原始报文在写入结果时一并存证；每天的存证汇成一个默克尔根，签名、串联并记录在数据库之外。"
)
EVIDENCE_EMPTY = N_("这段时间还没有日根")
EVIDENCE_TEACHES = N_("每天凌晨为前一天的存证生成日根；迟到的报告计入其到达当天的日根。可随时校验。")
EVIDENCE_SOUND = N_("校验通过：%(days)s 天、%(leaves)s 条存证、%(pdus)s 份报文、%(results)s 个结果均未被改动")
EVIDENCE_PROBLEM: dict[str, str] = {
    "pdu": N_("报文与摘要不符"),
    "root": N_("存证与日根不符：有记录被改动、增加或删除"),
    "signature": N_("日根签名不符：日根被改动"),
    "order": N_("日根缺失"),
    "missing": N_("日根缺失"),
    "anchor": N_("日根与库外记录不符"),
    "result": N_("短信结果与存证不符"),
    "said": N_("回执内容与结果不符"),
    "unproven": N_("成功结果没有存证"),
    "key_missing": N_("缺少密钥，无法校验签名"),
}
AUDIT_PROBLEM: dict[str, str] = {
    "edited": N_("记录被改动"),
    "foreign": N_("记录不是本系统写入的"),
    "deleted": N_("记录被删除"),
    "not_in_chain": N_("记录不在校验链中"),
    "moved": N_("校验链顺序被改动"),
    "gap": N_("校验链有缺失"),
    "end_missing": N_("末尾记录缺失"),
    "beginning": N_("起点不可信"),
    "legacy": N_("旧版校验链不符"),
    "key_missing": N_("缺少密钥，无法校验"),
    "no_anchor": N_("缺少锚点，无法确认末尾是否完整"),
}

# --- people ----------------------------------------------------------------------------------------------------------

STAFF_STATUS: dict[str, str] = {"active": N_("正常"), "stopped": N_("已停用")}
STAFF_EVER: dict[str, str] = {**STAFF_STATUS, "removed": N_("已删除")}
STAFF_TONE: dict[str, str] = {"active": "green", "stopped": "secondary", "removed": "red"}
DOWNLOAD, CANCEL_JOB = N_("下载"), N_("取消任务")
