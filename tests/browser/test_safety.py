"""Limits on a script that got into the page, and on what the page loads automatically."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit

IMAGE = "https://images.example/cat.png"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b49444154789c6360000200000500017a5eab"
    "3f0000000049454e44ae426082"
)


def test_login_cannot_be_read_by_scripts(visit: Visit) -> None:
    """No storage holds a token; scripts and other sites cannot read the refresh token's cookie."""
    visitor = visit()
    visitor.register()
    visitor.new_chat("Echo", "hello")
    visitor.expect_answer()
    kept = visitor.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in kept
    assert "backchat_refresh" not in kept
    cookies = {each["name"]: each for each in visitor.context.cookies(visitor.url + "/refresh")}
    cookie = cookies["backchat_refresh"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/refresh")
    assert visitor.context.cookies(visitor.url + "/chat/") == []


def test_injected_script_does_not_run(visit: Visit) -> None:
    """The browser blocks inline scripts and handlers, foreign scripts, `eval`, and assignments of HTML."""
    visitor = visit()
    page = visitor.page
    visitor.open()
    expect(page.locator("form")).to_be_visible()
    for sink in (
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "Object.assign(document.createElement('script'), {text: 'window.__ran = 1'})",
        "Object.assign(document.createElement('script'), {src: 'https://evil.example/x.js'})",
        "document.body.setAttribute('onclick', 'window.__ran = 1')",
        "trustedTypes.createPolicy('mine', {createHTML: (text) => text})",
    ):
        assert (
            page.evaluate(f"(() => {{ try {{ {sink} }} catch (error) {{ return error.name }} }})()") == "TypeError"
        ), sink
    # What a deceived parser would leave in the page: text that was not passed to any sink.
    page.evaluate(
        """() => {
          const script = document.createElement('script');
          script.append('window.__ran = 1');
          try { document.body.append(script); } catch {}
        }"""
    )
    page.locator("body").click(position={"x": 2, "y": 2})
    assert page.evaluate("window.__ran") is None
    assert visitor.wrongs
    assert all(wrong.startswith("policy:") for wrong in visitor.wrongs)
    visitor.wrongs.clear()


def test_images_load_on_click_and_links_open_elsewhere(visit: Visit) -> None:
    """A link opens in a new tab without access to the page; an image loads on click, without a referrer."""
    visitor = visit()
    asked: list[str | None] = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("referer"))
        route.fulfill(body=PIXEL, content_type="image/png")

    visitor.context.route(IMAGE, answer)
    visitor.register()
    visitor.new_chat("Echo", f"[a link](https://example.org) and ![a cat]({IMAGE})")
    reply = visitor.expect_answer()
    link = reply.get_by_role("link", name="a link")
    expect(link).to_have_attribute("rel", re.compile(r"\bnoopener\b.*\bnoreferrer\b"))
    expect(link).to_have_attribute("target", "_blank")
    show = reply.get_by_role("button", name="Show the image “a cat” from images.example")
    expect(show).to_be_visible()
    assert asked == []
    visitor.friends = (IMAGE,)
    show.click()
    expect(reply.get_by_role("img", name="a cat")).to_have_js_property("naturalWidth", 1)
    assert asked == [None]


def test_page_is_installable(visit: Visit) -> None:
    """Chromium accepts the manifest, and the theme follows the system until it is chosen."""
    visitor = visit(color_scheme="light")
    page = visitor.page
    visitor.open()
    expect(page.locator("form")).to_be_visible()
    devtools = visitor.context.new_cdp_session(page)
    manifest = devtools.send("Page.getAppManifest")
    assert manifest["url"].endswith("/manifest.webmanifest")
    assert manifest["errors"] == []
    errors = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {each["errorId"] for each in errors} <= {"in-incognito"}  # as every visitor's profile is

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert dark != light
    page.get_by_role("button", name="Light").click()
    assert ground() == light
    page.get_by_role("button", name="System").click()
    assert ground() == dark
