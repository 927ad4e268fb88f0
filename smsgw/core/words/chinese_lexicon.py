"""Chinese that is read, not said: what people reply, files hold and texts look like. Data, never translated."""

from __future__ import annotations

OPT_OUT = ("r", "t", "td", "qx", "退订", "拒收", "取消订阅", "stop", "unsubscribe")
"""Replies of people who want no more."""
REPLY = r"(?:请?(?:直接)?(?:回复?|回信|发送))"
OUT = r"(?:拒收|退订|不再接收|取消)"
MAY = r"(?:可)?"
"""How the end of a text asks for such a reply: the verb, what for, and what may stand between."""
OPT_OUT_ENDING = "拒收请回复{word}"
"""The same, as it is appended to marketing."""
DATE = r"[0-9年月日时分秒号点星期周上下午一二三四五六天 :/.\-]+"
"""What dates and times are made of."""
DOMAINS = ("中国", "公司", "网络", "网址", "集团", "在线", "中文网", "商城", "网店", "手机", "我爱你", "商标", "购物")
"""Top-level domains in Chinese."""
SILENT, RISKY = "沉默", "风险"
"""States of numbers, as providers shorten them."""
IN_NO_LIBRARY = "库无"
"""A provider knows nothing of the number."""
CARRIERS = {
    "CMCC": ("移动", "中国移动"),
    "CUCC": ("联通", "中国联通"),
    "CTCC": ("电信", "中国电信"),
    "CBN": ("广电", "中国广电"),
}
"""Carriers, as files name them."""
CODE_WORDS = ("验证码", "校验码", "动态码", "动态密码", "verification code", "passcode")
"""What texts with a verification code call it."""
