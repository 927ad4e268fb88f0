"""What an alarm is, and when something found wrong becomes one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WARNING = "warning"
CRITICAL = "critical"

KINDS: dict[str, str] = {
    "channel_down": "通道断开",
    "login_refused": "通道登录被拒",
    "standby_low": "备用通道不足",
    "probe_failed": "通道探测失败",
    "unknown_code": "未知结果码",
    "claims_lost": "已认领的短信失去跟踪",
    "unmatched_reports": "无法匹配的回执过多",
    "facts_parked": "上行或回执无法入账",
    "journal_full": "本地日志写满",
    "disk_low": "磁盘空间不足",
    "spool_failed": "本地缓存不可用",
    "spool_damaged": "本地缓存有内容未能入库",
    "database_down": "数据库不可用",
    "writer_stalled": "写库停滞",
    "clock_wrong": "时钟不一致",
    "loop_stalled": "程序停顿",
    "partition_missing": "数据分区缺失",
    "audit_changed": "审计日志被改动",
    "audit_anchor": "审计日志锚点写入失败",
    "retention_held": "过期数据未能清理",
    "complaint_ceiling": "投诉率超限",
    "toll_fraud": "疑似盗发国际短信",
    "guessing": "疑似猜测密码或密钥",
    "review_waiting": "短信待审核过久",
    "webhook_failing": "推送地址持续失败",
    "webhook_dead": "推送已放弃",
    "events_lost": "事件过期未送达",
}
"""Kinds of alarms, with their Chinese names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong at this moment."""

    kind: str
    object: str
    """Whom it concerns: ``channel/NAME``, ``pool/NAME``, ``node/N``, ``sign/TEXT``."""
    severity: str
    detail: str = ""
    after: float = 0.0
    """Seconds for which it must have been so."""

    @property
    def key(self) -> tuple[str, str]:
        """An alarm is one for each of these."""
        return self.kind, self.object


class Watch:
    """Remembers since when things have been wrong, and says which of them are alarms by now."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}

    def look(self, found: Iterable[Finding], now: float) -> dict[tuple[str, str], tuple[Finding, float]]:
        """Take in a round of findings; those that are alarms by now, with the seconds since they began.

        What is found and no alarm yet keeps an alarm that stands open: ask ``pending``.
        """
        current = {finding.key: finding for finding in found}
        self._since = {key: self._since.get(key, now) for key in current}
        return {
            key: (finding, now - self._since[key])
            for key, finding in current.items()
            if now - self._since[key] >= finding.after
        }

    def pending(self, key: tuple[str, str]) -> bool:
        """Whether the last round has found it."""
        return key in self._since
