"""The words of brands (平台设置)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

PRODUCT = N_("短信平台")
"""What the platform is called at hosts that are nobody's."""
SAVED = N_("草稿已保存，发布后生效")
ADDED = N_("品牌已建立，请填写内容后发布")
HOSTS_SAVED = N_("域名已保存，立即生效")
PICTURE_SAVED = N_("图片已上传到草稿，发布后生效")
PICTURE_REMOVED = N_("图片已从草稿移除，发布后生效")
NO_FILE = N_("请先选择文件")
CERTIFICATE_SAVED = N_("证书已保存，新连接立即使用")
CERTIFICATE_REMOVED = N_("证书已移除，改用监听默认证书")

IDENTITY = N_("名称")
IDENTITY_HELP = N_("显示在登录页、页头和浏览器标题中")
LOOKS = N_("外观")
WORDS = N_("文字")
SUPPORT = N_("技术支持")
SUPPORT_HELP = N_("显示在登录页，供用户求助")
COLOUR_HELP = N_("六位十六进制颜色，如 #0b5cab；按钮使用此颜色，文字颜色自动调整到可读")
COLOUR_PROBLEM = N_("颜色格式应为 #rrggbb")
ICP_HELP = N_("点击后打开工业和信息化部备案管理系统")
HOSTS_HELP = N_("每行一个域名或 IP 地址，* 表示其他所有域名；最多 20 个")

STYLES: dict[str, str] = {"centred": N_("表单居中，图片作背景"), "beside": N_("左侧图片，右侧表单")}
PICTURES: dict[str, tuple[str, str]] = {
    "logo": (N_("标志"), N_("登录页与页头；建议透明底，高 56 像素以上")),
    "icon": (N_("浏览器图标"), N_("标签页图标；正方形，不上传时使用标志")),
    "picture": (N_("登录页图片"), N_("建议 1600×900 以上的 JPEG 或 PNG")),
}
"""What it is called, and where it is seen."""


class Asked:
    """One action: its title, what it does, and what is said when it is done."""

    def __init__(self, title: str, effect: str, done: str, *, danger: bool = False) -> None:
        self.title, self.effect, self.done, self.danger = title, effect, done, danger


ASKED: dict[str, Asked] = {
    "publish": Asked(
        N_("发布"), N_("草稿将立即对 %(hosts)s 的所有访问者生效，改动 %(n)s 项。"), N_("已发布，数秒内在所有节点生效")
    ),
    "discard": Asked(
        N_("放弃草稿"), N_("草稿的 %(n)s 项改动将被丢弃，恢复为已发布的内容。"), N_("草稿已恢复为已发布的内容")
    ),
    "remove": Asked(
        N_("删除品牌"), N_("%(hosts)s 将不再显示此品牌，其证书一并删除，且无法恢复。"), N_("品牌已删除"), danger=True
    ),
}
READABLE = N_("白底文字对比度 %(ratio)s，清晰可读")
PALE = N_("白底文字对比度 %(ratio)s，低于 4.5，用作文字时会自动加深")
