"""What users do with their hands: scroll, write on a phone, leave a draft, search, print, translate."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backchat_client import BackchatClient
from tests.browser.conftest import Visit
from tests.browser.model import Model
from tests.browser.visitor import PASSCODE, Visitor, wait_for_expression
from tests.browser.wire import Wire

DISTANCE = "(({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight)(document.querySelector('.scroller'))"
LONG = "count 4000"
# The place once it has not changed for 30 frames: browsers animate scrolling.
STILL = """new Promise((done) => {
  const scroller = document.querySelector(".scroller");
  let [last, still] = [scroller.scrollTop, 0];
  const look = () => {
    still = scroller.scrollTop === last ? still + 1 : 0;
    last = scroller.scrollTop;
    still > 30 ? done(last) : requestAnimationFrame(look);
  };
  look();
})"""
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True}


def distance(page: Page) -> float:
    """The pixels between the visible part and the end."""
    return float(page.evaluate(DISTANCE))


def streaming(visitor: Visitor) -> Page:
    """Start a chat whose reply is longer than the window and grows."""
    visitor.register()
    visitor.new_chat("Model", LONG)
    wait_for_expression(visitor.page, "document.querySelector('.scroller').scrollTop > 1000")
    assert distance(visitor.page) < 60
    return visitor.page


@pytest.mark.parametrize("step", [4, 20, 60, 100])
def test_wheel_upwards_leaves_the_growing_end(visit: Visit, model: Model, step: int) -> None:
    """By any step, and the place stays until the user returns to the end."""
    page = streaming(visit())
    page.locator(".scroller").hover()
    for _ in range(3):
        page.mouse.wheel(0, -step)
    expect(page.locator(".latest")).to_be_visible()
    top = page.evaluate(STILL)
    words = page.locator(".reply .md").last
    before = len(words.inner_text())
    wait_for_expression(
        page, f"[...document.querySelectorAll('.reply .md')].at(-1).innerText.length > {before + 2_000}"
    )
    assert abs(page.evaluate("document.querySelector('.scroller').scrollTop") - top) < 2
    for _ in range(100):
        page.mouse.wheel(0, 2_000)
        if not page.locator(".latest").is_visible():
            break
    expect(page.locator(".latest")).to_be_hidden()


@pytest.mark.parametrize("key", ["ArrowUp", "PageUp", "Home", "Shift+Space"])
def test_key_leaves_the_growing_end(visit: Visit, model: Model, key: str) -> None:
    page = streaming(visit())
    page.locator(".scroller").focus()
    page.keyboard.press(key)
    expect(page.locator(".latest")).to_be_visible()
    before = distance(page)
    wait_for_expression(page, f"{DISTANCE} > {before} + 200")
    page.keyboard.press("End")
    expect(page.locator(".latest")).to_be_hidden()


def test_view_follows_the_end_without_a_scroll_upwards(visit: Visit, model: Model) -> None:
    page = streaming(visit())
    page.locator(".scroller").hover()
    page.mouse.wheel(0, 300)
    length = len(page.locator(".reply .md").last.inner_text())
    wait_for_expression(
        page, f"[...document.querySelectorAll('.reply .md')].at(-1).innerText.length > {length + 2_000}"
    )
    expect(page.locator(".latest")).to_be_hidden()
    wait_for_expression(page, f"{DISTANCE} < 60")


def test_enter_on_a_phone_is_a_line_break(visit: Visit) -> None:
    """In a new chat, in a chat, and in the editor of a message; the button sends."""
    visitor = visit(**PHONE)
    visitor.register()
    page = visitor.page
    page.locator(".bot-card").first.tap()
    for count in (1, 2):
        visitor.writing.fill("one")
        expect(visitor.writing).to_have_attribute("enterkeyhint", "enter")
        visitor.writing.press("Enter")
        page.keyboard.type("two")
        expect(visitor.writing).to_have_value("one\ntwo")
        page.get_by_role("button", name="Send").tap()
        visitor.expect_answer(count)
    page.get_by_role("button", name="Edit").tap()
    editor = page.locator(".editor textarea")
    editor.press("Enter")
    page.keyboard.type("three")
    expect(editor).to_have_value("one\ntwo\nthree")
    page.get_by_role("button", name="Send the change").tap()
    expect(editor).to_be_hidden()
    expect(visitor.replies.last).to_contain_text("three")


def test_enter_sends_on_a_desktop_and_ctrl_enter_everywhere(visit: Visit) -> None:
    desktop, phone = visit(), visit(**PHONE)
    desktop.register()
    desktop.new_chat("Echo", "hello")
    desktop.writing.fill("one")
    desktop.writing.press("Shift+Enter")
    desktop.page.keyboard.type("two")
    desktop.page.keyboard.press("Enter")
    expect(desktop.own.last).to_contain_text("two")
    phone.register()
    phone.writing.fill("hello")
    phone.writing.press("Control+Enter")
    expect(phone.own).to_have_count(1)


def test_drafts_outlive_reloads_the_back_button_and_an_ended_login(visit: Visit) -> None:
    """Each chat has its own; the same user finds them after the login, another one does not."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    address = page.url
    visitor.writing.fill("in the chat")
    page.locator(".sidebar .new").click()
    visitor.writing.fill("in a new chat")
    page.reload()
    expect(visitor.writing).to_have_value("in a new chat")
    page.goto(address)
    expect(visitor.writing).to_have_value("in the chat")
    page.goto("about:blank")
    page.go_back()
    expect(visitor.writing).to_have_value("in the chat")
    visitor.context.clear_cookies()
    page.reload()  # the login cannot be resumed
    page.get_by_role("button", name="Have an account?").click()
    page.locator("[name=username]").fill(visitor.id)
    page.locator("[name=password]").fill(PASSCODE)
    page.locator("form .primary").click()
    expect(visitor.writing).to_have_value("in the chat")
    visitor.writing.press("Enter")
    visitor.expect_answer(2)
    page.reload()
    visitor.expect_answer(2)
    expect(visitor.writing).to_have_value("")


