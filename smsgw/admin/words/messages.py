"""The words for what the core names in English: states, codes and steps of messages, channels, alarms."""

from __future__ import annotations

from typing import Protocol

from smsgw.admin.i18n import N_
from smsgw.core.model import REPORT_CLASSES
from smsgw.core.report_codes import head_of
from smsgw.core.states import STATUS_NAMES
from smsgw.core.words import chinese_of

STATUS_COLOUR: dict[str, str] = {
    "held": "purple",
    "scheduled": "purple",
    "queued": "azure",
    "submitted": "blue",
    "uncertain": "orange",
    "unconfirmed": "orange",
    "delivered": "green",
    "failed": "red",
    "expired": "secondary",
    "no_report": "yellow",
    "rejected": "red",
    "cancelled": "secondary",
    "duplicate": "secondary",
}
FINAL_STATUSES = frozenset(STATUS_NAMES) - {"held", "scheduled", "queued", "submitted", "uncertain"}

# The words below stand in core; repeated here so that they are found for translation. A test compares.
STATUS: dict[str, str] = {
    "held": N_("审核中"),
    "scheduled": N_("待发送"),
    "queued": N_("排队中"),
    "submitted": N_("已提交"),
    "uncertain": N_("结果未知"),
    "unconfirmed": N_("结果未知（已结束）"),
    "delivered": N_("成功"),
    "failed": N_("失败"),
    "expired": N_("已过期未发"),
    "no_report": N_("未收到回执"),
    "rejected": N_("已拒绝"),
    "cancelled": N_("已撤销"),
    "duplicate": N_("重复"),
}
RESULT: dict[str, str] = {
    "delivered": N_("成功"),
    "failed": N_("失败"),
    "unknown": N_("最终未知"),
    "unsent": N_("未发出"),
    "pending": N_("待结果"),
}
"""How messages have ended, in short; what they are called in reports."""
CLASS: dict[str, str] = {
    "EMPTY_NUMBER": N_("空号"),
    "POWERED_OFF": N_("关机"),
    "SUSPENDED": N_("停机"),
    "BLACKLIST_CARRIER": N_("运营商黑名单"),
    "BLACKLIST_LOCAL": N_("平台黑名单"),
    "CONTENT_BLOCKED": N_("内容拦截"),
    "FREQ_CARRIER": N_("运营商频控"),
    "FREQ_LOCAL": N_("平台频控"),
    "POLICY": N_("平台策略"),
    "SIGN_UNREGISTERED": N_("签名未报备"),
    "HANDSET": N_("手机原因"),
    "NETWORK": N_("网络"),
    "TIMEOUT": N_("超时"),
    "CHANNEL": N_("通道"),
    "UNKNOWN": N_("未知"),
}

UNSAID: dict[str, str] = {
    "UNDELIV": N_("未送达，运营商未给出原因"),
    "REJECTD": N_("运营商拒收，未给出原因"),
    "DELETED": N_("运营商已删除，未给出原因"),
}
"""Raw codes that tell what has become of a message, and not why."""

CAUSE = CLASS | UNSAID


class Ended(Protocol):
    """What has come to an end, or has not yet: a message, or a part of one."""

    @property
    def cls(self) -> str:
        """Class of the failure; empty: none."""

    @property
    def code(self) -> str:
        """As the carrier has given it."""


def cause_of(ended: Ended) -> str:
    """Key in ``CAUSE`` of why it was not delivered: the class, or what a code without one says."""
    head = head_of(ended.code)
    return head if ended.cls == "UNKNOWN" and head in UNSAID else ended.cls


