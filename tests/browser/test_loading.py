"""Parts of the page that load late or fail: the page reports it, offers a retry, and stays usable."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.part import Part
from tests.browser.visitor import PASSCODE

MISSING = "This part of the page could not be loaded"


def test_page_is_in_english_while_a_language_loads(visit: Visit) -> None:
    """While Arabic is loading the page is in English, from left to right; it switches when Arabic arrives."""
    visitor = visit(locale="ar-EG")
    page = visitor.page
    arabic = Part(visitor.context, "ar")
    visitor.open()
    expect(page.get_by_role("heading", name="Make an account")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("dir", "ltr")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    arabic.release()
    expect(page.get_by_role("heading", name="إنشاء حساب")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")


def test_failed_language_is_reported_and_can_be_chosen_again(visit: Visit) -> None:
    """The page stays in English, reports the failure, and switches to German when it is chosen again."""
    visitor = visit()
    page = visitor.page
    german = Part(visitor.context, "de", is_failing=True)
    visitor.open()
    language = page.get_by_label("Language")
    language.select_option("de")
    expect(page.get_by_role("status").filter(has_text=MISSING)).to_be_visible()
    expect(language).to_have_value("en")
    german.release()
    language.select_option("de")
    expect(page.get_by_role("heading", name="Konto anlegen")).to_be_visible()


def test_failed_screens_are_reported_and_retried(visit: Visit) -> None:
    """The login screen, a chat and the account screen report the failure and appear on retry."""
    visitor = visit()
    page = visitor.page
    parts = {
        names: Part(visitor.context, names, is_failing=True)
        for names in ("login_screen", "conversation_screen", "account_screen")
    }
    problem, again = page.get_by_role("alert"), page.get_by_role("button", name="Try again")
    visitor.open()
    expect(problem).to_contain_text(MISSING)
    expect(problem).to_have_attribute("data-code", "unavailable")
    parts["login_screen"].release()
    again.click()
    page.get_by_label("Name").fill(visitor.id)
    page.get_by_label("Passcode", exact=True).fill(PASSCODE)
    page.get_by_role("button", name="Make the account").click()
    page.get_by_role("radio", name="Echo").check(force=True)
    visitor.say("hello")
    expect(problem).to_contain_text(MISSING)
    parts["conversation_screen"].release()
    again.click()
    visitor.expect_answer()
    page.locator("a.me").click()
    expect(problem).to_contain_text(MISSING)
    page.locator(".chat-link").click()
    visitor.say("still here")
    visitor.expect_answer(2)
    page.locator("a.me").click()
    expect(problem).to_contain_text(MISSING)
    parts["account_screen"].release()
    again.click()
    expect(page.get_by_role("heading", name=visitor.id)).to_be_visible()


def test_failed_dialogs_and_highlighter_are_reported_and_retried(visit: Visit) -> None:
    """The failure is reported, and the draft, the message and the plain code stay."""
    visitor = visit()
    page = visitor.page
    part = Part(
        visitor.context, "palette|help_dialog|rename_dialog|people_dialog|message_editor|highlight", is_failing=True
    )
    visitor.register()
    visitor.new_chat("Echo", "```python\nprint(1) # one\n```")
    answer = visitor.expect_answer()
    expect(answer.locator("code")).to_have_text("print(1) # one")
    visitor.writing.fill("a draft")
    notice = page.get_by_role("status").filter(has_text=MISSING)

    def expect_notices(times: int) -> None:
        expect(notice.get_by_text(MISSING)).to_have_count(times)

    page.keyboard.press("Control+k")
    expect_notices(1)
    page.get_by_role("region", name="Messages").press("?")
    expect_notices(2)
    page.locator(".everybody").click()
    expect_notices(3)
    expect(page.get_by_role("dialog")).to_have_count(0)
    visitor.writing.press("End")
    visitor.writing.press_sequentially(" of mine")
    expect(visitor.writing).to_have_value("a draft of mine")
    part.release()
    page.locator(".everybody").click()
    expect(page.get_by_role("dialog", name="Who is here")).to_be_visible()
    visitor.close_dialog()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Chat or command")).to_be_focused()


def test_slow_parts_are_reported_and_take_no_keys(visit: Visit) -> None:
    """The account screen and the palette never arrive: that is reported, and the message field stays usable."""
    visitor = visit()
    page = visitor.page
    part = Part(visitor.context, "account_screen|palette")
    visitor.register()
    page.locator("a.me").click()
    expect(page.get_by_text("One moment")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("lost")
    expect(page.get_by_text("This takes long to load")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text=MISSING)).to_be_visible()
    page.locator(".sidebar .new").click()
    visitor.writing.press_sequentially("not lost")
    expect(visitor.writing).to_have_value("not lost")
    page.locator("a.me").click()
    part.release()
    expect(page.get_by_role("heading", name=visitor.id)).to_be_visible()


def test_failed_first_script_shows_a_message_and_a_link(visit: Visit) -> None:
    """Without the first script the page shows a message in the browser's language, with a link to retry."""
    visitor = visit(locale="de-DE")
    page = visitor.page
    part = Part(visitor.context, "base", is_failing=True)
    visitor.open()
    expect(page.get_by_role("alert")).to_contain_text("Backchat konnte nicht geladen werden")
    part.release()
    page.get_by_role("link", name="Noch einmal versuchen").click()
    expect(page.get_by_role("heading", name="Konto anlegen")).to_be_visible()
