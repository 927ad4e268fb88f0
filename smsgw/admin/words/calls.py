"""The words of the analysis of interfaces."""

from __future__ import annotations

from smsgw.admin.i18n import N_

TAB_CALLS = N_("调用统计")
TAB_REFUSED = N_("被拒调用")
CHART = N_("接口调用（次，按返回码）")
SUMMARY = N_("共 %(n)s 次调用，其中被拒 %(refused)s 次。")
LEAD = N_("业务系统调用接口的结果：按密钥、接口和返回码计数，耗时为平台处理时间；保留三天。点被拒的次数查看请求。")
REFUSED_LEAD = N_("最近被拒的调用，每个密钥保留最新 50 次、最长三天；正文已去掉号码和内容，只留结构。")
EMPTY = N_("这段时间没有接口调用")
REFUSED_EMPTY = N_("这段时间没有被拒的调用")
TEACHES = N_("业务系统用密钥调用接口后，几秒内显示在这里；排查时把请求号提供给运维。")
