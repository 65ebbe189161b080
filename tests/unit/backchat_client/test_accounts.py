"""Login and its refusals, over a transport without a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx2
import pytest

from backchat_client.errors import NotSignedIn, Refused, Unknown
from backchat_client.transport.accounts import Accounts, Login

Handler = Callable[[httpx2.Request], httpx2.Response]


def accounts(handler: Handler) -> Accounts:
    found = Accounts("http://auth")
    found._http = httpx2.AsyncClient(base_url="http://auth", transport=httpx2.MockTransport(handler))
    return found


def problem(status: int, code: str, **headers: str) -> Handler:
    return lambda _: httpx2.Response(status, json={"code": code, "detail": "Why."}, headers=headers)


def grants(tokens: Iterator[str]) -> Handler:
    return lambda _: httpx2.Response(200, json={"access_token": next(tokens), "expires_in": 900})


async def test_one_login_lasts() -> None:
    """A token is handed out until it is about to expire, or until a new one is asked for."""
    now = 0.0
    login = Login(accounts(grants(iter("abcd"))), "ada", "passcode", clock=lambda: now)
    assert [await login(renew=False), await login(renew=False)] == ["a", "a"]
    assert await login(renew=True) == "b"
    now = 869.0
    assert await login(renew=False) == "b"
    now = 870.0
    assert await login(renew=False) == "c"


async def test_a_login_goes_on_with_its_refresh_token_and_anew_when_it_has_ended() -> None:
    """The passcode is shown again only when nothing else helps; a lost answer ends nothing."""
    asked: list[tuple[str, str | None]] = []
    answers = iter(["a1", "b2", "?", "c3", "!", "d4"])

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append((request.url.path, json.loads(request.content).get("refresh_token")))
        answer = next(answers)
        if answer == "?":
            raise httpx2.ConnectError("gone")
        if answer == "!":
            return httpx2.Response(401, json={"code": "token_invalid"})
        return httpx2.Response(200, json={"access_token": answer[0], "refresh_token": answer[1], "expires_in": 900})

    login = Login(accounts(handler), "ada", "passcode")
    assert [await login(renew=True), await login(renew=True)] == ["a", "b"]
    with pytest.raises(Unknown):
        await login(renew=True)
    assert [await login(renew=True), await login(renew=True)] == ["c", "d"]
    assert asked == [
        ("/login", None),
        ("/refresh", "1"),
        ("/refresh", "2"),
        ("/refresh", "2"),
        ("/refresh", "3"),
        ("/login", None),
    ]


@pytest.mark.parametrize("code", ["invalid_credentials", "invalid_request", "forbidden"])
async def test_hopeless(code: str) -> None:
    """What no repetition mends stops the client."""
    with pytest.raises(NotSignedIn) as refused:
        await Login(accounts(problem(401, code)), "ada", "passcode")(renew=False)
    assert (refused.value.code, refused.value.detail) == (code, "Why.")


@pytest.mark.parametrize(("status", "code"), [(429, "rate_limited"), (503, "unavailable")])
async def test_passing(status: int, code: str) -> None:
    """What passes is told with how long to wait."""
    with pytest.raises(Refused) as refused:
        await Login(accounts(problem(status, code, **{"Retry-After": "7"})), "ada", "passcode")(renew=False)
    assert not isinstance(refused.value, NotSignedIn)
    assert (refused.value.code, refused.value.retry_after) == (code, 7.0)


async def test_a_proxy_that_is_no_server() -> None:
    """HTML from something in between is no verdict on the account, nor is a broken connection."""

    def broken(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    for handler in (lambda _: httpx2.Response(502, text="<html>"), broken):
        with pytest.raises(Unknown):
            await Login(accounts(handler), "ada", "passcode")(renew=False)
