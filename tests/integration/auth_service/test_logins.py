"""Refreshing, listing and ending logins, changing the passcode (contract.md §1.3), as a client sees it."""

import asyncio
from typing import Any

import jwt
import pytest

from tests.integration.auth_service.conftest import GOOD, Running, assert_problem
from tests.integration.auth_service.test_routes import RFC3339
from tests.support.waiting import until


def sid_of(tokens: dict[str, Any]) -> str:
    return str(jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"])


@pytest.fixture
async def first(auth: Running) -> dict[str, Any]:
    """The tokens of the first login of Alice."""
    await auth.register("alice")
    return await auth.tokens("alice", **{"User-Agent": "Firefox on \x7fTuesday " + "x" * 500})


async def test_refresh_rotates_the_token(auth: Running, first: dict[str, Any]) -> None:
    answer = await auth.refresh(first)
    assert answer.status_code == 200
    second = answer.json()
    assert set(second) == set(first)
    assert second["refresh_token"] != first["refresh_token"]
    assert (second["expires_in"], second["refresh_expires_in"]) == (900, 2_592_000)
    assert sid_of(second) == sid_of(first)
    assert (await auth.ask("GET", "/me", second)).status_code == 200
    assert (await auth.ask("GET", "/me", first)).status_code == 200, "its access token runs on"


async def test_refresh_with_a_lost_answer_can_be_repeated(auth: Running, first: dict[str, Any]) -> None:
    second = (await auth.refresh(first)).json()
    again = await auth.refresh(first)
    assert again.status_code == 200
    assert again.json()["refresh_token"] == second["refresh_token"]
    third = await auth.refresh(second)
    assert third.status_code == 200


async def test_reuse_of_an_old_token_ends_the_login(auth: Running, first: dict[str, Any]) -> None:
    """The successor was used, so the answer had arrived: a second use of the old token shows a theft."""
    other = await auth.tokens("alice")
    second = (await auth.refresh(first)).json()
    third = (await auth.refresh(second)).json()
    assert_problem(await auth.refresh(first), 401, "token_invalid")
    for tokens in (first, second, third):
        assert_problem(await auth.refresh(tokens), 401, "token_invalid")
        assert_problem(await auth.ask("GET", "/me", tokens), 401, "token_invalid")
    assert (await auth.ask("GET", "/me", other)).status_code == 200, "another login has nothing to do with it"


@pytest.mark.parametrize("token", ["x", "x" * 43, "ü" * 43, "-" * 256])
async def test_invalid_refresh_token_is_refused(auth: Running, first: dict[str, Any], token: str) -> None:
    assert_problem(await auth.refresh({"refresh_token": token}), 401, "token_invalid")
    assert_problem(await auth.refresh({"refresh_token": first["access_token"][:256]}), 401, "token_invalid")


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": 1}, {"refresh_token": "x" * 257}])
async def test_malformed_refresh_is_an_invalid_request(auth: Running, body: dict[str, Any]) -> None:
    assert_problem(await auth.client.post("/refresh", json=body), 422, "invalid_request")


async def test_logout_ends_this_login_at_once(auth: Running, first: dict[str, Any]) -> None:
    other = await auth.tokens("alice")
    answer = await auth.ask("POST", "/logout", first)
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await auth.ask("GET", "/me", first), 401, "token_invalid")
    assert_problem(await auth.ask("POST", "/logout", first), 401, "token_invalid")
    assert_problem(await auth.refresh(first), 401, "token_invalid")
    assert (await auth.refresh(other)).status_code == 200


async def test_logout_all_ends_every_login_of_this_user(auth: Running, first: dict[str, Any]) -> None:
    await auth.register("bob")
    others, bob = [await auth.tokens("alice") for _ in range(2)], await auth.tokens("bob")
    assert (await auth.ask("POST", "/logout/all", first)).status_code == 204
    for tokens in (first, *others):
        assert_problem(await auth.ask("GET", "/me", tokens), 401, "token_invalid")
        assert_problem(await auth.refresh(tokens), 401, "token_invalid")
    assert (await auth.ask("GET", "/me", bob)).status_code == 200
    assert (await auth.login("alice")).status_code == 200


