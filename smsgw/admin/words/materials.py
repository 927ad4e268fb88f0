"""The words of the library of pictures, sounds and films (素材库)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LIBRARY = N_("素材库")
LEAD = N_("集中保存图片、音频和视频，经另一人审核后可下载取用。")
EMPTY, TEACHES = N_("还没有素材"), N_("上传图片、音频或视频，经另一人审核后，能看到该账号的人员即可取用。")
UPLOAD, UPLOAD_TITLE = N_("上传素材"), N_("上传素材")
UPLOAD_LEAD = N_("上传后重新编码或清理，去掉拍摄位置、设备等附带信息，再由另一人审核。")
KIND: dict[str, str] = {"picture": N_("图片"), "audio": N_("音频"), "video": N_("视频")}
KIND_TONE: dict[str, str] = {"picture": "blue", "audio": "secondary", "video": "orange"}
STATE: dict[str, str] = {"waiting": N_("待审核"), "approved": N_("可用"), "rejected": N_("已驳回")}
STATE_TONE: dict[str, str] = {"waiting": "orange", "approved": "green", "rejected": "red"}
KINDS = N_(
    "图片（PNG、JPEG、WebP）不超过 %(picture)s MB，音频（MP3）不超过 %(audio)s MB，视频（MP4）不超过 %(video)s MB"
)
SEEN_BY = N_("能看到所选账号的人员可以查看；审核通过后可以下载使用。")
TAGS_HELP = N_("选填，用逗号分开，最多 %(most)s 个。")
KEPT = N_("素材已上传，等待另一人审核")
EDIT, SAVE, SAVED = N_("修改"), N_("保存"), N_("已保存。")
PASS, REJECT, REMOVE, TAKE = N_("通过"), N_("驳回"), N_("删除"), N_("下载原件")
PASS_EFFECT = N_("将通过 %(n)s 个素材，能看到相应账号的人员即可取用。请先查看内容；不能审核自己上传的素材。")
REJECT_EFFECT = N_("将驳回 %(n)s 个素材，驳回后不能取用。")
REMOVE_EFFECT = N_("将删除 %(n)s 个素材（%(names)s），已取用 %(taken)s 次；删除后不能恢复。")
