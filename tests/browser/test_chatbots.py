"""Chatbots: their cards from the catalogue, a change in mid chat, and a missing worker."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.model import Model
from tests.browser.wire import Wire


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
