"""Words of 财务."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LEAD = N_("向账号充入或扣减的条数，由谁、何时、凭什么；金额按入账时的单价计算，改价不影响已有记录。")
EMPTY = N_("这段时间没有充值")
TEACHES = N_("为账号充入条数后，这里记下金额、经手人、依据和充值后的余额。")
ADD = N_("充值")
EFFECT = N_(
    "账号 %(name)s 的余额将由 %(before)s 条变为 %(after)s 条（%(change)s 条，按现价 %(price)s 元/条合 %(amount)s 元）。"
)
DONE = N_("账号 %(name)s 的余额现为 %(balance)s 条。")
