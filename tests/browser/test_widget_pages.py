"""The widget on sites that replace their pages by scripts, in the ways of the usual frameworks, and on refused sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.browser.host import MANUAL, MEMBERS, HostPage
from tests.browser.visitor import Visitor
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("own_settings")

ELEMENT = "document.querySelector('backchat-widget')"
# The next page of the site, parsed as frameworks do, with scripts that run.
NEXT = """
const next = new DOMParser().parseFromString(
  `<body><h1>Another page</h1><script src="${script}" async data-chatbot="echo" data-label="Chat with us"></script>`,
  "text/html").body;
const run = () => document.querySelectorAll("body script").forEach((old) => {
  const copy = document.createElement("script");
  for (const { name, value } of old.attributes) copy.setAttribute(name, value);
  old.replaceWith(copy);
});
"""
SWAPS = {
    "turbo": "document.documentElement.replaceChild(document.adoptNode(next), document.body); run();",
    "astro": "document.body.replaceWith(next); setTimeout(run);",
    "htmx": "document.body.innerHTML = '<h1>Another page</h1>';",
    "moved": f"next.append({ELEMENT}); document.body.replaceWith(next);",
    "cached": "const copy = document.body.cloneNode(true); document.body.replaceWith(next); document.body.replaceWith(copy);",
}


@pytest.fixture
def shop(browser: Browser, host_page: HostPage) -> Iterator[Visitor]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1000, "height": 800})
    visitor = Visitor(context, host_page.origin)
    yield visitor
    context.close()
    assert not visitor.wrongs, visitor.wrongs


def frame_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def say(page: Page, text: str) -> None:
    writing = frame_of(page).get_by_role("textbox", name="Message")
    writing.fill(text)
    writing.press("Enter")


def swap(page: Page, stack: Stack, how: str) -> None:
    """Replace the page in the way of a framework."""
    script = f"{stack.auth_url}/chat/widget.js"
    page.evaluate(f"(script) => {{ {NEXT} {SWAPS[how]} }}", script)
    expect(page.locator("h1")).to_have_count(1)


@pytest.fixture
def starts(shop: Visitor) -> Callable[[], int]:
    """The number of chats that the page has started."""
    sent: list[str] = []

    def watch(socket: object) -> None:
        socket.on("framesent", lambda frame: sent.append(str(frame)) if "start_chat" in str(frame) else None)  # type: ignore[attr-defined]

    shop.page.on("websocket", watch)
    return lambda: len(sent)


@pytest.mark.parametrize(
    "said", [["Where is my order?"], ["one", "two", "three"], ["Where\nis <b>my</b> order?", "*thanks*"]]
)
def test_messages_of_the_host_are_shown_at_once_and_answered_in_the_shown_chat(
    shop: Visitor, stack: Stack, starts: Callable[[], int], said: list[str]
) -> None:
    """A new visitor, who then writes too: one chat, in the order of sending."""
    page = shop.page
    shop.open(f"/?server={stack.auth_url}")
    page.get_by_role("button", name="Chat with us").wait_for()
    page.evaluate(f"(texts) => texts.forEach((text) => {ELEMENT}.send(text))", said)
    frame = frame_of(page)
    expect(frame.locator(".row.own").first).to_contain_text(said[0].splitlines()[0])
    say(page, "hello")
    expect(frame.locator(".row.own")).to_have_count(len(said) + 1)
    expect(frame.locator(".row.own").last).to_contain_text("hello")
    expect(frame.locator(".row.reply[data-seq]").last).to_contain_text("hello")
    expect(frame.locator(".row.own.pending")).to_have_count(0)
    assert starts() == 1


def test_message_that_the_visitor_is_writing_survives_the_start(shop: Visitor, stack: Stack) -> None:
    """The visitor types while the host's message starts the chat."""
    page = shop.page
    shop.open(f"/?server={stack.auth_url}")
    page.get_by_role("button", name="Chat with us").click()
    writing = frame_of(page).get_by_role("textbox", name="Message")
    writing.fill("I am wri")
    page.evaluate(f"{ELEMENT}.send('the host speaks')")
    expect(frame_of(page).locator(".row.reply[data-seq]")).to_have_count(1)
    expect(writing).to_have_value("I am wri")


def test_message_of_the_host_goes_to_the_last_chat_of_a_known_visitor(
    shop: Visitor, stack: Stack, starts: Callable[[], int]
) -> None:
    page = shop.page
    shop.open(f"{MEMBERS}first?server={stack.auth_url}")
    page.get_by_role("button", name="Chat with us").click()
    say(page, "hello")
    replies = frame_of(page).locator(".row.reply[data-seq] .md")
    expect(replies).to_have_text(["hello"])
    shop.open(f"{MEMBERS}second?server={stack.auth_url}")
    page.get_by_role("button", name="Chat with us").wait_for()
    page.evaluate(f"{ELEMENT}.send('the host speaks')")
    expect(replies).to_have_text(["hello", "the host speaks"])
    assert starts() == 1