async def test_user_lists_and_ends_own_logins(auth: Running, first: dict[str, Any]) -> None:
    await auth.register("bob")
    bob, second = await auth.tokens("bob"), await auth.tokens("alice", **{"User-Agent": ""})
    await auth.refresh(first)
    listed = (await auth.ask("GET", "/me/logins", first)).json()["logins"]
    assert [login["sid"] for login in listed] == [sid_of(first), sid_of(second)], "last used first"
    assert [login["current"] for login in listed] == [True, False]
    assert listed[0]["device"].startswith("Firefox on Tuesday x")
    assert len(listed[0]["device"]) == 200
    assert listed[1]["device"] is None
    assert all(RFC3339.fullmatch(listed[0][name]) for name in ("created_at", "last_used_at", "expires_at"))
    for sid in ("nonsense", sid_of(bob), "b9a5b6f6-43cf-4bd4-8c0e-6a4e29ab4c3f"):
        assert_problem(await auth.ask("DELETE", f"/me/logins/{sid}", first), 404, "not_found")
    assert (await auth.ask("DELETE", f"/me/logins/{sid_of(second)}", first)).status_code == 204
    assert_problem(await auth.ask("DELETE", f"/me/logins/{sid_of(second)}", first), 404, "not_found")
    assert_problem(await auth.ask("GET", "/me", second), 401, "token_invalid")
    assert (await auth.ask("GET", "/me", bob)).status_code == 200


async def test_new_passcode_ends_every_other_login(auth: Running, first: dict[str, Any]) -> None:
    other = await auth.tokens("alice")
    form = {"current_passcode": GOOD, "new_passcode": "another horse"}
    assert (await auth.ask("PUT", "/me/passcode", first, json=form)).status_code == 204
    assert (await auth.ask("GET", "/me", first)).status_code == 200
    assert (await auth.refresh(first)).status_code == 200
    assert_problem(await auth.ask("GET", "/me", other), 401, "token_invalid")
    assert_problem(await auth.login("alice"), 401, "invalid_credentials")
    assert (await auth.login("alice", "another horse")).status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "status", "code"),
    [
        ("wrong horse", "another horse", 401, "invalid_credentials"),
        (GOOD, "password", 422, "weak_passcode"),
        (GOOD, "ALICE", 422, "invalid_request"),
        (GOOD, "seven77", 422, "invalid_request"),
    ],
)
async def test_passcode_change_requires_the_current_and_a_strong_new_one(
    auth: Running, first: dict[str, Any], current: str, new: str, status: int, code: str
) -> None:
    form = {"current_passcode": current, "new_passcode": new}
    assert_problem(await auth.ask("PUT", "/me/passcode", first, json=form), status, code)
    assert (await auth.login("alice")).status_code == 200


async def test_one_of_concurrent_passcode_changes_succeeds(auth: Running, first: dict[str, Any]) -> None:
    forms = [{"current_passcode": GOOD, "new_passcode": f"another horse {n}"} for n in range(4)]
    answers = await asyncio.gather(*(auth.ask("PUT", "/me/passcode", first, json=form) for form in forms))
    assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401]
    (winner,) = [n for n, answer in enumerate(answers) if answer.status_code == 204]
    assert (await auth.login("alice", f"another horse {winner}")).status_code == 200


async def test_internal_route_lists_every_revocation(auth: Running, first: dict[str, Any]) -> None:
    """Within a second, with the time until which the revocation matters."""
    second = await auth.tokens("alice")

    async def revocations(cursor: str | None, *sids: str) -> dict[str, Any]:
        """Return the first answer that has all of `sids`."""
        answer: dict[str, Any] = {}

        async def complete() -> bool:
            asked = await auth.client.get("/internal/revocations", params={"cursor": cursor} if cursor else {})
            answer.update(asked.json())
            return asked.status_code == 200 and set(sids) <= {login["sid"] for login in answer["logins"]}

        await until(complete, 30, every=0.02)
        return answer

    begun = await revocations(None)
    assert begun["logins"] == []
    await auth.ask("POST", "/logout", first)
    news = await revocations(begun["cursor"], sid_of(first))
    expires = jwt.decode(first["access_token"], options={"verify_signature": False})["exp"]
    assert news["logins"] == [{"sid": sid_of(first), "until": expires}]
    await auth.ask("POST", "/logout", second)
    assert [login["sid"] for login in (await revocations(news["cursor"], sid_of(second)))["logins"]] == [sid_of(second)]
    for strange in (None, "", "nonsense", "a.b.c", "0.0.0", "a." + "9" * 400 + ".1"):
        assert len((await revocations(strange))["logins"]) == 2
