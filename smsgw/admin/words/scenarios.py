"""The words of scenarios."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {"active": N_("使用中"), "stopped": N_("已停用")}
TONE: dict[str, str] = {"active": "green", "stopped": "secondary"}

LEAD = N_("业务场景规定一类短信的账号、签名、模板和时段；发送人选定场景即可，不必逐项填写，接口按编号调用。")
EMPTY = N_("还没有业务场景")
TEACHES = N_("把一类固定的短信（如预约提醒）的账号、签名、模板、有效期和发送时段存为场景，发送时一选即可。")
NEW = N_("新建业务场景")
EDIT = N_("修改业务场景")
COPY = N_("复制")
USE = N_("用此场景发送")
SAVE = N_("保存")
SAVED = N_("已保存，之后开始的发送按此执行。")
STOP, START = N_("停用"), N_("恢复")
STOP_EFFECT = N_("将停用 %(n)s 个业务场景（%(names)s）：页面和接口不能再用它们发送，已提交的任务不受影响。")
START_EFFECT = N_("将恢复 %(n)s 个业务场景（%(names)s）：可以再用它们发送。")

TERMS = N_("规定的内容")
LIMITS = N_("时间与回复")
TYPE_HELP = N_("选了模板时须与模板的类型一致。")
SIGN_HELP = N_("不含【】；留空则由发送时填写，或用账号的默认签名。")
TEMPLATE_HELP = N_("只列出已通过审核的模板；不选则发送时自行填写内容。")
EXTEND_HELP = N_("加在账号的接入号之后，用来区分回复；留空则不加。")
VALID_HELP = N_("从开始起算，过期仍未提交运营商的不再发送，1 到 43,200 分钟；留空则按短信类型的规定。")
WINDOW_HELP = N_("北京时间；只在这些时段内发送，其余时间提交的会等到下一时段。留空则不另外限制。")
NOTE_HELP = N_("给发送人看的说明，如适用的业务。")
