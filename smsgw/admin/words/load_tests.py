"""Words of load tests (P10.10; 仿真器与压测)."""

from __future__ import annotations

import re

from smsgw.admin.i18n import N_

LEAD = N_("在本机另起一套网关、数据库和仿真运营商，按设定的速率加压并核数；只发往自带的仿真器，不会发往任何运营商。")
EMPTY, TEACHES = (
    N_("还没有压测过"),
    N_("选择场景、速率和时长，系统自动搭建、加压、核数并清理，最后给出按招标条款对照的验收报告，可打印。"),
)
NEW, BEGIN = N_("新建压测"), N_("开始压测")
SCENARIO: dict[str, str] = {
    "steady": N_("批量提交：HTTP 批量，运营商 5 毫秒应答"),
    "single": N_("逐条提交：HTTP 单条、50 个连接，报告带签名推送"),
    "partner": N_("下游接入：SMPP 长连接提交"),
    "slow": N_("运营商较慢：40 毫秒应答"),
    "limited": N_("通道限速：三条通道各 1,000 条/秒"),
    "flood": N_("全速批量：HTTP 批量，应答多快就提交多快，速率 × 时长只定条数"),
    "otp": N_("验证码与批量并行：批量之外每秒另有 20 条验证码逐条提交"),
    "personalised": N_("个性化短信：HTTP 批量，模板加每人各自的变量"),
    "cmpp": N_("下游接入：CMPP 长连接提交"),
}
STATE: dict[str, str] = {
    "waiting": N_("排队中"), "running": N_("进行中"), "done": N_("已完成"), "failed": N_("未完成"),
    "stopped": N_("已停止"),
}  # fmt: skip
TONE = {"waiting": "secondary", "running": "azure", "done": "green", "failed": "red", "stopped": "secondary"}
RATE_HELP = N_("1 到 3,000；速率 × 时长不超过 1,800,000 条。")
SECONDS_HELP = N_("10 到 1,800 秒；招标要求的处理能力须以 1,000 条/秒持续 1,800 秒验证。")
EFFECT = N_(
    "将在节点 %(node)s 上另起一套网关、数据库和三个仿真运营商，提交 %(messages)s 条"
    "（%(rate)s 条/秒 × %(seconds)s 秒），"
    "最长 %(minutes)s 分钟后自动结束。约占磁盘 %(mb)s MB（可用 %(free)s MB），结束后全部删除；"
    "会占用 CPU（本机 %(cores)s 核，"
    "当前负载 %(load)s），优先级低于正式业务，但仍可能使其变慢：一旦变慢或磁盘不足即自动停止。"
    "%(busy)s不发往任何运营商，不产生费用。"
)
BEGUN = N_("压测已开始。")
STOP, STOP_TITLE = N_("停止压测"), N_("停止压测")
STOP_EFFECT = N_("将立即停止：已提交 %(accepted)s 条，共 %(messages)s 条；临时环境随即清理，不出验收报告。")
STOP_NOTHING = N_("此次压测已结束，无需停止。")
STOPPED = N_("已通知停止，几秒内清理完毕。")
WHY: dict[str, str] = {
    "interrupted": N_("所在节点停止、重启或连不上数据库，压测已中断，不会自动重来。"),
    "killed": N_("压测进程意外结束（被终止或内存不足），临时环境已清理。可降低速率后重试。"),
    "slowed": N_("本系统自己的数据库明显变慢，压测已自动让位并停止，临时环境已清理。请避开高峰后重试。"),
    "outage": N_("压测期间网关或数据库意外中断（原因见测得数据），结果不能作为验收依据。请查明原因后重新压测。"),
    "disk": N_("磁盘可用空间不足 1 GB，压测已自动停止，临时环境已清理。请清理磁盘后重试。"),
}
BUSY = N_("本机正忙，建议避开高峰。")
REPORT = N_("验收报告")
CHART, ACCEPTED, REPORTED = N_("每秒受理与收到的状态报告（条/秒）"), N_("受理"), N_("收到报告")
CHART_SUMMARY = N_("设定 %(rate)s 条/秒，已受理 %(accepted)s 条，收到报告 %(reported)s 条。")
FACT: dict[str, str] = {
    "time": N_("压测时间"), "smsgw": N_("软件版本"), "python": N_("Python 版本"), "cores": N_("CPU 核数"),
    "load before": N_("压测前负载"), "postgres version": N_("数据库版本"), "postgres fsync": N_("数据库 fsync"),
    "postgres synchronous_commit": N_("数据库同步提交"), "postgres full_page_writes": N_("数据库整页写"),
    "postgres shared_buffers": N_("数据库共享缓存"), "messages": N_("条数"), "posts": N_("提交方式"),
    "pace": N_("速率"), "accounts": N_("账号"),
    "connections": N_("连接"), "pause of a puller": N_("拉取间隔"), "channels": N_("通道"),
    "carriers": N_("仿真运营商"), "codes": N_("验证码"), "workers": N_("工作进程"), "pushed": N_("报告推送"),
    "killed": N_("强制结束"), "daemon": N_("网关"), "database": N_("数据库"),
    "load generator": N_("加压程序"), "beside it": N_("同时进行"),
    "account": N_("账号限制（已放宽）"), "key": N_("密钥限制（已放宽）"),
}  # fmt: skip
"""What a bench says of the machine and of itself, by its own names."""
_SETTINGS: dict[str, str] = {
    r"(?P<n>[\d,]+) messages/s": N_("%(n)s 条/秒"), "as fast as answers come": N_("应答即发"),
    r"(?P<n>\d+), in turn by connection": N_("%(n)s 个，按连接轮流"),
    r"batches of (?P<n>\d+)": N_("每批 %(n)s 条"), "single recipients": N_("逐条提交"),
    r"(?P<n>[\d,]+) \(and (?P<m>[\d,]+) to warm up\)": N_("%(n)s（另有 %(m)s 条预热）"),
    r"requests_per_second (?P<n>[\d,]+) \(default (?P<m>[\d,]+)\)": N_("%(n)s 次/秒（默认 %(m)s）"),
    r"rate (?P<n>[\d,]+) messages/s \(default (?P<m>[\d,]+)\)": N_("%(n)s 条/秒（默认 %(m)s）"),
}  # fmt: skip
"""How a bench says what it did: pattern -> words for it."""
_OUTAGE = r"outage of the {} at (?P<at>\S+ \S+) \S+{}: (?P<cause>.*)"
_AFTER = r" \((?P<seconds>-?[\d.]+) s after the first post\)"
_PROBLEMS: dict[str, str] = {
    _OUTAGE.format("database", ""): N_("数据库于 %(at)s意外中断：%(cause)s"),
    _OUTAGE.format("database", _AFTER): N_("数据库于 %(at)s（开始加压后 %(seconds)s 秒）意外中断：%(cause)s"),
    _OUTAGE.format("daemon", ""): N_("网关于 %(at)s意外中断：%(cause)s"),
    _OUTAGE.format("daemon", _AFTER): N_("网关于 %(at)s（开始加压后 %(seconds)s 秒）意外中断：%(cause)s"),
    r"(?P<n>-?\d+) of (?P<of>\d+) posted messages were not accepted": N_("提交的 %(of)s 条中有 %(n)s 条未受理"),
    r"(?P<n>\d+) calls got no answer": N_("有 %(n)s 次调用没有得到应答"),
    r"(?P<accepted>\d+) accepted, (?P<billed>-?\d+) billed": N_("受理 %(accepted)s 条，计费 %(billed)s 条"),
    r"(?P<n>-?\d+) accepted messages have no report": N_("受理的短信中有 %(n)s 条没有报告"),
    r"(?P<n>\d+) reports were pulled more than once": N_("有 %(n)s 条报告重复收到"),
    r"(?P<n>\d+) reports are of messages that nobody accepted": N_("有 %(n)s 条报告不属于已受理的短信"),
    r"(?P<accepted>\d+) accepted, (?P<received>\d+) arrived at the carriers": N_(
        "受理 %(accepted)s 条，到达运营商 %(received)s 条"
    ),
    r"(?P<n>\d+) messages arrived at the carriers more than once": N_("有 %(n)s 条短信不止一次到达运营商"),
}
"""What a bench finds wrong (``bench.result.Result.problems``): pattern -> words for it."""


