"""Accessibility of the page: axe, the keyboard, announcements, and small windows."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.model import HELD, Model
from tests.browser.part import Part
from tests.browser.visitor import PASSCODE, wait_for_animations
from tests.support.stack import ROOT

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
ALL = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}


def violations(page: Page, rules: dict[str, object]) -> list[str]:
    """Return the violations that axe finds on the page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text() + "; 0")
    wait_for_animations(page)
    found = page.evaluate(
        "(rules) => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then((r) => r.violations)", rules
    )
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


def test_axe_finds_nothing_on_any_screen(visit: Visit, model: Model) -> None:
    """Every screen and state in light mode, and the contrast in dark mode."""
    visitor = visit(reduced_motion="reduce")
    page = visitor.page
    found: dict[str, list[str]] = {}

    def look(screen: str) -> None:
        for scheme, rules in (("dark", CONTRAST), ("light", ALL)):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            if wrong := violations(page, rules):
                found[f"{screen}, {scheme}"] = wrong

    visitor.open()
    expect(page.locator("[name=new-password]")).to_be_visible()
    look("register")
    page.locator(".switch").click()
    page.locator("[name=username]").fill("nobody-at-all")
    page.locator("[name=password]").fill(PASSCODE)
    page.locator("form .primary").click()
    expect(page.locator(".problem")).to_be_visible()
    look("login refused")
    visitor.register()
    expect(page.locator(".bot-card input:checked")).to_have_count(1)
    look("new chat")
    visitor.new_chat(
        "Echo", "# Title\n\n[link](https://example.org) `code`\n\n```python\nprint(1) # one\n```\n\n|a|b|\n|-|-|\n|1|2|"
    )
    visitor.expect_answer()
    expect(page.locator(".reply .hljs-comment")).to_be_visible()
    look("chat")
    page.locator(".chat-head .menu > button").click()
    look("menu")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    page.locator(".everybody").click()
    page.get_by_role("button", name="Make an invite link").click()
    expect(page.locator(".invite")).to_be_visible()
    look("people")
    visitor.close_dialog()
    visitor.writing.press("ArrowUp")
    expect(page.locator(".editor")).to_be_visible()
    look("edit")
    page.locator(".editor textarea").press("Escape")
    expect(page.locator(".editor")).to_have_count(0)
    visitor.writing.fill("hi @e")
    expect(page.locator(".mentions")).to_be_visible()
    look("mentions")
    visitor.writing.fill("")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Chat or command")).to_be_visible()
    look("palette")
    visitor.close_dialog()
    page.locator(".scroller").press("?")
    expect(page.locator(".keys")).to_be_visible()
    look("help")
    visitor.close_dialog()
    page.get_by_label("Search chats and messages").fill("link")
    expect(page.locator(".hit").first).to_be_visible()
    look("search")
    page.get_by_label("Search chats and messages").fill("")
    page.locator("a.me").click()
    expect(page.locator(".account")).to_be_visible()
    expect(page.locator(".members li").first).to_be_visible()
    look("account")
    page.get_by_role("button", name="Delete the account").click()
    look("delete the account")
    visitor.close_dialog()
    model.go_on.clear()
    page.locator(".sidebar .new").click()
    visitor.new_chat("Model", "hold")
    expect(visitor.reply_under_way).to_contain_text(HELD)
    look("streaming")
    model.go_on.set()
    visitor.expect_answer()
    assert not found, "\n".join(f"{screen}: {wrong}" for screen, wrong in found.items())


def test_every_action_works_by_keyboard(visit: Visit) -> None:
    """From the empty form to a second chat without a mouse; the focus is never lost."""
    visitor = visit()
    page = visitor.page
    visitor.open()
    page.locator("[name=username]").focus()
    page.keyboard.type(visitor.id)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSCODE)
    page.keyboard.press("Enter")
    expect(page.locator(".bot-card input:checked")).to_have_count(1)
    expect(visitor.writing).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".bot-card input:checked")).to_be_focused()
    default = page.locator(".bot-card input:checked").evaluate("(e) => e.closest('.bot-card').innerText")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".bot-card:has(input:checked)")).not_to_have_text(default, use_inner_text=True)
    expect(page.locator(".bot-card input:checked")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.type("first")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    visitor.expect_answer()
    expect(visitor.writing).to_be_focused()
    expect(visitor.own.locator(".md")).to_have_js_property("innerText", "first\nsecond line")
    page.keyboard.press("Control+k")
    page.keyboard.type("new chat")
    page.keyboard.press("Enter")
    expect(page.locator("#fresh-title")).to_be_visible()
    expect(visitor.writing).to_be_focused()
    page.keyboard.press("Control+k")
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    visitor.expect_answer()
    page.keyboard.press("Control+Shift+O")
    expect(page.locator("#fresh-title")).to_be_visible()


def test_keys_pressed_while_the_palette_loads_go_to_the_palette(visit: Visit) -> None:
    """Keys pressed while the palette is loading go to the palette, not to the message field."""
    visitor = visit()
    page = visitor.page
    palette = Part(visitor.context, "palette")
    with page.expect_request(palette.pattern):  # requested automatically when the page is idle
        visitor.register()
    expect(visitor.writing).to_be_focused()
    page.keyboard.press("Control+k")
    page.keyboard.type("accoux")
    page.keyboard.press("Backspace")
    expect(visitor.writing).to_have_value("")
    palette.release()
    query = page.get_by_role("combobox", name="Chat or command")
    expect(query).to_have_value("accou")
    expect(query).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".account")).to_be_visible()


def test_reply_is_announced_once(visit: Visit, model: Model) -> None:
    """Screen readers announce the finished reply, not each word."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    page.evaluate(
        "window.__heard = []; new MutationObserver(() => __heard.push(document.querySelector('#page > .unseen').textContent))"
        ".observe(document.querySelector('#page > .unseen'), {childList: true, characterData: true, subtree: true})"
    )
    visitor.new_chat("Model", "count 60")
    visitor.expect_answer()
    expect(page.locator("#page > .unseen")).to_contain_text("Model says: word0 word1")
    assert len(page.evaluate("window.__heard")) == 1
    assert page.locator("[role=log]").get_attribute("aria-live") == "off"


def test_nothing_overflows_at_320_pixels_in_any_language(visit: Visit) -> None:
    """At 320 px nothing overflows, in German and in Arabic from right to left."""
    visitor = visit(viewport={"width": 320, "height": 568}, has_touch=True, is_mobile=True, locale="de-DE")
    page = visitor.page

    def fits() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth <= 320 && innerWidth === 320"))

    visitor.open()
    expect(page.get_by_role("heading", name="Konto anlegen")).to_be_visible()
    assert fits()
    visitor.register()
    expect(page.locator(".bot-card input:checked")).to_have_count(1)
    assert fits()
    page.locator(".to-list").click()
    expect(page.get_by_role("link", name="Backchat")).to_be_visible()
    assert fits()
    visitor.new_chat(
        "Echo", "`" + "x" * 200 + "`\n\n| " + " | ".join("abcdefgh") + " |\n" + "|-" * 8 + "|\n" + "| wide " * 8 + "|"
    )
    visitor.expect_answer()
    assert fits()
    page.locator(".everybody").click()
    expect(page.locator("dialog")).to_be_visible()
    assert fits()
    visitor.close_dialog()
    page.locator(".to-list").click()
    page.locator("a.me").click()
    page.locator("select").select_option("ar")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    assert fits()
    page.reload()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.get_by_text("الحساب").first).to_be_visible()
