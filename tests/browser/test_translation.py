"""The page while a translator changes its texts."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit


def test_translated_page_still_changes_its_texts(visit: Visit) -> None:
    """A translator wraps each text that may be translated, as Chrome does."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first words")
    visitor.expect_answer()
    translate(page)
    visitor.say("second")
    visitor.expect_answer(2)
    visitor.menu("Rename")
    page.get_by_role("textbox", name="Title").fill("Another title")
    page.keyboard.press("Enter")
    expect(page.locator(".chat-head h1")).to_have_text("Another title")
    expect(page.locator(".chat-title")).to_have_text("Another title")
    page.get_by_role("button", name="Answer again").last.click()
    expect(page.locator(".alternatives")).to_have_text("2/2")
    translate(page)
    page.get_by_role("button", name="Earlier answer").click()
    expect(page.locator(".alternatives")).to_have_text("1/2")
    assert page.locator("font", has_text="Echo").count() == 0
    page.locator(".sidebar .new").click()
    visitor.new_chat("Echo", "third words")
    expect(page.locator(".chat-head h1")).to_have_text("third words")


def translate(page: Page) -> None:
    page.evaluate(
        """() => {
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          const texts = [];
          while (walker.nextNode()) texts.push(walker.currentNode);
          for (const text of texts) {
            if (!text.data.trim() || text.parentElement.closest("[translate=no], script, style, textarea, font")) continue;
            const [outer, inner] = [document.createElement("font"), document.createElement("font")];
            inner.textContent = `«${text.data}»`;
            outer.append(inner);
            text.replaceWith(outer);
          }
        }"""
    )
