"""The words of short links: 短链列表, 短链生成任务, 访问详情, 短链报表."""

from __future__ import annotations

from smsgw.admin.i18n import N_

KIND: dict[str, str] = {"shared": N_("群发"), "personal": N_("个性化")}
KIND_TONE: dict[str, str] = {"shared": "blue", "personal": "purple"}
ORIGIN: dict[str, str] = {
    "page": N_("页面"), "task": N_("任务"), "api": N_("接口"), "activity": N_("活动"), "command": N_("命令行"),
}  # fmt: skip
STATE: dict[str, str] = {
    "reviewing": N_("审核中"), "active": N_("有效"), "waiting": N_("未生效"), "stopped": N_("失效（已停用）"),
    "expired": N_("失效（已到期）"), "used_up": N_("失效（次数已满）"), "rejected": N_("驳回"),
}  # fmt: skip
STATE_TONE: dict[str, str] = {
    "reviewing": "orange", "active": "green", "waiting": "blue", "stopped": "secondary", "expired": "secondary",
    "used_up": "secondary", "rejected": "red",
}  # fmt: skip

# --- the list --------------------------------------------------------------------------------------------------------

LEAD = N_("页面、任务、接口和活动生成的全部短链；打开短链跳转到目标地址，访问按真人和程序分别计数。")
EMPTY = N_("还没有短链")
TEACHES = N_("把长网址变成短链放进短信：可设有效期和访问上限，随时停用或更换目标，并看到谁在何时打开。")
NO_DOMAIN = N_("尚未配置短链域名，暂不能新建短链；请管理员在配置 [public] hosts 中设置。")
NEW, NEW_TITLE, MAKE = N_("新建短链"), N_("新建短链"), N_("创建")
GENERATE = N_("批量生成")
UNKEPT = N_("短链另有 %(n)s 次访问只计了数，不知是谁，其中若有人首次点击，仍会收到。")
NAME_HELP = N_("只在平台内显示，不出现在短信中。")
TARGET_HELP = N_("以 http:// 或 https:// 开头的完整网址，不能是内网地址或短链域名。")
DOMAIN_HELP = N_("不选时用平台配置的第一个域名。")
CODE_HELP = N_("留空则自动生成 8 位短码；自选为 4–20 位小写字母、数字或 -，且不是 8 位。")
FROM_HELP = N_("北京时间，如 2026-12-01 08:00；留空为立即生效。")
UNTIL_HELP = N_("北京时间，如 2026-12-31 18:00；留空为长期有效。")
VISITS_HELP = N_("真人打开达到此数后失效；0 为不限。程序访问不计入。")
WARN_HELP = N_("开启后先显示目标网址的提示页，由访问者点击后前往；目标不属于本单位时建议开启。")
WHEN_WRONG = N_("请填写时间，如 2026-12-31 18:00")
MADE, MADE_WAITS = N_("短链已创建，几秒内可以打开。"), N_("短链已提交，审批通过后可以打开。")
MAKE_EFFECT = N_("将为 %(account)s 创建短链“%(name)s”，跳转到 %(target)s；创建后立即生效。")
MAKE_EFFECT_WAITS = N_("将为 %(account)s 创建短链“%(name)s”，跳转到 %(target)s；须经审批后生效。")
NOT_FILED = N_("目标 %(host)s 尚未在%(carriers)s报备通过：策略要求报备时，含此短链的营销短信不能发往这些运营商。")
FILE_IT = N_("去报备")

# --- one -------------------------------------------------------------------------------------------------------------

