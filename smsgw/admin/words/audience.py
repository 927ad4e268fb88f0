"""The words of the lists of numbers: who gets nothing, who is treated apart, who has opted out."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.admin.words.messages import TYPE
from smsgw.core.blocklist import COMPLAINT, OPT_OUT
from smsgw.core.wording_json import Remembered
from smsgw.core.words import Wording

SOURCE: dict[str, str] = {
    "manual": N_("人工添加"),
    "opt_out": N_("退订"),
    "complaint": N_("投诉"),
    "carrier": N_("运营商"),
}
ACTOR: dict[str, str] = {"mo": N_("用户回复")}
"""Who has entered it, when it was nobody who has a login."""
SOURCE_TONE: dict[str, str] = {"manual": "secondary", "opt_out": "orange", "complaint": "red", "carrier": "blue"}
_OURS = {OPT_OUT: "optout.note", COMPLAINT: "block.complaint"}


def reason(source: str, written: str) -> str | Wording:
    """Why a number was blocked: what we have written down ourselves in the reader's language, what people have written
    as it is."""
    return Remembered(written, _OURS[source]) if source in _OURS else written


EVERY_TYPE: dict[str, str] = {"*": N_("全部类型"), **TYPE}

NUMBER_SOURCE: dict[str, str] = {"report": N_("运营商回执"), "import": N_("号码检测")}
BLOCK_LIST = N_("黑名单")
BLOCK_LEAD = N_("名单中的号码不再收到所选范围内的短信，改动约一秒内在所有节点生效。")
BLOCK_EMPTY = N_("黑名单中没有号码")
BLOCK_TEACHES = N_("把投诉、退订或要求停发的号码加入黑名单，可限定账号、类型和签名。")
BLOCK_ADD = N_("添加号码")
BLOCK_IMPORT, ALLOW_IMPORT = N_("导入黑名单"), N_("导入白名单")
ALLOW_LIST = N_("白名单")
NUMBERS_IMPORT_LEAD = N_(
    "从 CSV 或 XLSX 表格批量导入，后台处理，可随时取消；已在名单中的号码保持不变，没有导入的行可下载。"
)
IMPORT_REASON_HELP = N_("表中没有原因列，或该格为空时使用。")
BLOCK_ADD_TITLE = N_("添加到黑名单")
BLOCK_ADD_EFFECT = N_(
    "将把 %(n)s 个号码加入黑名单（%(scope)s），此后发给它们的短信会被拒绝；已提交运营商的短信无法撤回。"
)
BLOCK_ADDED = N_("已加入黑名单：%(n)s 个号码")
NUMBERS_HELP = N_("每行一个，也可用逗号、分号或空格分隔，一次最多 1,000 个。")
DAYS_HELP = N_("留空为长期有效。")
ACCOUNT_HELP = N_("留空为全部账号。")
TYPE_HELP = N_("留空为全部类型。")
SIGN_HELP = N_("不含【】；留空为全部签名。")
REASON_HELP = N_("写明依据，便于日后查询。")
BAD_NUMBERS = N_("不是有效的手机号：%(numbers)s")
LEFT_OUT_BAD = N_("另有 %(bad)s 个不是有效的手机号，已跳过：%(numbers)s")
LEFT_OUT_TWICE = N_("重复的 %(twice)s 个只计一次。")
LEFT_OUT_BOTH = N_("重复的 %(twice)s 个只计一次；另有 %(bad)s 个不是有效的手机号，已跳过：%(numbers)s")
TOO_MANY = N_("一次最多 %(n)s 个号码，现有 %(have)s 个")
ALL_ACCOUNTS = N_("全部账号")
EVERY_ACCOUNT: dict[str, str] = {"*": ALL_ACCOUNTS}
ACCOUNT_NEEDED = N_("请选择账号")
LIFT = N_("解除")
LIFT_TITLE = N_("解除限制")
LIFT_EFFECT = N_("将解除 %(number)s 的一条限制（%(scope)s，来源：%(source)s），此后该范围内的短信可正常发送。")
LIFTED = N_("已解除")

OPT_OUT_LEAD = N_("用户回复退订或由业务系统登记的退订，按账号、类型和签名生效。")
OPT_OUT_EMPTY = N_("还没有退订记录")
OPT_OUT_TEACHES = N_("用户回复“拒收请回复R”等退订指令后会自动出现在这里。")

LISTED: dict[str, str] = {"exempt": N_("免频控"), "only": N_("仅限名单"), "test": N_("测试号码")}
LISTED_TONE: dict[str, str] = {"exempt": "green", "only": "blue", "test": "secondary"}
ALLOW_LEAD = N_("名单中的号码按用途单独处理：免频控、仅限名单发送、测试。")
ALLOW_EMPTY = N_("白名单中没有号码")
ALLOW_TEACHES = N_("免频控的号码不受发送频率限制；账号设有“仅限名单”的号码后，只能向这些号码发送；测试号码用于试发。")
ALLOW_ADD_TITLE = N_("添加到白名单")
ALLOW_ADD_EFFECT = N_("将把 %(n)s 个号码加入白名单（%(kind)s，%(scope)s）。")
ALLOW_ONLY_EFFECT = N_("将把 %(n)s 个号码加入“仅限名单”：账号 %(scope)s 从此只能向名单中的号码发送。")
ALLOW_ADDED = N_("已加入白名单：%(n)s 个号码")
ALLOW_REMOVE = N_("移出名单")
ALLOW_REMOVE_EFFECT = N_("将把 %(n)s 个号码移出白名单。账号的“仅限名单”清空后，不再限制发送对象。")

# --- the address book ------------------------------------------------------------------------------------------------

CONTACTS, GROUPS = N_("联系人"), N_("联系人分组")
SHARED: dict[str, str] = {"own": N_("仅本人"), "department": N_("部门共享"), "account": N_("账号共享")}
SHARED_TONE: dict[str, str] = {"own": "secondary", "department": "blue", "account": "green"}
SHARED_HELP = N_("仅本人：只有您可见；部门共享：所选部门及下级部门的人员可见；账号共享：可管理该账号的人员可见。")
DEPARTMENT_SHARED_HELP = N_("仅在“部门共享”时填写。")
NUMBER_STATE: dict[str, str] = {
    "": N_("未知"),
    "empty": N_("空号"),
    "live": N_("实号"),
    "suspended": N_("停机"),
    "silent": N_("沉默号"),
    "risky": N_("风险号"),
}
NUMBER_STATE_TONE: dict[str, str] = {
    "": "secondary",
    "empty": "red",
    "live": "green",
    "suspended": "orange",
    "silent": "yellow",
    "risky": "purple",
}
CONTACTS_LEAD = N_("本人录入的、同事共享给您的，以及您可管理账号的联系人。群发时可按分组选择。")
CONTACTS_EMPTY = N_("通讯录中还没有联系人")
CONTACTS_TEACH = N_("逐个新建，或从 CSV、XLSX 表格导入；可设分组和标签，并与部门共享。")
CONTACT_NEW, CONTACT_EDIT, CONTACT_SAVE = N_("新建联系人"), N_("修改联系人"), N_("保存")
CONTACT_SAVED = N_("已保存")
CONTACT_REMOVE = N_("删除")
CONTACT_REMOVE_EFFECT = N_("将删除 %(n)s 个联系人（%(names)s），并移出所有分组；已发送的记录不受影响。")
CONTACT_SEND = N_("发短信")
CONTACT_SEND_EFFECT = N_("将为 %(n)s 个联系人（%(names)s）新建一个发送任务，下一步填写内容，确认后才会发出。")
CONTACT_SHARE, CONTACT_UNSHARE = N_("共享给本部门"), N_("改为仅本人")
CONTACT_SHARE_EFFECT = N_("将把 %(n)s 个联系人共享给本部门及下级部门的人员。")
CONTACT_UNSHARE_EFFECT = N_("将把 %(n)s 个联系人改为仅本人可见；他人录入的不能改为仅本人。")
CONTACT_MERGE, CONTACT_MERGE_TITLE = N_("合并"), N_("合并联系人")
CONTACT_MERGE_HELP = N_("同一账号中另一个联系人的号码。合并后保留当前联系人及其号码，另一个联系人被删除。")
CONTACT_MERGE_EFFECT = N_("将把 %(gone)s 的标签、分组和资料并入 %(kept)s，并删除 %(gone)s；此操作不能撤销。")
CONTACT_MERGED = N_("已合并")
NO_CONTACT = N_("没有找到这个号码的联系人")
TAGS_HELP = N_("多个标签用逗号分隔，最多 20 个。")
KEEP_NUMBER_HELP = N_("留空则不修改号码。")
FIELDS_HELP = N_("每行一项，写作 名称=内容，用于个性化短信的变量。")
BAD_FIELDS = N_("第 %(line)s 行不是“名称=内容”")
GROUPS_HELP = N_("可多选；须属于所选账号。")
GROUP_TITLES = N_("联系人分组")
GROUPS_LEAD = N_("群发任务可选择分组作为发送对象。")
GROUPS_EMPTY = N_("还没有分组")
GROUPS_TEACH = N_("把联系人归入分组，群发时一次选中整组。")
GROUP_NEW, GROUP_EDIT = N_("新建分组"), N_("修改分组")
GROUP_REMOVE = N_("删除分组")
GROUP_MOVE, GROUP_MOVED = N_("移动分组"), N_("分组已移动。")
GROUP_PARENT_HELP = N_("留空为顶层；分组最多 5 层。")
GROUP_MOVE_EFFECT = N_(
    "将把“%(name)s”及其下 %(groups)s 个分组（共 %(n)s 位联系人）移到“%(parent)s”之下："
    "“%(parent)s”含下级由 %(before)s 位变为 %(after)s 位。"
)
GROUP_MOVE_TOP_EFFECT = N_("将把“%(name)s”及其下 %(groups)s 个分组（共 %(n)s 位联系人）移到顶层。")
GROUP_REMOVE_EFFECT = N_("将删除 %(n)s 个分组（%(names)s）；组内联系人保留在通讯录中，下级分组上移一层。")
GROUP_MEMBERS = N_("查看联系人")
WITH_MEMBERS_HELP = N_("勾选后，组内由您录入的联系人改为相同的使用范围。")
SEGMENTS = N_("效果人群")
SEGMENTS_LEAD = N_(
    "按短信效果筛选的人群：谁点击了、没点击、回复了、从未送达。"
    "保存的是条件，号码在建立任务时计算；周期发送各次沿用建立时的号码。"
)
SEGMENTS_EMPTY = N_("还没有保存的人群")
SEGMENTS_TEACH = N_("保存一个条件，如“近 90 天未点击短链”，群发时直接选用，业务系统也可用其编号作为接收人群。")
SEGMENT_NEW, SEGMENT_EDIT = N_("新建效果人群"), N_("修改效果人群")
SEGMENT_COUNT = N_("重新计算")
SEGMENT_COUNT_EFFECT = N_("将重新计算 %(n)s 个人群（%(names)s）现在的人数；发送较多的账号需要几十秒。")
SEGMENT_COUNT_MANY = N_("一次最多重新计算 %(most)s 个人群，请少选一些。")
SEGMENT_COUNT_DONE = N_("人数已重新计算")
SEGMENT_COUNTED = N_("人数为当时的数，号码在建立任务时重新计算，周期发送各次沿用；只算您可查看的短信。")
SEGMENT_UNCOUNTED = N_("还没有计算人数；号码在建立任务时计算，周期发送各次沿用；只算您可查看的短信。")
SEGMENT_ONE = N_("请只选一个人群。")
SEGMENT_SEND_EFFECT = N_(
    "人群“%(name)s”在 %(at)s 有 %(n)s 个号码。将新建一个发送任务，下一步填写内容，确认后才会发出；"
    "号码在检查和建立任务时重新计算。"
)
SEGMENT_SEND_UNCOUNTED = N_(
    "人群“%(name)s”的人数还没有计算。将新建一个发送任务，下一步填写内容，确认后才会发出；号码在检查和建立任务时计算。"
)
SEGMENT_REMOVE_EFFECT = N_("将删除 %(n)s 个人群（%(names)s）；已建立的任务照常进行，选用了它的草稿须另选。")
SEGMENT_KIND_HELP = N_(
    "未点击、已点击只算个性化短链；从未送达：发给它的短信全部失败；无回复无点击：收到过短信，没有回复也没有点击。"
)
SEGMENT_DAYS_HELP = N_("只看最近这些天的短信，1–365。")
SEGMENT_TASK_HELP = N_("填任务编号；留空为全部任务。")
SEGMENT_LINK_HELP = N_("填个性化短链的编号；留空为全部。")
CONTACT_IMPORT = N_("导入联系人")
CONTACT_IMPORT_LEAD = N_("从 CSV 或 XLSX 表格批量导入，后台处理；重复号码按所选方式处理，有误的行可下载。")
DUPLICATE: dict[str, str] = {
    "skip": N_("跳过：保留原有联系人"),
    "overwrite": N_("覆盖：用表格中填写的内容替换"),
    "merge": N_("合并：只补充空缺的姓名和资料，追加标签和分组"),
}
DUPLICATES_HELP = N_("号码已在该账号通讯录中时的处理方式；同一文件中重复出现的号码也按此处理。")
IMPORT_GROUP_HELP = N_("选填；全部联系人加入此分组。")
MAKE_GROUPS_HELP = N_("勾选后，表中有而通讯录没有的分组自动新建；不勾选则该行列为有误。")
KEEP_OTHERS_HELP = N_("勾选后，未选用途的列按列名保存为资料，可用作短信变量。")
CONTACT_IMPORT_RESULT, CONTACT_IMPORT_WRONG = N_("下载导入结果"), N_("下载有误的行")

# --- lists of numbers that are looked at -----------------------------------------------------------------------------

FILTER_STATE: dict[str, str] = {**NUMBER_STATE, "": N_("待检测"), "absent": N_("库无"), "unknown": N_("未知")}
FILTERS = N_("空号过滤")
FILTERS_LEAD = N_("先用平台已有的回执结论（免费），再按需向供应商查询未知的号码。清单保留 90 天。")
FILTERS_EMPTY = N_("还没有空号过滤")
FILTERS_TEACH = N_("上传或粘贴号码，得到实号、空号、停机、沉默、风险、未知的数量和名单。")
FILTER_NEW, FILTER_BEGIN, FILTER_IMPORT = N_("新建过滤"), N_("开始过滤"), N_("从文件过滤")
FILTER_IMPORT_LEAD = N_("上传 CSV 或 XLSX 号码表，后台检测；平台已有结论不收费。")
FILTER_BEGUN = N_("已开始检测")
FILTER_EFFECT = N_("将检测 %(n)s 个号码：平台已有 %(known)s 个结论，免费；其余 %(rest)s 个列为未知，可再向供应商查询。")
FILTER_ASK, FILTER_ASK_TITLE = N_("向供应商查询未知号码"), N_("向供应商查询")
FILTER_ASK_EFFECT = N_(
    "将向供应商查询 %(n)s 个未知号码，单价 %(price)s 元，预计费用 %(cost)s 元。结果会供以后免费使用。"
)
FILTER_NOTHING = N_("没有可向供应商查询的号码，或未设置供应商。")
FILTER_LOOK = N_("继续检测")
FILTER_LOOK_EFFECT = N_("将继续检测 %(n)s 个已取消或失败的过滤：按平台已有结论归类，免费。")
FILTER_LOOK_NOTHING = N_("所选过滤均已检测完毕或正在检测。")
FILTER_UNSETTLED = N_("检测已取消或未完成，还没有结果；点击“继续检测”从头完成，或删除后重新建立。")
FILTER_REMOVE, FILTER_REMOVE_EFFECT = N_("删除"), N_("将删除 %(n)s 个过滤及其号码；已学到的号码状态保留。")
FILTER_SEND, FILTER_SEND_NEXT = N_("用于发送"), N_("下一步：填写内容")
FILTER_KEPT = N_("%(label)s（%(n)s）")
FILTER_KEEP_HELP = N_("只向所选各类的号码发送，其余各类剔除；下一步填写内容，发送前还会再检查一次号码。")
FILTER_DOWNLOAD: dict[str, str] = {
    "empty": N_("下载空号"),
    "live": N_("下载实号"),
    "suspended": N_("下载停机"),
    "silent": N_("下载沉默号"),
    "risky": N_("下载风险号"),
    "absent": N_("下载库无"),
    "unknown": N_("下载未知"),
}
FILTER_COUNTS = N_("检测结果")
FILTER_COUNTED = N_("%(n)s 个")
FILTER_OLDEST = N_("%(n)s 个，最早结论 %(at)s")
FILTER_VENDOR = N_("检测供应商")
VENDOR_URL_HELP = N_("按号码检测接口规范实现的地址；每次最多 50 个号码。")
VENDOR_SECRET_HELP = N_("留空则沿用已保存的密钥。")
VENDOR_MD5_HELP = N_("勾选后传号码的 MD5。手机号的 MD5 数秒即可还原，不起保密作用。")
VENDOR_PRICE_HELP = N_("每个号码的价格，1 元 = 1,000 厘。")

# --- consents --------------------------------------------------------------------------------------------------------

CONSENT_STATE: dict[str, str] = {"given": N_("有效"), "withdrawn": N_("已撤回"), "replaced": N_("已更新")}
CONSENT_TONE: dict[str, str] = {"given": "green", "withdrawn": "secondary", "replaced": "secondary"}
CONSENT_SOURCE: dict[str, str] = {
    "paper": N_("纸质签署"),
    "web": N_("网页勾选"),
    "app": N_("APP 授权"),
    "sms": N_("短信回复"),
    "call": N_("电话录音"),
    "other": N_("其他"),
}
CONSENTS_LEAD = N_(
    "谁同意接收营销短信、凭证在哪里。账号设为“营销短信须经用户同意”后，营销短信只发给同意有效的号码；"
    "此项由运维人员在账号策略中设置。"
)
CONSENTS_EMPTY = N_("台账中还没有同意记录")
CONSENTS_TEACH = N_("登记用户同意接收营销短信的方式、时间、文本和凭证；撤回、更新后保留记录。")
CONSENT_ADD = N_("登记同意")
CONSENT_ADDED = N_("已登记 %(n)s 个号码；%(left)s 个在此之后撤回过，保持撤回")
CONSENT_WITHDRAW, CONSENT_WITHDRAWAL = N_("撤回"), N_("撤回情况")
CONSENT_REPLACEMENT = N_("由新的同意记录替代")
CONSENT_WITHDRAW_EFFECT = N_(
    "将撤回 %(n)s 个号码的同意；按同意发送营销短信的账号约一秒内不再向其发送，等待发送的营销短信撤回。"
    "记录保留在台账中。"
)
CONSENT_DAY_HELP = N_(
    "用户同意的日期，写作 2026-01-31，从当日零点算起；当日撤回后又同意的，写明时间：2026-01-31 15:30。"
)
CONSENT_WORDING_HELP = N_("用户同意的文本或其版本号。")
CONSENT_IMPORT = N_("导入同意记录")
CONSENT_IMPORT_LEAD = N_("上传 CSV 或 XLSX，每行一个号码；表中没有的内容按下面填写的登记，重复的号码不重复登记。")
CONSENTS = N_("同意台账")
CONSENT_SOURCE_HELP = N_("表中没有“同意方式”一列，或该行未填时按此登记。")
CONSENT_ALL_HELP = N_("表中没有这一列，或该行未填时按此登记。")
CONSENT_FILE = N_("查看凭证文件")
CONSENT_FILE_ADD = N_("上传凭证文件")
CONSENT_FILE_LEAD = N_("上传签署单照片、截图或 PDF；同一批登记的记录共用这份文件，上传后不能更换。")
CONSENT_FILE_KINDS = N_("PNG、JPEG、WebP 图片或 PDF，最大 %(most)s MB。文件按原样保存，查看和下载都记入审计日志。")
CONSENT_FILE_KEPT = N_("凭证文件已保存，%(n)s 条记录已附上")
CONSENT_PROOF_HELP = N_("凭证所在：档案号、录音编号、页面地址等。")
