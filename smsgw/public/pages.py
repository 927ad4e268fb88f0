"""The few pages that citizens may see: a link that leads nowhere, one that asks before it leads on. In both languages,
for nobody knows who opens them."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from string import Template

from smsgw.core.words import Phrase, phrase

_STYLE = (
    "body{font:16px/1.7 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.2rem;color:#1f2937;"
    "background:#fff}h1{font-size:1.25rem}p{margin:.6rem 0}.to{overflow-wrap:anywhere;background:#f3f4f6;padding:.6rem "
    ".8rem;border-radius:.4rem}.go{display:inline-block;margin-top:.6rem;padding:.5rem 1.2rem;border-radius:.4rem;"
    "background:#0f5bb5;color:#fff;text-decoration:none}small{color:#6b7280}"
)
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""Content security policy: the one style sheet, and nothing else."""

_PAGE = Template(
    '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="robots" content="noindex">'
    '<meta name="viewport" content="width=device-width,initial-scale=1"><title>$title</title>'
    f"<style>{_STYLE}</style></head><body><main>$body</main></body></html>\n"
)
_SAID = Template('<h1>$title</h1><p>$text</p>$more<p lang="en"><small><b>$title_en.</b> $text_en $more_en</small></p>')
_LINK = Template('<a $look rel="noreferrer nofollow" href="$target">$text</a>')


def _page(title: Phrase, text: Phrase, *, more: str = "", more_en: str = "") -> str:
    body = _SAID.substitute(
        title=escape(str(title)), text=escape(str(text)), more=more,
        title_en=escape(title.english), text_en=escape(text.english), more_en=more_en,
    )  # fmt: skip
    return _PAGE.substitute(title=escape(str(title)), body=body)


NOTHING = _page(phrase("public.nothing"), phrase("public.nothing.do"))
SLOWER = _page(phrase("public.slower"), phrase("public.slower.do"))
LATER = _page(phrase("public.later"), phrase("public.later.do"))


def warning(target: str) -> str:
    """The page before an address that is not the sender's own."""
    shown, go = escape(target, quote=True), phrase("public.go")
    button = _LINK.substitute(look='class="go"', target=shown, text=escape(str(go)))
    return _page(
        phrase("public.leaving"),
        phrase("public.leaving.do"),
        more=f'<p class="to">{shown}</p><p>{button}</p>',
        more_en=_LINK.substitute(look="", target=shown, text=escape(go.english)),
    )
