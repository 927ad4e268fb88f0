"""The words of the kit: what filters, tables, exports and forms say, and the states of jobs and people."""

from __future__ import annotations

from smsgw.admin.i18n import N_

# --- what is wrong with a value --------------------------------------------------------------------------------------

BAD_DAY = N_("日期格式不正确，应为 2026-01-31")
FAR_DAY = N_("日期须在 %(first)s 至 %(last)s 之间")
DAYS_TURNED = N_("开始日期不能晚于结束日期")
TOO_MANY_DAYS = N_("时间跨度最多 %(n)s 天，请缩小范围")
TOO_LONG = N_("最多 %(n)s 个字")
TOO_SHORT = N_("至少 %(n)s 个字")
UNPRINTABLE = N_("含有无法显示的字符，请删除后重试")
NO_SUCH_CHOICE = N_("没有这个选项，请重新选择")
BAD_PHONE = N_("手机号码格式不正确，请输入完整号码")
BAD_ID = N_("编号应为正整数")
BAD_DIGITS = N_("请只填写数字")
FEWER_DAYS = N_("按此条件查找时，时间范围不能超过 %(n)s 天，请缩短时间")
BAD_NUMBER = N_("请填写整数")
TOO_SMALL = N_("不能小于 %(n)s")
TOO_LARGE = N_("不能大于 %(n)s")
TOO_MANY = N_("最多填写 %(n)s 个")
BAD_ADDRESS = N_("IP 地址格式不正确，可填写地址或网段，如 10.0.0.0/8")
BAD_EMAIL = N_("邮箱格式不正确")
BAD_VALUE = N_("格式不正确")
REQUIRED = N_("此项必填")
VIEW_UNNAMED = N_("视图未保存：请填写视图名称")
NO_COLUMNS = N_("请至少选择一列")
OLD_CURSOR = N_("列表条件已变化，已回到第一页")
OLD_SELECTION = N_("所选记录已过期，请重新选择")
NOT_SEEN = N_("没有查看这些记录的权限，请联系管理员开通")
NOTHING_SELECTED = N_("请先选择记录")
GROWN_SELECTION = N_("符合条件的记录已增加到 %(now)s 条（选择时为 %(then)s 条），请重新选择")
TOO_MANY_SELECTED = N_("一次最多处理 %(most)s 条，请缩小范围")
PICK_ONE = N_("请从列表中选择一项")
WRONG_NAME = N_("输入的名称不一致")
TOO_MANY_VIEWS = N_("最多保存 %(n)s 个视图，请先删除不用的")

# --- filters, tables, actions ----------------------------------------------------------------------------------------

PRESET: dict[str, str] = {
    "today": N_("今天"),
    "yesterday": N_("昨天"),
    "7d": N_("近 7 天"),
    "30d": N_("近 30 天"),
    "custom": N_("自定义"),
}
DENSITY: dict[str, str] = {"normal": N_("标准"), "compact": N_("紧凑")}
FORMAT: dict[str, str] = {"xlsx": "XLSX", "csv": "CSV"}
HINTS: dict[str, str] = {
    "phone": N_("完整号码"),
    "short_link": N_("名称、目标或短链地址"),
    "tail": N_("4 位数字，限查一天"),
    "run": N_("与任务号一起填写"),
    "action": N_("如 登录 或 staff.stop"),
    "object": N_("编号或名称，如 zhang 或 staff/zhang"),
    "address": N_("地址或网段"),
    "beginning": N_("开头几位"),
    "word": N_("词语，至少 2 个字"),
    "reasons": N_("在最近 10 万条中查找"),
    "message_id": N_("流水号"),
    "login": N_("登录名的一部分"),
    "name": N_("姓名的一部分"),
    "person": N_("姓名或登录名"),
    "agent": N_("如 Firefox"),
}
DONE_MANY = N_("已处理 %(done)s 条")
DONE_SOME = N_("已处理 %(done)s 条，%(refused)s 条未处理：%(why)s")
PURPOSE: dict[str, str] = {
    "complaint": N_("处理投诉"),
    "customer": N_("联系客户"),
    "check": N_("核对号码"),
    "inquiry": N_("配合主管部门调查"),
    "other": N_("其他（请说明）"),
}
UNMASK_PURPOSE = N_("请选择查看号码的原因")
UNMASK_NOTE = N_("选“其他”时请写明原因，2 至 %(most)s 个字")
EXPORT = N_("导出")
EXPORT_LEAD = N_("文件带水印，记录导出人、时间和原因；在后台生成，凭一次性链接下载。")
EXPORT_BEGUN = N_("导出已开始，完成后可在此下载")
NUMBER_GONE = N_("已脱敏")
NO_FILE = N_("请选择要上传的文件")
IMPORT_BEGUN = N_("导入已开始，进度和结果在此查看")
SAVED_VIEW = N_("视图已保存")
REMOVED_VIEW = N_("视图已删除")
TOTAL = N_("合计")
YES, NO = N_("是"), N_("否")
NAMED = N_("%(name)s（%(more)s）")
WATERMARK = N_("%(platform)s　导出人：%(who)s　导出时间：%(when)s　原因：%(why)s")
CUT_OFF = N_("仅含前 %(n)s 行，请缩小范围后分批导出")