@pytest.mark.parametrize("how", SWAPS)
def test_replaced_page_keeps_the_widget_its_chat_and_its_login(
    shop: Visitor, stack: Stack, starts: Callable[[], int], how: str
) -> None:
    """The frame is not loaded again, so even an anonymous visitor continues, in mid-sentence."""
    page = shop.page
    shop.open(f"/?server={stack.auth_url}")
    page.get_by_role("button", name="Chat with us").click()
    say(page, "before")
    frame = frame_of(page)
    replies = frame.locator(".row.reply[data-seq] .md")
    expect(replies).to_have_text(["before"])
    frame.get_by_role("textbox", name="Message").fill("half a sen")
    for _ in range(2):
        swap(page, stack, how)
        expect(page.locator("iframe")).to_be_visible()
        expect(frame.get_by_role("textbox", name="Message")).to_have_value("half a sen")
    expect(page.get_by_role("button", name="Chat with us")).to_have_count(1)
    expect(page.locator("iframe")).to_have_count(1)
    say(page, "after")
    expect(replies).to_have_text(["before", "after"])
    page.evaluate(f"{ELEMENT}.close()")
    expect(page.locator("iframe")).to_be_hidden()
    assert starts() == 1


@pytest.mark.parametrize("how", SWAPS)
def test_replaced_page_keeps_a_widget_that_was_not_opened(shop: Visitor, stack: Stack, how: str) -> None:
    page = shop.page
    shop.open(f"/?server={stack.auth_url}")
    button = page.get_by_role("button", name="Chat with us")
    button.wait_for()
    for _ in range(2):
        swap(page, stack, how)
        expect(button).to_have_count(1)
    button.click()
    expect(frame_of(page).get_by_role("heading", name="Ask us anything")).to_be_visible()


def test_element_that_a_framework_renders_again_keeps_the_chat(
    shop: Visitor, stack: Stack, starts: Callable[[], int]
) -> None:
    """As React does: the element of each page is another one, and some pages have none."""
    page = shop.page
    shop.open(f"{MANUAL}?server={stack.auth_url}")
    render = """() => {
      const root = document.querySelector("main") ?? document.body.appendChild(document.createElement("main"));
      const widget = document.createElement("backchat-widget");
      widget.setAttribute("label", "Chat with us");
      widget.setAttribute("chatbot", "echo");
      root.replaceChildren(widget);
    }"""
    button = page.get_by_role("button", name="Chat with us")
    page.evaluate(render)
    button.click()
    say(page, "before")
    replies = frame_of(page).locator(".row.reply[data-seq] .md")
    expect(replies).to_have_text(["before"])
    page.evaluate(render)
    expect(replies).to_have_text(["before"])
    page.evaluate("document.querySelector('main').replaceChildren()")
    expect(button).to_have_count(0)  # that page has no widget
    page.evaluate(render)
    say(page, "after")
    expect(replies).to_have_text(["before", "after"])
    assert starts() == 1


def test_script_that_runs_repeatedly_adds_one_widget(shop: Visitor, stack: Stack) -> None:
    """In head and body, by two addresses, and after the chat was opened."""
    page = shop.page
    shop.open(f"/?server={stack.auth_url}")
    page.get_by_role("button", name="Chat with us").click()
    writing = frame_of(page).get_by_role("textbox", name="Message")
    writing.fill("half a sen")
    for place, query in (("head", ""), ("body", ""), ("head", "?version=2")):
        page.evaluate(
            """([source, place]) => new Promise((done) => {
              const script = document.createElement("script");
              Object.assign(script, { src: source, onload: () => done(0) });
              script.dataset.chatbot = "echo";
              document[place].append(script);
            })""",
            [f"{stack.auth_url}/chat/widget.js{query}", place],
        )
    expect(page.get_by_role("button")).to_have_count(1)
    expect(page.locator("backchat-widget")).to_have_count(1)
    expect(writing).to_have_value("half a sen")


def test_removed_widget_stays_away(shop: Visitor, stack: Stack) -> None:
    page = shop.page
    shop.open(f"/?server={stack.auth_url}")
    button = page.get_by_role("button", name="Chat with us")
    button.wait_for()
    page.evaluate(f"{ELEMENT}.remove()")
    expect(button).to_have_count(0)
    swap(page, stack, "htmx")
    expect(page.locator("backchat-widget")).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_refused_site_is_reported_in_the_widget_in_the_console_and_in_the_log(
    browser: Browser, stack: Stack, host_page: HostPage, language: str
) -> None:
    """The line in the widget has no jargon; the two for the site's and the server's operators name the setting."""
    texts = {"de": "Der Chat ist auf dieser Seite nicht verfügbar."}
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    stranger = host_page.origin.replace("localhost", "127.0.0.1")
    page.goto(f"{stranger}/?server={stack.auth_url}")
    page.evaluate("(language) => document.documentElement.lang = language", language)
    page.get_by_role("button", name="Chat with us").click()
    expect(page.get_by_role("alert")).to_have_text(texts.get(language, "The chat is not available on this page."))
    expect(page.locator("iframe")).to_be_hidden()
    told = [each for each in errors if "BACKCHAT_FRAME_ANCESTORS" in each]
    assert len(told) == 1
    assert stranger in told[0]
    wait_until(lambda: "frame.refused" in stack.log() and "BACKCHAT_FRAME_ANCESTORS" in stack.log())
    page.get_by_role("button", name="Chat with us").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    context.close()
