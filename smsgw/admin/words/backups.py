"""The words of backups."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {"running": N_("备份中"), "done": N_("已完成"), "failed": N_("失败"), "lost": N_("已中断")}
TONE: dict[str, str] = {"running": "blue", "done": "green", "failed": "red", "lost": "red"}
TRIAL: dict[str, str] = {"never": N_("未演练"), "good": N_("行数一致"), "bad": N_("未通过")}
TRIAL_TONE: dict[str, str] = {"never": "secondary", "good": "green", "bad": "red"}
FILE: dict[str, str] = {"there": N_("在"), "gone": N_("已清理"), "none": N_("无")}
FILE_TONE: dict[str, str] = {"there": "green", "gone": "secondary", "none": "secondary"}
LEAD = N_(
    "数据库整库备份：在服务器上用 smsgwctl backup 制作与恢复演练，结果登记在这里；密钥文件不在备份内，须另行保管。"
)
EMPTY = N_("还没有登记的备份")
TEACH = N_(
    "在服务器上每天定时运行 smsgwctl backup make /备份目录 --keep 7，"
    "并定期运行 smsgwctl backup rehearse 编号 做恢复演练。"
)
BACKUP = N_("备份 #%(n)s")
TRIAL_SECTION = N_("恢复演练")