def test_logout_deletes_drafts_from_the_device(visit: Visit) -> None:
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first")
    visitor.writing.fill("a secret draft")
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    assert "a secret draft" in page.evaluate(kept)
    page.locator(".me").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page.locator("[name=username]")).to_be_visible()
    assert "a secret draft" not in page.evaluate(kept)


def test_side_bar_finds_any_chat_by_title_and_content(visit: Visit) -> None:
    """Also chats that the list has not loaded; it says that there is nothing only if there is nothing."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "the pelican")
    visitor.expect_answer()
    make_chats(visitor, 70)
    page.reload()
    expect(page.locator(".chat-link")).to_have_count(50)
    search = page.get_by_role("searchbox")
    for query, title in (
        ("number 3", "Number 3 - Zürich"),
        ("zurich 1", "Number 1 - Zürich"),
        ("PELICAN", "the pelican"),
    ):
        search.fill(query)
        expect(page.locator(".chat-link").filter(has_text=title).first).to_be_visible()
        expect(page.locator(".nothing")).to_have_count(0)
    search.fill("the pelican")
    expect(page.locator(".chat-link")).to_have_count(1)
    expect(page.locator(".hit")).to_have_count(2)  # the message and the answer
    search.fill("walrus")
    expect(page.locator(".nothing")).to_have_text("Nothing found for “walrus”")


def make_chats(visitor: Visitor, count: int) -> None:
    """Start chats with titles, as another device does. (Playwright has the event loop of this thread.)"""

    async def make() -> None:
        client = BackchatClient(auth_url=visitor.url, gateway_urls=[visitor.url], user_id=visitor.id, passcode=PASSCODE)
        async with client:
            for number in range(count):
                await client.start_chat(f"Number {number} - Zürich", chatbot_ids=["echo"])

    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, make()).result()


def test_tab_title_names_the_chat(visit: Visit) -> None:
    """At once from the first message; other screens have other titles."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    expect(page).to_have_title("Backchat")
    visitor.new_chat("Echo", "Where is **my** order?")
    expect(page).to_have_title("Where is my order? - Backchat")
    expect(page.locator(".chat-head h1")).to_have_text("Where is my order?")
    visitor.expect_answer()
    visitor.menu("Rename")
    page.get_by_role("textbox", name="Title").fill("Orders")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Orders - Backchat")
    page.locator(".me").click()
    expect(page).to_have_title("Account - Backchat")
    page.locator(".brand").first.click()
    expect(page).to_have_title("Backchat")


def test_print_shows_the_whole_chat_and_nothing_else(visit: Visit, model: Model) -> None:
    """Older messages are loaded first, by the menu and by the key; in light colours and over all pages."""
    visitor = visit(color_scheme="dark")
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "message 1")
    for number in range(2, 36):
        visitor.say(f"message {number}")
        visitor.expect_answer(number)
    page.reload()
    expect(page.locator(".row[data-seq]").first).to_be_visible()
    first = page.locator(".thread").get_by_text("message 1", exact=True)
    assert first.count() == 0
    page.evaluate("window.printed = 0; window.print = () => { window.printed += 1 }; 0")
    page.keyboard.press("Control+p")
    wait_for_expression(page, "printed === 1")
    expect(first).to_have_count(2)
    visitor.menu("Print")
    wait_for_expression(page, "printed === 2")
    page.emulate_media(media="print")
    for gone in (".sidebar", ".composer", ".actions", ".chat-head .menu", ".everybody", ".skip", ".latest"):
        for element in page.locator(gone).all():
            expect(element).to_be_hidden()
    texts = page.locator(".thread").inner_text()
    assert re.findall(r"message \d+", texts) == [f"message {n}" for n in range(1, 36) for _ in range(2)]
    assert page.locator("body").inner_text().split("\n", 1)[0] == "message 1"  # the title
    assert page.locator("body").inner_text().endswith(texts)
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert page.evaluate(
        "document.querySelector('.scroller').scrollHeight <= document.querySelector('.scroller').clientHeight"
    )
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf()))
    assert pages >= 3


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


