"""A browser's way through a login by a provider, without a browser."""

from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.integration.auth_service.conftest import Running
from tests.support.oidc_provider import CLIENT, SECRET

REDIRECT = "http://auth/oidc/callback"


def configured(issuer: str, **more: Any) -> dict[str, Any]:
    ours = {"oidc_client_id": CLIENT, "oidc_client_secret": SECRET, "oidc_redirect_uri": REDIRECT}
    return {"oidc_issuer": issuer, **ours, **more}


def cookies_of(answer: httpx2.Response) -> dict[str, str]:
    """The cookies that a response sets."""
    found = SimpleCookie("; ".join(line.partition(";")[0] for line in answer.headers.get_list("set-cookie")))
    return {name: morsel.value for name, morsel in found.items()}


async def depart(auth: Running, path: str = "/oidc/login", cookie: str = "") -> tuple[str, str]:
    """Where the provider is, and the cookies, for the header of a request."""
    answer = await auth.client.get(path, headers={"Cookie": cookie} if cookie else {})
    assert answer.status_code == 303, answer.text
    auth.client.cookies.clear()
    cookies = cookies_of(answer)
    return answer.headers["location"], "; ".join(f"{name}={value}" for name, value in cookies.items() if value)


async def approve(location: str, user: str, fault: str = "") -> str:
    """The path and query that the provider redirects the browser to."""
    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(location, params={**query_of(location), "user": user, "fault": fault})
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(REDIRECT)
    return answer.headers["location"].removeprefix("http://auth")


def query_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def arrive(auth: Running, path: str, cookie: str) -> httpx2.Response:
    answer = await auth.client.get(path, headers={"Cookie": cookie})
    auth.client.cookies.clear()
    return answer


async def log_in(auth: Running, user: str, fault: str = "", path: str = "/oidc/login") -> httpx2.Response:
    location, cookie = await depart(auth, path)
    return await arrive(auth, await approve(location, user, fault), cookie)


async def user_of(auth: Running, answer: httpx2.Response) -> dict[str, Any]:
    """Who the page is after it has used its cookie, as a browser would."""
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].endswith("#logged-in")
    refreshed = await auth.client.post("/refresh", headers=page_headers(answer))
    assert refreshed.status_code == 200, refreshed.text
    found: dict[str, Any] = (await auth.ask("GET", "/me", refreshed.json())).json()
    auth.client.cookies.clear()
    return found


def page_headers(answer: httpx2.Response) -> dict[str, str]:
    """Those of the page's request for an access token."""
    headers = {"X-Backchat-Session": "cookie", "Origin": "http://auth"}
    return headers | {"Cookie": f"backchat_refresh={cookies_of(answer)['backchat_refresh']}"}


def assert_failed(answer: httpx2.Response, reason: str, target: str = "/chat/") -> None:
    """The browser is on the page, with a reason that the page has words for, and is not logged in."""
    assert (answer.status_code, answer.headers["location"]) == (303, f"{target}#login-error={reason}")
    assert "backchat_refresh" not in cookies_of(answer)
