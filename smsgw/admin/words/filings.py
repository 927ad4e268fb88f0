"""The words of filed links (短链报备)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {
    "pending": N_("待报备"), "submitted": N_("报备中"), "registered": N_("通过"), "refused": N_("驳回"),
}  # fmt: skip
STATE_TONE: dict[str, str] = {"pending": "secondary", "submitted": "blue", "registered": "green", "refused": "red"}
LEAD = N_("短信中链接的域名或地址在各运营商的报备情况；策略要求时，未报备的链接不能用于营销短信。")
EMPTY, TEACHES = N_("还没有短链报备"), N_("登记链接的域名、备案号和证明材料，提交运营商后在此记录各运营商的答复。")
ADD, ADD_TITLE, ADDED = N_("新增报备"), N_("新增短链报备"), N_("报备已登记。")
REGISTER, REGISTERED, SAVE = N_("登记运营商答复"), N_("运营商答复已登记，几秒内生效。"), N_("保存")
REMOVE, REMOVE_EFFECT = N_("删除报备"), N_("将删除 %(n)s 条报备（%(names)s）：此后这些链接按未报备处理。")
ADD_EFFECT = N_(
    "将为 %(account)s 登记 %(target)s；运营商答复通过之前按待报备处理。被运营商驳回的同一链接重新成为待报备。"
)
REGISTER_EFFECT = N_("将把 %(target)s 在 %(carriers)s 的报备状态设为“%(state)s”，几秒内对 %(account)s 的短信生效。")
TARGET_HELP = N_("域名，或域名加路径的开头，如 t.example.cn 或 example.cn/act。")
ICP_HELP = N_("网站备案号，如 京ICP备12345678号。")
NOTE_HELP = N_("页面用途与证明材料的存放位置。")
ACCOUNT_HELP = N_("留空为全部账号。")
FILINGS, PROOFS = N_("短链报备"), N_("证明材料")
PROOFS_LEAD = N_("网站备案截图、营业执照、授权书、页面截图等；可注明只用于某家运营商。")
PROOFS_EMPTY = N_("还没有材料")
PROOF_KIND: dict[str, str] = {
    "icp": N_("网站备案"), "license": N_("营业执照"), "authorization": N_("授权书"), "page": N_("页面截图"),
    "receipt": N_("运营商回执"), "other": N_("其他"),
}  # fmt: skip
PROOF_ALL = N_("全部运营商")
PROOF_KINDS = N_("PNG、JPEG、WebP 图片或 PDF，最大 %(most)s MB。文件按原样保存，查看、下载和删除都记入审计日志。")
PROOF_KIND_NEEDED = N_("请选择材料种类")
PROOF_KEPT, PROOF_REMOVE, PROOF_REMOVED = N_("材料已保存。"), N_("删除材料"), N_("材料已删除。")
PROOF_REMOVE_EFFECT = N_("将删除 %(target)s 的%(kind)s“%(name)s”。")
CARRIER_NOTE_HELP = N_("运营商的工单号或答复。")