def test_missing_worker_is_reported_instead_of_thinking(visit: Visit) -> None:
    """Nothing of the chatbot arrives: no typing, no text. The answer arrives later and replaces the line."""
    visitor = visit()
    wire = Wire(visitor.context)
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    wire.hold(r'42\["(typing|message_delta)"|42\["message",.*"sender_type":\s*"chatbot"')
    visitor.say("second")
    expect(page.locator(".unattended")).to_have_text(
        "Nobody is there to answer just now. Your message is kept and will be answered."
    )
    wire.release()
    visitor.expect_answer(2)
    expect(page.locator(".unattended")).to_have_count(0)


@pytest.mark.parametrize("code", ["weak_passcode", "user_exists", "rate_limited"])
def test_refused_registration_has_a_text_and_keeps_what_was_typed(visit: Visit, code: str) -> None:
    """Also after a change to the login form and back."""
    visitor = visit()
    page = visitor.page
    page.route(
        "**/register",
        lambda route: route.fulfill(status=422, json={"code": code}, content_type="application/problem+json"),
    )
    visitor.open()
    page.locator("[name=username]").fill(visitor.id)
    page.locator("[name=new-password]").fill(PASSCODE)
    page.locator("form .primary").click()
    alert = page.get_by_role("alert")
    expect(alert).to_have_attribute("data-code", code)
    expect(alert).not_to_contain_text(code)
    expect(page.locator("[name=username]")).to_have_value(visitor.id)
    page.locator(".switch").click()
    expect(page.locator("[name=username]")).to_have_value(visitor.id)
    expect(page.locator("[name=password]")).to_have_value(PASSCODE)
    page.locator(".switch").click()
    expect(page.locator("[name=new-password]")).to_have_value(PASSCODE)


def test_account_whose_first_login_failed_is_not_created_again(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    page.route("**/login", lambda route: route.abort(), times=1)
    visitor.open()
    page.locator("[name=username]").fill(visitor.id)
    page.locator("[name=new-password]").fill(PASSCODE)
    page.locator("form .primary").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.locator("form .primary").click()
    expect(page.locator(".shell")).to_be_visible()


def test_palette_marks_one_entry(visit: Visit) -> None:
    """The pointer moves the mark of the keys; Enter runs it."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    page.keyboard.press("Control+k")
    options = page.get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
    options.nth(1).hover()
    page.keyboard.press("ArrowDown")
    expect(options.nth(2)).to_have_attribute("aria-selected", "true")
    marked = """[...document.querySelectorAll(".palette [role=option]")]
      .filter((each) => getComputedStyle(each).backgroundColor !== "rgba(0, 0, 0, 0)").map((each) => each.innerText.trim())"""
    assert page.evaluate(marked) == [options.nth(2).inner_text().strip()]


def test_suggestions_and_pictures_come_from_the_catalogue(visit: Visit) -> None:
    """A suggestion is sent by a click; a picture that cannot be loaded leaves the initials."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    page.locator(".bot-card").filter(has_text="Eliza").click()
    suggestions = page.get_by_role("group", name="Suggestions").get_by_role("button")
    expect(suggestions).to_have_text(["I feel tired", "My mother calls every day", "أشعر بالتعب"])
    expect(page.locator(".bot-card .avatar img")).to_have_count(1)
    expect(page.locator(".bot-card .avatar img")).to_have_attribute("src", "/chat/icon.svg")
    suggestions.nth(1).click()
    expect(visitor.own).to_have_text(re.compile("My mother calls every day"))
    visitor.expect_answer()


def test_chatbot_is_changed_in_mid_chat(visit: Visit, model: Model) -> None:
    """By the owner of a chat with one chatbot, below the message field."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "hello")
    visitor.expect_answer()
    choice = page.get_by_role("combobox", name="Answers")
    for count, name in ((2, "Model"), (3, "Echo")):
        choice.select_option(label=name)
        expect(page.locator(".chat-link .chat-with")).to_have_text(name)
        visitor.say("who is it?")
        expect(visitor.expect_answer(count)).to_contain_text("You said" if name == "Model" else "who is it?")