def setting(value: object) -> tuple[str, dict[str, str]]:
    """What a bench says of a setting, in words with their values; as it is, what there are none for."""
    return _told(_SETTINGS, str(value))


def problem(said: str) -> tuple[str, dict[str, str]]:
    """The same of what a bench finds wrong."""
    return _told(_PROBLEMS, said)


def _told(known: dict[str, str], said: str) -> tuple[str, dict[str, str]]:
    for pattern, text in known.items():
        if found := re.fullmatch(pattern, said):
            return text, found.groupdict()
    return "%(value)s", {"value": said}


VERDICT: dict[str, str] = {"met": N_("达到"), "missed": N_("未达到"), "not_tested": N_("本次未验证")}
VERDICT_TONE = {"met": "green", "missed": "red", "not_tested": "secondary"}
CLAUSE: dict[str, str] = {
    "rate": N_("处理能力：受理、提交并收到报告的速率"),
    "accept": N_("受理时延"),
    "submitted": N_("提交成功率：受理且到达仿真运营商"),
    "day": N_("日处理能力：按实测速率折算"),
    "exact": N_("不丢失、不重复：缺少 / 重复的条数"),
    "database": N_("数据库宕机不丢不重：缺少 / 重复 / 结果未知的条数，恢复用时"),
    "server": N_("服务器宕机不丢不重：单台机器上无法验证"),
    "daemon": N_("应用宕机不丢不重：缺少 / 重复 / 结果未知的条数，恢复用时"),
    "channel": N_("每条通道的速率"),
    "balance": N_("多通道自动均衡分配：各通道所占比例（限值为本系统自定）"),
    "codes": N_("高并发下的及时性：与批量并行时验证码从提交到运营商（限值为本系统自定）"),
}
"""By ``Finding.what``."""
