"""The words for what goes wrong: what happened, what to do."""

from __future__ import annotations

from dataclasses import dataclass

from smsgw.admin.i18n import N_


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """What a page of an error says."""

    title: str
    advice: str


BY_STATUS: dict[int, ErrorWords] = {
    400: ErrorWords(N_("请求不正确"), N_("请返回上一页检查填写的内容后重试。")),
    403: ErrorWords(N_("没有权限"), N_("您的角色不能进行此操作。如需开通，请联系系统管理员。")),
    404: ErrorWords(N_("页面不存在"), N_("地址可能有误，或记录不存在、不在您的数据范围内。请从菜单重新进入。")),
    405: ErrorWords(N_("请求方式不正确"), N_("请从页面上的按钮进行操作，不要直接访问此地址。")),
    413: ErrorWords(N_("提交的内容过大"), N_("请换较小的文件，或减少号码数量后分批提交。")),
    429: ErrorWords(N_("操作过于频繁"), N_("请稍候片刻再试。")),
    500: ErrorWords(N_("系统错误"), N_("操作未完成。请稍后重试；若仍然出现，请把请求号提供给运维人员。")),
    503: ErrorWords(N_("服务暂时不可用"), N_("请稍后重试；若持续出现，请联系运维人员。")),
}
ADDRESS = ErrorWords(
    N_("不能从当前地址访问"),
    N_("平台或您的账号只允许从指定的网络地址访问。请换到允许的网络后重试；如需从此地址访问，请联系安全管理员。"),
)
REFUSED = ErrorWords(N_("不能进行此操作"), N_("原因见上方说明，操作没有进行。"))
"""403 for a reason that the error itself says, and that is not the role."""
SCOPE = ErrorWords(
    N_("超出您的数据范围"),
    N_("此处的内容由全平台共用，您的数据范围只有部分账号，可以查看，不能修改。请由数据范围为全部的人员操作。"),
)
STALE = ErrorWords(
    N_("页面已过期"), N_("页面打开过久，或已在别处重新登录，刚才的提交没有生效。请回到该页面，刷新后重新填写。")
)
STORAGE = ErrorWords(
    N_("数据库不可用"),
    N_("暂时无法读取或保存数据，已接收的短信不会丢失。页面会自动重试；若持续出现，请联系运维人员检查数据库。"),
)
STORAGE_CHANGE = ErrorWords(
    N_("数据库不可用"),
    N_(
        "暂时无法读取或保存数据，已接收的短信不会丢失。刚才的提交可能没有保存，恢复后请先核对再重试；"
        "若持续出现，请联系运维人员检查数据库。"
    ),
)
"""Of a change: nothing is tried again by itself."""
REQUEST_ID = N_("请求号")
