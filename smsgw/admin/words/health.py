"""The words of the daily health mail and its pages."""

from __future__ import annotations

from smsgw.admin.i18n import N_

TITLE = N_("健康日报")
LEAD = N_("每天定时把平台的运行情况发到指定邮箱：前一日数据、告警、故障、工单、队列、磁盘、备份、证书与安全评分。")
TAB_NOW, TAB_SENT = N_("预览与设置"), N_("发送记录")
PLAN = N_("发送设置")
PLAN_EMPTY = N_("还没有收件人，日报不会发出。")
PLAN_SAYS = N_("每天 %(hour)s:00 发送，%(language)s，%(n)s 个收件人：")
PLAN_CHANGED = N_("%(who)s 于 %(when)s 修改")
NO_SERVER = N_("本节点的配置文件没有指定发信服务器（[mail]），不会由本节点发出。指定后，中断的日子合并在一封里补发。")
PREVIEW = N_("现在发出的内容")
EDIT, SAVE = N_("设置收件人"), N_("保存")
EDIT_ABOUT = N_("修改从下一封起生效。停机错过的日子，恢复后合并为一封补发，最多 7 天，不会重复。")
EMAILS_HELP = N_("一行一个邮箱，最多 10 个；全部清空则不再发送。")
SAVED, GONE = N_("设置已保存"), N_("已停止发送健康日报")
ASK = N_("现在发送一封")
ASK_EFFECT = N_("将立即向 %(n)s 个收件人各发送一封，内容与本页预览相同；不影响每天定时的一封。")
ASK_NOBODY = N_("还没有收件人，先设置收件人。")
ASKED = N_("已排队，一分钟内发出；结果见发送记录")
SENT_LEAD = N_("每封日报发给了谁、何时发出、为什么失败。结果不明的可能已送达，不会自动再发。")
EMPTY, TEACH = N_("还没有发送过健康日报"), N_("设置收件人后，每天定时发送，结果显示在这里。")
AGAIN = N_("重新发送")
AGAIN_EFFECT = N_(
    "将重新发送 %(n)s 封日报，内容按发出时的情况重新生成。其中 %(unsure)s 封结果不明，收件人可能收到两封。"
)
AGAIN_SOME = N_(
    "将重新发送 %(n)s 封日报，内容按发出时的情况重新生成。其中 %(unsure)s 封结果不明，收件人可能收到两封。"
    "另有 %(stays)s 封不重新发送：已发送、待发送，或收件人已移除。"
)
AGAIN_NONE = N_("所选日报都不能重新发送：已发送、待发送，或收件人已移除。")

