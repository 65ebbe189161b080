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


async def test_token_is_reused_until_it_is_about_to_expire() -> None:
    """A token is reused until it is about to expire or a renewal is requested."""
    now = 0.0
    login = Login(accounts(grants(iter("abcd"))), "ada", "passcode", clock=lambda: now)
    assert [await login(renew=False), await login(renew=False)] == ["a", "a"]
    assert await login(renew=True) == "b"
    now = 869.0
    assert await login(renew=False) == "b"
    now = 870.0
    assert await login(renew=False) == "c"


async def test_login_is_refreshed_and_repeated_only_after_it_has_ended() -> None:
    """The passcode is sent again only when the refresh token is refused; a lost answer does not end the login."""
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
async def test_permanent_refusal_raises_not_signed_in(code: str) -> None:
    """A permanent refusal stops the client."""
    with pytest.raises(NotSignedIn) as refused:
        await Login(accounts(problem(401, code)), "ada", "passcode")(renew=False)
    assert (refused.value.code, refused.value.detail) == (code, "Why.")


@pytest.mark.parametrize(("status", "code"), [(429, "rate_limited"), (503, "unavailable")])
async def test_temporary_refusal_has_retry_after(status: int, code: str) -> None:
    """A temporary refusal is raised with its `retry_after`."""
    with pytest.raises(Refused) as refused:
        await Login(accounts(problem(status, code, **{"Retry-After": "7"})), "ada", "passcode")(renew=False)
    assert not isinstance(refused.value, NotSignedIn)
    assert (refused.value.code, refused.value.retry_after) == (code, 7.0)


async def test_answer_of_a_proxy_is_unknown() -> None:
    """An HTML answer of a proxy and a broken connection say nothing about the account."""

    def broken(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    for handler in (lambda _: httpx2.Response(502, text="<html>"), broken):
        with pytest.raises(Unknown):
            await Login(accounts(handler), "ada", "passcode")(renew=False)