TYPE: dict[str, str] = {"otp": N_("验证码"), "notice": N_("通知"), "marketing": N_("营销")}
CARRIER: dict[str, str] = {
    "CMCC": N_("移动"),
    "CUCC": N_("联通"),
    "CTCC": N_("电信"),
    "CBN": N_("广电"),
    "INTL": N_("国际"),
    "UNKNOWN": N_("未知"),
}
ORIGIN: dict[str, str] = {
    "api": N_("接口"),
    "portal": N_("页面"),
    "cli": N_("命令行"),
    "task": N_("任务"),
    "smpp": "SMPP",
    "cmpp": "CMPP",
}
PROTOCOL: dict[str, str] = {
    "cmpp20": "CMPP 2.0",
    "cmpp30": "CMPP 3.0",
    "smpp34": "SMPP 3.4",
    "sgip12": "SGIP 1.2",
    "smgp30": "SMGP 3.0",
}
CODING: dict[str, str] = {
    "gsm7": N_("GSM 7 位"),
    "ucs2": N_("UCS-2（中文）"),
    "gb18030": "GB18030",
    "latin1": "Latin-1",
    "ascii": "ASCII",
    "binary": N_("二进制"),
}
ALARM: dict[str, str] = {
    "channel_down": N_("通道断开"),
    "login_refused": N_("通道登录被拒"),
    "channel_silent": N_("通道无应答"),
    "standby_low": N_("备用通道不足"),
    "probe_failed": N_("通道探测失败"),
    "unknown_code": N_("未知结果码"),
    "claims_lost": N_("已认领的短信失去跟踪"),
    "unmatched_reports": N_("无法匹配的回执过多"),
    "figures_differ": N_("报表与记录不一致"),
    "success_low": N_("通道成功率偏低"),
    "report_late": N_("状态报告延迟"),
    "channel_shifted": N_("通道已自动分流"),
    "facts_parked": N_("上行或回执无法入账"),
    "journal_full": N_("本地日志写满"),
    "disk_low": N_("磁盘空间不足"),
    "spool_failed": N_("本地缓存不可用"),
    "spool_damaged": N_("本地缓存有内容未能入库"),
    "database_down": N_("数据库不可用"),
    "database_faulty": N_("数据库版本有缺陷"),
    "rows_skipped": N_("有数据无法读取"),
    "writer_stalled": N_("写库停滞"),
    "clock_wrong": N_("时钟不一致"),
    "loop_stalled": N_("程序停顿"),
    "links_stale": N_("短链未更新"),
    "links_unserved": N_("短链无人提供"),
    "clicks_unkept": N_("短链点击未逐条保存"),
    "backup_old": N_("备份过期"),
    "redis_away": N_("Redis 通信异常"),
    "restored_undecided": N_("恢复后待裁定"),
    "partition_missing": N_("数据分区缺失"),
    "audit_changed": N_("审计日志被改动"),
    "audit_anchor": N_("审计日志锚点写入失败"),
    "retention_held": N_("过期数据未能清理"),
    "complaint_ceiling": N_("投诉率超限"),
    "toll_fraud": N_("疑似盗发国际短信"),
    "guessing": N_("疑似猜测密码或密钥"),
    "review_waiting": N_("短信待审核过久"),
    "sign_over": N_("签名或报备已过期"),
    "task_halted": N_("逐步发送已停止"),
    "fault_response_near": N_("故障响应时限将到"),
    "fault_response_over": N_("故障响应超时"),
    "fault_recovery_near": N_("故障恢复时限将到"),
    "fault_recovery_over": N_("故障恢复超时"),
    "faults_full": N_("故障登记已满"),
    "ticket_response_near": N_("工单响应时限将到"),
    "ticket_response_over": N_("工单响应超时"),
    "webhook_failing": N_("推送地址持续失败"),
    "webhook_dead": N_("推送已放弃"),
    "events_lost": N_("事件过期未送达"),
    "channel_throttled": N_("运营商限速"),
    "rate_near": N_("通道接近速率上限"),
    "queue_long": N_("排队短信过多"),
    "queue_old": N_("短信排队过久"),
    "webhook_queue": N_("待推送事件过多"),
    "balance_low": N_("账号余额不足"),
    "database_lag": N_("数据库备机延迟"),
    "node_missing": N_("节点失联"),
    "disk_filling": N_("磁盘空间偏少"),
}
CHANNEL_STATE: dict[str, tuple[str, str]] = {
    "bound": (N_("已连接"), "green"),
    "idle": (N_("空闲，有短信时再连接"), "green"),
    "connecting": (N_("连接中"), "yellow"),
    "refused": (N_("登录被拒"), "red"),
    "draining": (N_("排空中"), "azure"),
    "stopped": (N_("已停止"), "secondary"),
}
CHANNEL_REASON: dict[str, str] = {
    "window full": N_("窗口已满：运营商应答慢，可加大窗口或增加连接"),
    "rate limit": N_("达到速率上限"),
    "carrier slow": N_("运营商应答慢"),
    "carrier throttles": N_("运营商要求放慢"),
    "nothing to send": N_("没有待发短信"),
    "not bound": N_("通道未连接"),
}
if CLASS.keys() != REPORT_CLASSES.keys() or STATUS.keys() != STATUS_NAMES.keys() or ALARM != chinese_of("alarm"):
    raise RuntimeError("the portal's words have fallen behind core")