STATE: dict[str, str] = {
    "good": N_("良好"), "plain": N_("说明"), "unknown": N_("未知"), "warning": N_("关注"), "bad": N_("异常"),
}  # fmt: skip
TONE: dict[str, str] = {"good": "green", "plain": "secondary", "unknown": "orange", "warning": "orange", "bad": "red"}
WHOLE: dict[str, str] = {
    "good": N_("平台运行正常。"),
    "warning": N_("有 %(n)s 项需要关注。"),
    "bad": N_("有 %(bad)s 项异常，另有 %(n)s 项需要关注。"),
}
ITEM: dict[str, str] = {
    "figures": N_(
        "%(day)s 提交 %(submitted)s 条：成功 %(delivered)s，失败 %(failed)s，最终未知 %(unknown)s，未发出 %(unsent)s，"
        "尚无结果 %(pending)s。成功率 %(rate)s%%（告警线 %(limit)s%%），计费 %(billed)s 条。"
    ),
    "figures_unrated": N_(
        "%(day)s 提交 %(submitted)s 条，没有成功或失败的回执：最终未知 %(unknown)s，未发出 %(unsent)s，"
        "尚无结果 %(pending)s，计费 %(billed)s 条。"
    ),
    "figures_unknown": N_("发送数据：限时内未能查出。"),
    "alarms": N_(
        "告警：期间新增 %(raised)s 条，其中严重 %(critical)s 条；"
        "现有 %(open)s 条未恢复，其中严重 %(open_critical)s 条。"
    ),
    "alarm": N_("未恢复的告警：%(kind)s，%(object)s，自 %(since)s。"),
    "alarms_unknown": N_("告警：限时内未能查出。"),
    "faults": N_(
        "故障：期间新增 %(begun)s 起，%(open)s 起未关闭；本年计入 %(year)s 起，承诺不超过 %(most)s 起，"
        "可用率 %(availability)s%%。"
    ),
    "faults_unknown": N_("故障：限时内未能查出。"),
    "tickets": N_("工单：期间新增 %(opened)s 件，%(open)s 件未办结。"),
    "tickets_unknown": N_("工单：限时内未能查出。"),
    "queue": N_("队列：%(n)s 条待发送，最早的已等待 %(minutes)s 分钟。"),
    "queue_more": N_("队列：至少 %(n)s 条待发送，最早的已等待 %(minutes)s 分钟。"),
    "queue_unknown": N_("队列：限时内未能查出。"),
    "nodes": N_("节点：%(live)s 个在线，%(missing)s 个失联。"),
    "nodes_unknown": N_("节点：限时内未能查出。"),
    "database": N_("数据库：占用 %(used)s，近 %(back)s 天平均每天变化 %(growth)s。"),
    "database_new": N_("数据库：占用 %(used)s，记录不足 %(least)s 天，尚不能说明增长。"),
    "disk": N_(
        "磁盘 %(object)s：剩余 %(free)s（%(percent)s%%），近 %(back)s 天平均每天增长 %(growth)s，约 %(days)s 天后写满。"
    ),
    "disk_steady": N_("磁盘 %(object)s：剩余 %(free)s（%(percent)s%%），近 %(back)s 天没有增长。"),
    "disk_new": N_("磁盘 %(object)s：剩余 %(free)s（%(percent)s%%），记录不足 %(least)s 天，尚不能预测。"),
    "sizes_unknown": N_("磁盘与数据库大小：昨天以来没有记录，或限时内未能查出。"),
    "backup": N_("备份：最近一次成功的整库备份在 %(hours)s 小时前；最近一次恢复演练通过于 %(tried)s。"),
    "backup_untried": N_("备份：最近一次成功的整库备份在 %(hours)s 小时前；还没有通过的恢复演练，能否恢复尚未证实。"),
    "backup_failed": N_(
        "备份：最近一次恢复演练（%(failed)s）未通过，演练的备份不再计入；其余成功的备份中最近一次在 %(hours)s 小时前。"
    ),
    "backup_never": N_("备份：还没有登记过成功的整库备份。"),
    "backups_unknown": N_("备份：限时内未能查出。"),
    "archive": N_("日志归档：数据库日志最近一次成功归档在 %(hours)s 小时前。"),
    "archive_never": N_("日志归档：数据库还没有归档过日志。"),
    "security": N_("安全检查：%(score)s 分，%(bad)s 项不合格。"),
    "security_unknown": N_("日志归档与安全检查：限时内未能查出。"),
    "certificate": N_("证书 %(name)s：%(ends)s 到期，还有 %(days)s 天。"),
    "certificate_over": N_("证书 %(name)s：已于 %(ends)s 到期。"),
    "certificate_unknown": N_("证书 %(name)s：文件读不出，无法确认到期日。"),
    "certificates_none": N_("证书：没有配置 HTTPS 证书。"),
    "certificates_unknown": N_("证书：限时内未能查出。"),
}
SUBJECT = N_("%(platform)s 健康日报 %(days)s：%(state)s")
DAYS = N_("%(first)s 至 %(last)s")
BODY = N_(
    "%(platform)s 健康日报\n%(days)s（生成于 %(when)s）\n\n%(whole)s\n\n%(lines)s\n\n"
    "期间的数据按受理日期统计，回执可能还在到达；队列、告警、磁盘等为生成时的情况。\n"
    "本邮件由系统自动发送，收件人与时间在“运维监控 → 健康日报”中设置。\n"
)
LINE = N_("【%(state)s】%(text)s")
