"""The words of diagnostic bundles."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LEAD = N_(
    "把一个节点的版本、配置、日志、指标、表大小、慢语句计划、告警打成一个压缩包，交给技术支持；"
    "不含密钥与密码，号码已脱敏。"
)
MAKE = N_("生成诊断包")
ABOUT = N_("在所选节点上生成，约需半分钟，3 天后自动删除。生成与下载记入审计日志。交给他人前请先打开看一遍。")
EMPTY, TEACH = N_("还没有诊断包"), N_("排查问题时生成一个，把诊断时的现场保存下来。")
DOWNLOAD = N_("下载")
BEGUN = N_("已开始生成，完成后在此下载")
