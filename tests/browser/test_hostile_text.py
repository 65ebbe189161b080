"""Texts of users and chatbots are shown as text: sixty hostile strings have no effect."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit

EFFECT = "window.__effect=1"
STRINGS = [
    f"<script>{EFFECT}</script>",
    f"<img src=x onerror={EFFECT}>",
    f"<svg onload={EFFECT}>",
    f"<svg><script>{EFFECT}</script></svg>",
    f"<body onload={EFFECT}>",
    f"<iframe src=javascript:{EFFECT}></iframe>",
    f'<iframe srcdoc="<script>parent.{EFFECT}</script>"></iframe>',
    f"<object data=javascript:{EFFECT}>",
    f"<embed src=javascript:{EFFECT}>",
    f"<a href=javascript:{EFFECT}>click</a>",
    f"<details open ontoggle={EFFECT}>",
    f"<video><source onerror={EFFECT}></video>",
    f"<audio src=x onerror={EFFECT}>",
    f"<input autofocus onfocus={EFFECT}>",
    f"<select autofocus onfocus={EFFECT}>",
    f"<textarea autofocus onfocus={EFFECT}>",
    f"<marquee onstart={EFFECT}>",
    f"<math><mi xlink:href=javascript:{EFFECT}>x</mi></math>",
    f"<form action=javascript:{EFFECT}><button>go</button></form>",
    f"<base href=javascript:{EFFECT}//>",
    f"<meta http-equiv=refresh content=0;url=javascript:{EFFECT}>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<style>body{display:none}</style>",
    "<div style='background:url(https://evil.example/x)'>x</div>",
    "<img src=https://evil.example/pixel.gif>",
    "![pixel](https://evil.example/pixel.gif)",
    f"![x](javascript:{EFFECT})",
    f"![x](x onerror={EFFECT})",
    f'![x"onerror="{EFFECT}](https://evil.example/x.png)',
    f"[click](javascript:{EFFECT})",
    f"[click](JaVaScRiPt:{EFFECT})",
    f"[click](java&#x73;cript:{EFFECT})",
    f"[click](&#106;avascript:{EFFECT})",
    f"[click](\tjavascript:{EFFECT})",
    f"[click](<javascript:{EFFECT}>)",
    f"[click](javascript&colon;{EFFECT})",
    f"[click](data:text/html,<script>{EFFECT}</script>)",
    f"[click](vbscript:{EFFECT})",
    f"[click](blob:https://evil.example/{EFFECT})",
    f'[click](https://evil.example "x" onmouseover="{EFFECT}")',
    f'[click](https://evil.example/"onmouseover="{EFFECT})',
    f"[click][ref]\n\n[ref]: javascript:{EFFECT}",
    f"<javascript:{EFFECT}>",
    f'<https://evil.example/"onclick="{EFFECT}>',
    f"```html\n<script>{EFFECT}</script>\n```",
    f'```"><script>{EFFECT}</script>\ncode\n```',
    f"```xml onload={EFFECT}\n<svg onload={EFFECT}>\n```",
    f"`<img src=x onerror={EFFECT}>`",
    f"| <img src=x onerror={EFFECT}> |\n|---|\n| <svg onload={EFFECT}> |",
    f"> <script>{EFFECT}</script>",
    f"- <img src=x onerror={EFFECT}>",
    f"# <svg onload={EFFECT}>",
    f"<p><noscript><p title='</noscript><img src=x onerror={EFFECT}>'>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror={EFFECT}>'>",
    f"<svg></p><style><a id='</style><img src=x onerror={EFFECT}>'>",
    f"<template><img src=x onerror={EFFECT}></template>",
    "<form id=test><input name=attributes></form><a id=defaultView>",
    f"<x-x onclick={EFFECT} tabindex=1 autofocus onfocus={EFFECT}>",
    f"{{{{constructor.constructor('{EFFECT}')()}}}} ${{{EFFECT}}} <%= {EFFECT} %>",
]
FORBIDDEN = (
    "script, iframe, object, embed, svg, math, style, link, meta, base, form, input, img, video, audio, template"
)


def test_sixty_hostile_strings_have_no_effect(visit: Visit) -> None:
    """Sent by a user and by a chatbot, streamed and stored, with links and images; also in titles and lists."""
    assert len(STRINGS) == 60
    visitor = visit()
    visitor.register()
    visitor.new_chat("Echo", "\n\n".join(STRINGS[:20]))
    visitor.expect_answer()
    for at in (20, 40):
        visitor.say("\n\n".join(STRINGS[at : at + 20]))
        visitor.expect_answer(at // 20 + 1)
    page = visitor.page
    expect(page.locator(".row .md")).to_have_count(6)
    texts = page.locator(".md")
    assert texts.locator(FORBIDDEN).count() == 0
    attributes = page.evaluate(
        "[...document.querySelectorAll('.md *')].flatMap((e) => [...e.attributes].map((a) => a.name + '=' + a.value))"
    )
    assert not [each for each in attributes if each.startswith(("on", "style="))]
    links = [each for each in attributes if each.startswith(("href=", "src="))]
    assert links
    assert all(each.startswith(("href=https://", "href=mailto:")) for each in links), links
    for button in texts.locator("button.code-copy").all():
        button.click()
    assert page.evaluate("window.__effect") is None
    page.reload()
    expect(page.locator(".row .md").first).to_be_visible()
    assert page.evaluate("window.__effect") is None
    assert all(request.startswith(visitor.url) for request in visitor.requests)
