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
        "号码    {number}  {carrier_name} {province}(依据 {carrier_known_by})",
        "number  {number}  {carrier_name} {province} (known by {carrier_known_by})",
    ),
    "explain.content": ("内容    {content}", "text    {content}"),
    "explain.coding": (
        "编码    {coding},{units} 单位,{parts} 条,计费 {price},优先级 {lane}",
        "coding  {coding}, {units} units, {parts} parts, price {price}, lane {lane}",
    ),
    "explain.default": ("默认:{carrier}", "default: {carrier}"),
    "explain.missed": ("不满足 {miss}", "fails {miss}"),
    "explain.hit": ("命中 → {pool}", "hit → {pool}"),
    "explain.rule": ("规则    {name}  {verdict}", "rule    {name}  {verdict}"),
    "explain.none": ("无", "none"),
    "explain.pool": ("通道池  {pool}:{channels}", "pool    {pool}: {channels}"),
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
}
"""Key -> (Chinese, English)."""