FOR_GOOD, AT_ONCE, NO_LIMIT = N_("长期有效"), N_("立即生效"), N_("不限")
ONE_CODE_EACH = N_("一人一码，已发放 %(n)s 个短码")
LEAD_ELSEWHERE, LEADS_ELSEWHERE = N_("更换目标"), N_("目标已更换，几秒内生效。")
LEADS_ELSEWHERE_WAITS = N_("新目标已提交审批，通过之前此短链打不开。")
ELSEWHERE_EFFECT = N_(
    "此短链将改为跳转到 %(target)s，为第 %(version)s 版；已发出的短信（%(humans)s 次访问）也随之改变。"
)
ELSEWHERE_EFFECT_ALSO = N_(
    "此短链和任务在短码不足时续建的 %(also)s 条将一并改为跳转到 %(target)s，此短链的为第 %(version)s 版；"
    "已发出的短信（%(humans)s 次访问）也随之改变。"
)
ELSEWHERE_EFFECT_WAITS_ALSO = N_(
    "新目标 %(target)s（第 %(version)s 版）须经审批，任务在短码不足时续建的 %(also)s 条随之更换；"
    "通过之前，已发出的短链也打不开。"
)
ELSEWHERE_EFFECT_WAITS = N_("新目标 %(target)s（第 %(version)s 版）须经审批；通过之前，已发出的短链也打不开。")
STOP, START = N_("停用"), N_("启用")
STOP_EFFECT = N_("将停用 %(n)s 条短链（%(names)s）：几秒内打开时显示“链接已失效”，最近共有 %(humans)s 次访问。")
STOP_EFFECT_ALSO = N_(
    "将停用 %(n)s 条短链（%(names)s），其中 %(also)s 条是任务在短码不足时续建的，一并停用："
    "几秒内打开时显示“链接已失效”，最近共有 %(humans)s 次访问。"
)
START_EFFECT_ALSO = N_(
    "将启用 %(n)s 条短链（%(names)s），其中 %(also)s 条是任务在短码不足时续建的，一并启用："
    "几秒内可以再次打开；目标未经审批的先进入审核。"
)
START_EFFECT = N_("将启用 %(n)s 条短链（%(names)s）：几秒内可以再次打开；目标未经审批的先进入审核。")
PASS, REJECT = N_("通过"), N_("驳回")
PASS_TITLE, REJECT_TITLE = N_("通过短链"), N_("驳回短链")
PASSED, REJECTED = N_("已通过，几秒内可以打开。"), N_("已驳回。")
PASS_EFFECT = N_("短链“%(name)s”（%(account)s）将跳转到 %(target)s（第 %(version)s 版）。")
PASS_EFFECT_ALSO = N_(
    "短链“%(name)s”（%(account)s）和任务在短码不足时续建的 %(also)s 条将一并跳转到 %(target)s（第 %(version)s 版）。"
)
REJECT_ABOUT = N_("驳回后此短链和随它等待审批的续建短链打不开；创建人看到原因，可以更换目标后再次提交。")
CODES, CODES_EFFECT = N_("生成短码文件"), N_("将把 %(n)s 个短码写入一个文件，在后台进行；完成后在“短链生成任务”下载。")
CODES_EFFECT_REST = N_(
    "将把其余 %(n)s 个短码写入一个文件，在后台进行；前 %(first)s 个已随短信发出或由接口取走，不在文件中。"
    "完成后在“短链生成任务”下载。"
)
CODES_BEGUN = N_("已开始生成，完成后可下载。")
VISITS = N_("访问详情")
HELD = N_("由审批人停用，只有审批人可以启用。")
VERSIONS, QR, QR_SVG, QR_PNG = N_("目标版本"), N_("二维码"), N_("下载 SVG"), N_("下载 PNG")
QR_ALT = N_("短链 %(address)s 的二维码")
FACTS = N_("短链信息")
CHART_HOURS, CHART_DAYS = N_("最近 48 小时的访问"), N_("最近 30 天的访问")
CHART_ADVICE = N_("短链被打开约 20 秒后在此显示。")
CHART_SUMMARY = N_("真人访问 %(humans)s 次，程序访问 %(programs)s 次")
BY_HOUR, BY_DAY = N_("按小时"), N_("按天")
HUMANS, PROGRAMS = N_("真人访问"), N_("程序访问")

# --- who opened them -------------------------------------------------------------------------------------------------

