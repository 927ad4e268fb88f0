"""The words of undoing opt-outs."""

from __future__ import annotations

from smsgw.admin.i18n import N_

UNDOS = N_("撤销退订申请")
UNDOS_LEAD = N_("用户重新同意接收后，凭证齐全并经另一人审批，退订才会撤销。")
UNDOS_EMPTY = N_("还没有撤销退订申请")
UNDOS_TEACH = N_("在退订记录中打开一条，上传本人同意恢复接收的凭证后提出申请。")
OPT_OUTS = N_("退订记录")
UNDO = N_("申请撤销退订")
UNDO_LEAD = N_(
    "退订是用户本人的决定。请上传本人同意恢复接收的凭证（如申请表、录音截图、聊天记录），由另一人审批后撤销。"
)
UNDO_KINDS = N_("PNG、JPEG、WebP 图片或 PDF，最大 %(most)s MB，提交后不能更换")
UNDO_REASON = N_("写明用户何时以何种方式同意恢复接收。")
UNDO_SCOPE = N_("退订范围：%(scope)s；%(at)s 退订")
UNDO_SEND = N_("提交申请")
UNDO_ASKED = N_("已提交申请，等待另一人审批")
UNDO_PROOF = N_("查看凭证")
STATE: dict[str, str] = {"waiting": N_("待审批"), "passed": N_("已撤销退订"), "rejected": N_("已驳回")}
STATE_TONE: dict[str, str] = {"waiting": "orange", "passed": "green", "rejected": "red"}
PASS, REJECT = N_("同意撤销"), N_("驳回")
PASS_EFFECT = N_("将撤销 %(n)s 条退订，这些号码在原退订范围内将重新收到短信。请先查看凭证；不能审批自己提交的申请。")
REJECT_EFFECT = N_("将驳回 %(n)s 个申请，退订继续有效。")
