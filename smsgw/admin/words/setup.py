"""The words of the first run."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STEPS = (N_("初始化码"), N_("品牌"), N_("管理员"), N_("通道"), N_("账号与签名"), N_("测试短信"))
"""Of the whole first run; the last three are done by whoever is logged in, in any order and at any time."""
WRONG_CODE = N_("初始化码不正确。请在服务器上查看后重新输入。")
READY = N_("管理员已建立。接下来连接运营商；以下步骤都可以跳过，以后从工作台继续。")

# --- channel ---------------------------------------------------------------------------------------------------------

SAVE_CHANNEL = N_("保存并测试连接")
CHANNEL_SAVED = N_("通道已保存，正在连接。")
SIMULATED_MADE = N_("仿真通道已建立：经它发送的短信不会到达任何手机。")
SIMULATED_STOPPED = N_("仿真通道已停用，短信改由真实通道发送。")
ABOUT: dict[str, str] = {
    "cmpp30": N_("中国移动互联网短信网关协议；多数移动、广电通道，也常用于第三方平台"),
    "cmpp20": N_("较早的 CMPP 版本，网关要求时选用"),
    "smpp34": N_("国际通用协议；国际短信与部分第三方平台"),
    "sgip12": N_("中国联通短信网关协议；网关会反向连接本机送回状态报告"),
    "smgp30": N_("中国电信短信网关协议"),
}
SECTION_GATE, SECTION_LOGIN, SECTION_PACE = N_("运营商给出的网关"), N_("登录参数"), N_("发送参数")
SECTION_MORE, SECTION_WHY = N_("协议参数"), N_("修改说明")
WHY_HELP = N_("为什么修改；随版本保存，可留空。")
CHANNEL_WAITS = N_("修改已提交为版本 %(n)s，等待另一人批准后生效；通道照旧运行。")
NAME_HELP = N_("字母、数字、点、横线，如 mobile-1；建立后不能修改。")
NAME_PROBLEM = N_("只能用字母、数字、点、下划线、横线，最多 64 个")
HOST_HELP = N_("IP 地址或主机名。运营商通常只接受报备过的来源 IP，请先确认本机出口 IP 已报备。")
SECRET_HELP = N_("加密保存，不再显示。")
SECRET_KEPT_HELP = N_("留空则不修改。")
SECRET_ANEW = N_("网关地址、端口或加密方式有改动，请重新填写接入密码，以免原密码发往新的地址")
CODE_HELP = N_("手机上显示的主叫号码，如 10690001；没有则留空。")
CODE_PROBLEM = N_("最多 20 位数字")
CARRIERS_HELP = N_("不选即发往所有运营商的号码。")
RATE_HELP = N_("每秒条数，按合同填写；0 为不限。")
WINDOW_HELP = N_("未收到应答时最多可连续提交的条数。")
SERVICE_HELP = N_("运营商分配；没有则留空。")
MSG_SRC_HELP = N_("与登录名不同时才填写。")
NODE_HELP = N_("运营商分配的 10 位节点编号，3 加区号与企业代码。")
LISTEN_HELP = N_("主机:端口；网关连接这里送回状态报告与上行短信，须在防火墙放行并告知运营商。")
LISTEN_PROBLEM = N_("格式为 主机:端口，如 0.0.0.0:8801")
BIND: dict[str, str] = {"transceiver": N_("收发一体"), "pair": N_("收、发各一条连接")}
TLS_HELP = N_("运营商要求加密时勾选；对方证书须对网关地址有效。")
ADVICE: dict[str, str] = {
    "refused": N_("网关已连通但拒绝登录：请核对登录名、密码与协议版本，并确认本机出口 IP 已在运营商报备。"),
    "connecting": N_("尚未连通：请核对地址与端口、防火墙、专线。通道会一直自动重试。"),
    "stopped": N_("通道已停用。"),
}

# --- account and signature -------------------------------------------------------------------------------------------

SAVE_SIGN = N_("保存并继续")
SIGN_APPROVED = N_("签名“%(sign)s”已建立并审核通过。")
SIGN_WAITS = N_("签名“%(sign)s”已提交，等待有审核权的人员审核。")
SECTION_ACCOUNT, SECTION_SIGN, SECTION_CODES = N_("发送账号"), N_("短信签名"), N_("登录验证码")
ACCOUNT_SECTION_HELP = N_("短信以账号的名义发送和计量；一个单位或一项业务一个账号，以后可以增加。")
ACCOUNT_NAME_HELP = N_("字母、数字、点、横线；接口对接时使用，建立后不能修改。")
UNITS_HELP = N_("账号可用的条数，发一段扣一条；以后可以充值。")
SIGN_HELP = N_("2 到 20 个字，不写【】；显示在短信开头，如“市政服务”。须与运营商报备的一致。")
REGISTERED_HELP = N_("只勾选已经确认的；平台据此如实记录，不会代为报备。仿真通道不需要报备。")
CODES_HELP = N_("人员登录需要短信验证码时由它发送；在“登录安全”中可改。")

REVIEWS: dict[str, tuple[str, str]] = {
    "pending": (N_("待审核"), "yellow"),
    "approved": (N_("已通过"), "green"),
    "refused": (N_("未通过"), "red"),
}

# --- test ------------------------------------------------------------------------------------------------------------

SEND_TEST = N_("发送测试短信")
TEST_HELP = N_("请填写您手边的手机。")
NOT_READY = N_("发送账号刚刚建立，尚未生效，请稍后再试。")
TEST_TEXT = N_("这是一条测试短信，收到即表示通道与签名可用。")

# --- the list on the workbench ---------------------------------------------------------------------------------------

LISTED: dict[str, tuple[str, str]] = {
    "brand": (N_("品牌"), N_("平台名称、采购人、标志与颜色")),
    "channel": (N_("通道"), N_("连接运营商，或先用仿真运营商")),
    "sign": (N_("账号与签名"), N_("以谁的名义发送，短信开头的签名")),
    "tested": (N_("测试短信"), N_("发一条，看到它送达")),
}
HIDDEN = N_("已不再显示初始化清单。")