VISITS_LEAD = N_(
    "每次打开短链的时间、归属、设备和来源；预览、扫描和爬虫等程序访问单独标记，不计入真人访问。"
    "归属按 IPv4 地址判断，IPv6 地址为未知。"
)
VISITS_EMPTY = N_("这段时间没有访问")
VISITS_TEACH = N_("短链被打开约 20 秒后出现在这里。IP 地址只显示前半部分，超过保留期后不再显示。")
VERDICT: dict[str, str] = {
    "human": N_("真人"), "head": N_("探测"), "prefetch": N_("浏览器预取"), "preview": N_("聊天预览"),
    "crawler": N_("爬虫"), "scanner": N_("安全扫描"), "": N_("待判定"),
}  # fmt: skip
VERDICT_TONE: dict[str, str] = {
    "human": "green", "head": "secondary", "prefetch": "secondary", "preview": "blue", "crawler": "orange",
    "scanner": "red", "": "secondary",
}  # fmt: skip
VERDICTS: dict[str, str] = {
    "human": VERDICT["human"], "program": N_("全部程序"), "head": VERDICT["head"], "prefetch": VERDICT["prefetch"],
    "preview": VERDICT["preview"], "crawler": VERDICT["crawler"], "scanner": VERDICT["scanner"],
    "open": VERDICT[""],
}  # fmt: skip
ADDRESS_GONE = N_("已隐去")
UNKNOWN = N_("未知")
REGION: dict[str, str] = {UNKNOWN: UNKNOWN}
HARDWARE: dict[str, str] = {"computer": N_("电脑"), "phone": N_("手机"), "tablet": N_("平板")}
JUDGE, JUDGE_TITLE = N_("重新判定"), N_("重新判定访问")
JUDGE_ABOUT = N_("按当前规则重新判定这些天的访问是真人还是程序，统计随之更新；在后台进行。")
JUDGE_EFFECT = N_("将重新判定最近 %(days)s 天的全部访问（所有账号），期间统计会变化。")
JUDGED = N_("将重新判定 %(n)s 次访问，几分钟内完成。")
DAYS: dict[str, str] = {"1": N_("最近 1 天"), "7": N_("最近 7 天"), "31": N_("最近 31 天")}

# --- generated -------------------------------------------------------------------------------------------------------

TASKS_LEAD = N_("为每个收件人各生成一个短码，最多一百万个；在后台进行，完成后下载 CSV，文件保存 7 天。")
TASKS_EMPTY = N_("还没有短链生成任务")
TASKS_TEACH = N_("填写数量，或上传号码表，每个号码得到自己的短链，谁点击了一目了然。")
TASK_NEW, TASK_IMPORT = N_("按数量生成"), N_("按号码表生成")
TASK_TITLE, BEGIN = N_("生成个性化短链"), N_("开始生成")
TASK_EFFECT = N_("将为 %(account)s 生成 %(n)s 个短码，跳转到 %(target)s，约需 %(seconds)s 秒。")
TASK_IMPORT_LEAD = N_(
    "上传含号码的表格（CSV 或 XLSX，最多一百万行），每个有效号码得到一个短链；无效和重复的号码只计数。"
)
TASKS_LINK = N_("查看短链")
TASKS_OF = N_("短链生成任务")
DOWNLOAD = N_("下载文件")
FILE_GONE = N_("文件已过期删除，可以在短链页面重新生成。")
CODES_HELP = N_("1–1,000,000")

# --- the report ------------------------------------------------------------------------------------------------------

REPORT_LEAD = N_(
    "每天每个账号新建、到期、被打开的短链数和访问次数；点击数字查看对应的短链或访问。合计中的“被打开的短链”按短链去重。"
)
REPORT_EMPTY, REPORT_TEACHES = N_("这段时间没有短链数据"), N_("请选择其他时间范围，或先新建短链。")
REPORT_CHART = N_("每天的访问次数")
REPORT_SUMMARY = N_("新建 %(made)s 条，真人访问 %(humans)s 次，程序访问 %(programs)s 次")
