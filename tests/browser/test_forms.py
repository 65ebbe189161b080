"""Refused and lost registrations: a text, and nothing that was typed is lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PASSCODE


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
