"""What the command line prints."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "help.emergency": (
        "Before everything else (特发); the account needs the right.",
        "Before everything else; the account needs the right.",
    ),
    "explain.check": ("检查    {check}  {said}", "check   {check}  {said}"),
    "explain.review": ("审核    {why}", "review  {why}"),
    "explain.passed": ("通过", "passed"),
    "explain.number": (
        "号码    {number}  {carrier_name} {province}（依据 {carrier_known_by}）",
        "number  {number}  {carrier_name} {province} (known by {carrier_known_by})",
    ),
    "explain.content": ("内容    {content}", "text    {content}"),
    "explain.coding": (
        "编码    {coding}，{units} 单位，{parts} 条，计费 {price}，优先级 {lane}",
        "coding  {coding}, {units} units, {parts} parts, price {price}, lane {lane}",
    ),
    "explain.default": ("默认：{carrier}", "default: {carrier}"),
    "explain.missed": ("不满足 {miss}", "fails {miss}"),
    "explain.hit": ("命中 → {pool}", "hit → {pool}"),
    "explain.rule": ("规则    {name}  {verdict}", "rule    {name}  {verdict}"),
    "explain.none": ("无", "none"),
    "explain.pool": ("通道池  {pool}：{channels}", "pool    {pool}: {channels}"),
    "account.empty": (
        "no accounts yet; make one with: smsgwctl account add NAME --sign 签名 --balance 10000",
        "no accounts yet; make one with: smsgwctl account add NAME --sign SIGN --balance 10000",
    ),
    "help.user": (
        "CMPP Source_Addr (企业代码), SGIP LoginName, SMGP ClientID, SMPP system_id.",
        "CMPP Source_Addr, SGIP LoginName, SMGP ClientID, SMPP system_id.",
    ),
    "help.access_code": ("Service number (接入码), 106…", "Service number, 106…"),
    "help.task_emergency": (
        "Before everything else (特发); somebody else has to pass it.",
        "Before everything else; somebody else has to pass it.",
    ),
    "help.task_name": ("What it is about (发送主题).", "What it is about."),
    "help.icp": ("Licence number of the site (ICP 备案号).", "Licence number of the site (ICP)."),
    "public.nothing": ("链接不存在或已失效", "This link does not exist or is no longer valid"),
    "public.nothing.do": (
        "请核对短信中的网址是否完整；如仍无法打开，请联系短信的发送方。",
        "Check that the address is complete, or ask whoever sent it to you.",
    ),
    "public.slower": ("访问过于频繁，请稍后再试", "Too many requests, please try again later"),
    "public.slower.do": (
        "您所在的网络刚才打开了许多不存在的链接，请约半分钟后重试。",
        "Too many links that do not exist were opened from your network: please try again in half a minute.",
    ),
    "public.later": ("暂时无法确认该链接", "This link cannot be looked up at the moment"),
    "public.later.do": (
        "系统正在恢复，暂时无法确认该链接是否有效，请稍后再试。",
        "The platform is recovering and does not know yet whether this link is valid: please try again later.",
    ),
    "public.leaving": ("您即将离开本平台", "You are about to leave this platform"),
    "public.leaving.do": (
        "该链接将打开以下网址，它不属于短信发送平台。请确认来源可信，不要随意填写密码、验证码和银行卡信息。",
        "This link leads to the address shown, outside of the sender's platform. Go on only if you trust it, and do "
        "not give away passwords, codes or card numbers.",
    ),
    "public.go": ("继续访问", "Continue"),
}
"""Key -> (Chinese, English)."""