NUMBER_PROBLEM: dict[str, str] = {
    "empty": N_("号码为空"),
    "characters": N_("含有非数字字符"),
    "length": N_("位数不对"),
    "mainland": N_("不是大陆手机号"),
    "prefix": N_("国际号码须以 + 或 00 开头"),
}
STEP: dict[str, str] = {
    "accepted": N_("平台受理"),
    "queued": N_("路由并排队"),
    "scheduled": N_("等待发送时间"),
    "held_for_review": N_("等待审批"),
    "held": N_("账号停用，暂停发送"),
    "rejected": N_("平台拒绝"),
    "recalled": N_("号码进入黑名单、已退订或撤回同意，撤回未发短信"),
    "resumed": N_("账号启用，恢复发送"),
    "restored": N_("数据库从备份恢复，此后是否已发出无法确定，等待裁定"),
    "spooled": N_("接收时数据库中断，先写入本地，恢复后入库"),
    "task_paused": N_("任务暂停，暂不发送"),
    "task_resumed": N_("任务继续，重新排队"),
    "task_cancelled": N_("任务取消，撤销"),
    "push_failed": N_("推送失败，等待重试"),
    "push_dead": N_("推送多次失败，已放弃"),
    "pushed": N_("回执已送达客户"),
    "released": N_("到时，进入队列"),
    "review_passed": N_("审核通过"),
    "review_rejected": N_("审核驳回"),
    "claimed": N_("提交运营商"),
    "submitted": N_("运营商已接收"),
    "refused": N_("运营商拒绝"),
    "report": N_("状态报告"),
    "final": N_("结束"),
    "report_ready": N_("最终状态已生成回执"),
    "offered": N_("客户取走回执"),
    "acknowledged": N_("客户确认回执"),
    "deferred": N_("运营商暂缓，稍后重试"),
    "unknown": N_("应答丢失，结果未知"),
    "resent": N_("按策略重发"),
    "retried": N_("明确失败，按重试表再次发送"),
    "decided": N_("人工处理"),
    "never_written": N_("确认未写出，重新排队"),
    "moved_on": N_("通道不可用，转由其他通道发送"),
    "rerouted": N_("路由已变更，改由新的通道发送"),
    "late_answer": N_("迟到的应答"),
    "early_report": N_("回执先于应答到达"),
    "by_reference": N_("回执带回我方参考号，据此确认"),
    "inferred": N_("回执的编号未知，按号码和时间推断"),
    "rematched": N_("未匹配的回执按规则对应"),
    "cancelled": N_("撤销"),
}
STEP_COLOUR: dict[str, str] = {
    "held_for_review": "purple",
    "held": "yellow",
    "scheduled": "purple",
    "rejected": "red",
    "push_failed": "yellow",
    "push_dead": "red",
    "refused": "red",
    "deferred": "yellow",
    "unknown": "orange",
    "resent": "orange",
    "retried": "yellow",
    "never_written": "yellow",
    "moved_on": "yellow",
    "rerouted": "yellow",
}
METRIC: dict[str, tuple[str, str, str]] = {
    # name: label, colour, status to filter the records by; counted are the records that the filter finds
    "accepted": (N_("今日受理"), "secondary", ""),
    "submitted": (N_("待回执"), "blue", "submitted"),
    "delivered": (N_("成功"), "green", "delivered"),
    "failed": (N_("失败"), "red", "failed"),
    "unknown": (N_("结果未知"), "orange", "uncertain"),
    "rejected": (N_("已拒绝"), "red", "rejected"),
}
EXPLANATION: dict[str, str] = {
    "held": N_("正在等待审核员审批，原因见时间线；通过后自动发送。"),
    "scheduled": N_("未到计划时间（见时间线），到时自动发送。"),
    "queued": N_("已落库，正在等待通道取走。若长时间停留，请查看首页的通道状态。"),
    "submitted": N_("运营商已接收，正在等待状态报告。通常几秒内返回，手机关机时可能要等到开机。"),
    "uncertain": N_("已写给运营商但没有等到应答，可能已发出。系统不会盲目重发，等待应答、状态报告或策略时限。"),
    "unconfirmed": N_("直到策略时限也没有等到应答或状态报告，可能已送达。迟到的报告仍会更正此结果。"),
    "delivered": N_("运营商报告短信已送达手机。"),
    "failed": N_("运营商报告失败或拒绝接收，原因见原始码。"),
    "expired": N_("在有效期内未能提交给任何运营商，没有发出，费用已退回。"),
    "no_report": N_("运营商已接收，但期限内没有返回状态报告，可能已送达。迟到的报告仍会更正此结果。"),
    "rejected": N_("被本平台拒绝，没有发出，不计费。"),
    "cancelled": N_("已撤销，没有发出，费用已退回。"),
    "duplicate": N_("被判定为重复，没有发出，费用已退回。"),
}
CLASS_ADVICE: dict[str, str] = {
    "EMPTY_NUMBER": N_("号码不存在：请从名单中删除。"),
    "POWERED_OFF": N_("手机关机或不在服务区：可稍后重发。"),
    "SUSPENDED": N_("号码停机：请核对号码或稍后重发。"),
    "BLACKLIST_CARRIER": N_("号码在运营商黑名单中：用户曾投诉或退订，请勿继续发送。"),
    "BLACKLIST_LOCAL": N_("号码在平台黑名单中：如有误请联系管理员核对。"),
    "CONTENT_BLOCKED": N_("内容被运营商拦截：请检查敏感词、网址与签名后修改内容。"),
    "FREQ_CARRIER": N_("运营商限制了对该号码的频率：请拉长间隔后重发。"),
    "FREQ_LOCAL": N_("平台限制了对该号码的频率：请拉长间隔，或请管理员调整频控。"),
    "POLICY": N_("平台的发送策略拒绝了这条短信：请按说明修改后重发。"),
    "SIGN_UNREGISTERED": N_("签名未在该运营商报备：请先完成报备或更换签名。"),
    "HANDSET": N_("手机原因（存储已满、终端错误等）：请用户检查手机。"),
    "NETWORK": N_("运营商网络原因：可稍后重发。"),
    "TIMEOUT": N_("运营商在有效期内未能送达：可稍后重发。"),
    "CHANNEL": N_("通道参数或状态问题：请运维检查通道配置与余额。"),
    "UNKNOWN": N_("运营商未说明原因，或原始码未归入任何一类：可稍后重发；如反复出现，请把原始码提供给运维核对。"),
}
DETAIL: dict[str, str] = {
    "account": N_("账号"),
    "actor": N_("操作人"),
    "attempt": N_("提交次数"),
    "carrier": N_("运营商"),
    "carrier_id": N_("运营商消息号"),
    "channel": N_("通道"),
    "class": N_("原因"),
    "code": N_("原始码"),
    "coding": N_("编码"),
    "delay": N_("延迟（秒）"),
    "event_id": N_("回执号"),
    "origin": N_("来源"),
    "parts": N_("条数"),
    "province": N_("归属地"),
    "reason": N_("说明"),
    "planned_at": N_("计划时间"),
    "tries": N_("推送次数"),
    "problem": N_("问题"),
    "next_at": N_("下次"),
    "reviewer": N_("审核员"),
    "status": N_("状态"),
    "task": N_("发送任务"),
}
DECISION: dict[str, str] = {
    "delivered": N_("认定成功"), "failed": N_("认定失败"), "unconfirmed": N_("维持未知"), "resend": N_("重新发送"),
}  # fmt: skip
DETAIL_VALUES: dict[str, dict[str, str]] = {
    "decision": DECISION, "origin": ORIGIN, "coding": CODING, "carrier": CARRIER, "class": CLASS,
}  # fmt: skip
"""Names for the values of some details; texts that are Chinese already are looked up as they are."""
