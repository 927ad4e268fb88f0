"""The words of monthly statements: the file, the mail, who gets it, and what became of each."""

from __future__ import annotations

from smsgw.admin.i18n import N_

TITLE = N_("短信对账单")
TAG = N_("zh-CN")
"""The language of the file, as programs call it."""
SUBJECT = N_("%(platform)s：%(account)s %(month)s 短信对账单")
BODY = N_(
    "您好：\n\n附件为 %(account)s %(month)s 的短信对账单（PDF）：提交与结果，账单（扣费、返还与金额），剔除规则版本，"
    "全平台每天回执存证的默克尔根。\n\n文件的 SHA-256：%(digest)s\n\n"
    "本邮件由系统自动发送，如需更换收件人请联系平台管理员。\n%(platform)s\n"
)
PERIOD = N_("%(first)s 至 %(last)s")
ACCOUNT, MONTH, MADE = N_("账号"), N_("账期"), N_("生成时间")
SUMMARY, SUCCESS, BY_DAY, EVIDENCE, RULES = (
    N_("汇总"), N_("通道成功率"), N_("逐日明细"), N_("全平台回执存证（每日默克尔根）"), N_("剔除规则"),
)  # fmt: skip
BILL = N_("账单")
ALL_TYPES = N_("合计")
BOOKED = N_("条数按账本入账日期统计，返还含未发出的短信和按约定返还的失败。")
PRICE = N_("单价 %(price)s 元/条：扣费 %(units)s 条，返还 %(back)s 条，净计费 %(net)s 条。")
PRICES = N_(
    "每笔扣费按入账时的单价计算，返还按原扣费的单价；改价不影响已入账的金额。"
    "金额 =（扣费条数 − 返还条数）× 单价，按四位小数累计，合计四舍五入到分。"
)
NO_DAYS = N_("本月没有短信。")
NO_CHANNELS = N_("本月没有通道结果。")
NO_ROOTS = N_("本月还没有默克尔根。")
NO_RULE = N_("没有有效的剔除规则，全部失败均计入。")
RULE_OF = N_("V%(version)s，自 %(from)s 起：%(rules)s。理由：%(reason)s")
NOTE = N_(
    "按受理日期统计，一条短信记一次。未剔除成功率 = 成功 ÷（成功 + 失败 + 最终未知）；剔除后再减去剔除规则所列的失败。"
    "计费条数不含未发出的短信；返还按本月入账。存证条数与默克尔根是全平台所有账号当天收到的回执，"
    "与本账号的条数不相等；默克尔根可用 smsgwctl evidence verify 核验。"
)
ALL_CHANNELS = N_("全部通道")
MAIL_MARK = N_("%(platform)s · 发送至 %(who)s · %(when)s")
PAGE = N_("第 %(n)s 页")

BILLS = N_("月账单")
BILLS_LEAD = N_(
    "每个账号一个月的扣费与返还，按账本入账日期（北京时间）统计，与账本逐笔相符；每笔按入账时的单价计算，"
    "返还按原扣费的单价，每个账号合计四舍五入到分。"
    "改价不影响已入账的金额，过去的月份不再变化。本月截至此刻。按类型的明细见对账单 PDF。"
)
BILLS_EMPTY = N_("这个月没有扣费")
BILLS_TEACH = N_("账号发送短信后，当月的条数与金额显示在这里；以前的月份在“月份”中选择。")
BILLS_CHART = N_("净计费条数，按账号")
OVERVIEW = N_("逐日明细")
PDF = N_("下载 PDF")
PDF_TITLE = N_("下载对账单")
PDF_ABOUT = N_(
    "一个账号一个月的对账单：汇总、通道成功率与剔除规则、逐日明细、全平台每日默克尔根，带水印。下载记入审计日志。"
)
RECEIVERS = N_("对账单收件人")
RECEIVERS_LEAD = N_(
    "每月 5 日起（上月状态报告收齐后），自动向收件人发送账号上月的对账单，每人一封。"
    "发信服务器在配置文件 [mail] 中指定，未指定时排队等待。"
)
RECEIVERS_EMPTY = N_("还没有收件人")
RECEIVERS_TEACH = N_("为账号登记收件人后，从登记当月的对账单开始，每月自动发送。")
RECEIVERS_NEW = N_("登记收件人")
RECEIVERS_EDIT = N_("修改收件人")
RECEIVERS_SAVED = N_("收件人已保存")
RECEIVERS_GONE = N_("已停止发送该账号的对账单")
EMAILS_HELP = N_("一行一个邮箱；全部清空则不再发送。")
LANGUAGE: dict[str, str] = {"zh": N_("中文"), "en": N_("英文")}
MAILS = N_("对账单邮件")
MAILS_LEAD = N_("每月对账单发给了谁、何时发出、为什么失败。结果不明的可能已送达，不会自动再发。")
MAILS_EMPTY = N_("还没有发送过对账单")
MAILS_TEACH = N_("登记收件人后，每月 5 日起自动发送，结果显示在这里。")
STATE: dict[str, str] = {
    "waiting": N_("待发送"), "sending": N_("发送中"), "sent": N_("已发送"), "failed": N_("发送失败"),
    "unsure": N_("结果不明"),
}  # fmt: skip
TONE: dict[str, str] = {"waiting": "azure", "sending": "blue", "sent": "green", "failed": "red", "unsure": "orange"}
AGAIN = N_("重新发送")
AGAIN_EFFECT = N_("将重新发送 %(n)s 封对账单。其中 %(unsure)s 封结果不明，收件人可能收到两封。")
AGAIN_SOME = N_(
    "将重新发送 %(n)s 封对账单。其中 %(unsure)s 封结果不明，收件人可能收到两封。"
    "另有 %(stays)s 封不重新发送：已发送、待发送，或收件人已移除。"
)
AGAIN_NONE = N_("所选对账单都不能重新发送：已发送、待发送，或收件人已移除。")
