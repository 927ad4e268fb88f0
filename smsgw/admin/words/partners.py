"""The words of customers who connect by CMPP or SMPP."""

from __future__ import annotations

from smsgw.admin.i18n import N_

PROTOCOL: dict[str, str] = {"cmpp": "CMPP", "smpp": "SMPP"}
STATE: dict[str, str] = {"bound": N_("已连接"), "idle": N_("未连接"), "stopped": N_("已停用")}
TONE: dict[str, str] = {"bound": "green", "idle": "secondary", "stopped": "red"}
MODE: dict[str, str] = {"transceiver": N_("收发"), "transmitter": N_("只发送"), "receiver": N_("只接收")}
ALPHABET: dict[str, str] = {"gsm7": "GSM 7-bit", "ascii": "ASCII", "latin1": "Latin-1", "ucs2": "UCS-2"}
IDS: dict[str, str] = {"decimal": N_("十进制"), "hex": N_("十六进制")}
LONG_MO: dict[str, str] = {"udh": N_("分段（UDH）"), "payload": N_("整条（message_payload）")}
LEAD = N_("客户用 CMPP 或 SMPP 连接本平台的登录名：现在的连接、速率和错误，以及连接数、速率、窗口和来源地址的限制。")
EMPTY = N_("还没有下游接入")
TEACHES = N_("为账号新建登录名后，客户把 CMPP 或 SMPP 客户端指向本平台即可发送；状态报告和上行短信沿同一连接返回。")
ADD, ADD_TITLE = N_("新建接入"), N_("新建下游接入")
EDIT, EDIT_TITLE, SAVE, SAVED = N_("修改限制"), N_("修改下游接入"), N_("保存"), N_("下游接入已保存，几秒内生效。")
RENEW, RENEW_TITLE = N_("更换密码"), N_("更换密码")
STOP, START, REMOVE, KICK = N_("停用"), N_("启用"), N_("删除"), N_("断开连接")
UNLIMITED = N_("不限")
KICK_EFFECT = N_(
    "将断开 %(n)s 个登录名在 %(nodes)s 个节点上的 %(binds)s 个连接，几秒内完成。"
    "其中 %(unanswered)s 个提交尚未应答：平台照常受理或拒绝。"
    "客户重发它们时，CMPP 在 4 分钟内重连同一节点、序列号与内容不变的得到同一应答；"
    "SMPP 和连到其他节点的按新短信受理，可能重复发送。"
    "%(deliveries)s 个未确认的报告和上行短信在重连后再次投递。客户可以立即重连；要阻止请停用。"
)
KICK_NONE = N_("所选登录名现在没有连接。")
STOP_EFFECT = N_(
    "将停用 %(n)s 个登录名并断开 %(binds)s 个连接，启用前不能再连接。"
    "其中 %(unanswered)s 个提交尚未应答：平台照常受理或拒绝；已受理的短信照常发送，报告可由接口取走。"
)
START_EFFECT = N_("将启用 %(n)s 个登录名，几秒内即可连接。")
REMOVE_EFFECT = N_("将删除登录名 %(names)s 并断开 %(binds)s 个连接，不能恢复。已受理的短信照常发送，报告可由接口取走。")
RENEW_EFFECT = N_("将为 %(name)s 更换密码并显示一次。现有的 %(binds)s 个连接几秒内断开，客户须用新密码重连。")
EDIT_EFFECT = N_(
    "将修改 %(name)s 的限制，几秒内对现有的 %(binds)s 个连接生效，不断开；"
    "来源地址不在新名单内的，和超过连接数时后连接的，共 %(out)s 个会断开。"
)
USER_HELP = N_("SMPP 的 system_id（最多 15 个字符），或 CMPP 的企业代码（最多 6 个字符）。")
PASSWORD_HELP = N_("留空时由平台生成。SMPP 客户端多数只支持 8 个字符。")
BINDS_HELP = N_("同时的连接，所有节点合计，1 到 1,000。节点间每 3 秒核对，超出时断开后连接的。")
WINDOW_HELP = N_("每个连接上双方可以不等应答的请求数，1 到 1,000。")
RATE_HELP = N_("每秒提交的号码，每个节点各自计算；0 为不限，此时只受账号的限速。")
NETWORKS_HELP = N_("每行一个地址或网段；留空为不限。账号另有限制时两者都须满足。")
CODE_HELP = N_("客户发送时使用、手机回复的号码；其后的数字作为扩展号。")
SOURCE_HELP = N_("不检查客户填写的源号码，一律用账号自己的接入号。")
CLOCK_HELP = N_("CMPP：不检查登录报文的时间。截获过一次登录的人可以再次使用它，只在客户时钟无法校准时开启。")
ALPHABET_HELP = N_("SMPP data_coding 为 0 时的字符集。")
IDS_HELP = N_("SMPP message_id 的写法。")
LONG_HELP = N_("SMPP 长上行短信的投递方式。")
SECTION_LOGIN, SECTION_LIMITS, SECTION_HABITS = N_("登录"), N_("限制"), N_("内容与写法")
CODES: dict[str, str] = {"rate": N_("超过登录名的速率"), "UNFIT": N_("协议字段不符")}
