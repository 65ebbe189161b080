"""Bots behind webhooks: a server of Rasa's shape, one of ours, and addresses that must not be reached."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook as Receiver

from chatbot_worker.kinds.webhook import WebhookOptions, make
from tests.integration.chatbot_kinds.conftest import Ask
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.support.model_server import Answer, Asked, Script, Wire
from tests.unit.chatbot_worker.kinds.asking import ask as reply_of
from tests.unit.chatbot_worker.kinds.asking import said

LIMITS = "limits = {first_token = 30, between_tokens = 30, total = 50, attempts = 1}"
SECRET = "whsec_" + "c2VjcmV0" * 5
LOOPBACK = 'allow = ["127.0.0.0/8"]'


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def entry(wire: Wire, shape: str = "native", more: str = LOOPBACK, limits: str = LIMITS) -> str:
    signed = 'secret = "HOOK_SECRET", ' if shape == "native" else ""
    url = f"{wire.url}/webhooks/rest/webhook"
    return f'kind = "webhook"\n{limits}\noptions = {{url = "{url}", shape = "{shape}", {signed}{more}}}'


def rasa(*messages: dict[str, Any]) -> Script:
    """Answers as Rasa's REST channel does: to the sender, in a list."""

    async def script(asked: Asked, answer: Answer) -> None:
        sender = asked.json()["sender"]
        await answer.whole([{"recipient_id": sender, **message} for message in messages])

    return script


async def test_any_rasa_server_is_a_chatbot(ask: Ask, wire: Wire) -> None:
    """Texts, pictures as addresses, buttons as a list; the conversation is the sender."""
    wire.script = rasa(
        {"text": "Hello."},
        {"image": "https://x.example/i.png"},
        {"text": "So?", "buttons": [{"title": "Yes"}]},
        {"custom": {}},
    )
    reply = await ask(entry(wire, "rasa"), "Hi!")
    assert (reply.status, reply.content) == ("complete", "Hello.\n\nhttps://x.example/i.png\n\nSo?\n- Yes")
    [asked] = wire.asked
    assert asked.path == "/webhooks/rest/webhook"
    assert asked.json()["sender"] == str(reply.session_id)
    assert asked.json()["message"] == "Hi!"
    assert asked.headers["host"] == f"127.0.0.1:{wire.port}"


async def test_typed_title_of_a_button_sends_its_payload(ask: Ask, wire: Wire) -> None:
    """In the session that was shown it, whatever the case; other words and other sessions send what was typed."""
    chatbot = make(WebhookOptions(url=f"{wire.url}/", shape="rasa", allow=("127.0.0.0/8",)))
    wire.script = rasa(
        {"text": "Which size?", "buttons": [{"title": "Small", "payload": '/size{"s": 1}'}, {"title": "Big"}]},
        {"text": "Or?", "quick_replies": [{"title": "Not now", "payload": "/later", "type": "reply"}]},
        {"buttons": [{"title": "Help", "url": "https://x.example/", "type": "web_url"}]},
    )
    shown = "Which size?\n- Small\n- Big\n\nOr?\n- Not now\n\n- Help: https://x.example/"
    session = uuid4()
    for words, sent in (
        ("Small", "Small"),  # nothing was shown yet
        ("Small", '/size{"s": 1}'),
        ("@bot - small ", '/size{"s": 1}'),
        ("not  NOW", "/later"),
        ("Big", "Big"),
        ("Help", "Help"),
        ("Smaller", "Smaller"),
    ):
        assert (await reply_of(chatbot, said(("ada", words), session_id=session))).content == shown
        assert wire.asked[-1].json()["message"] == sent
    await reply_of(chatbot, said(("ada", "Small")))
    assert wire.asked[-1].json()["message"] == "Small"
    wire.script = rasa({"text": "Fine."})
    await reply_of(chatbot, said(("ada", "Small"), session_id=session))
    await reply_of(chatbot, said(("ada", "Small"), session_id=session))
    assert wire.asked[-1].json()["message"] == "Small"


@pytest.mark.parametrize(
    ("custom", "content"),
    [
        ({"text": "Hello."}, "Hello."),
        ("Hello.", "Hello."),
        ({"n": 1}, '```json\n{\n  "n": 1\n}\n```'),
    ],
)
async def test_answer_with_only_custom_data_is_shown(ask: Ask, wire: Wire, custom: Any, content: str) -> None:
    """Next to text it is for other frontends."""
    wire.script = rasa({"custom": custom})
    reply = await ask(entry(wire, "rasa"))
    assert (reply.status, reply.content) == ("complete", content)
    wire.script = rasa({"custom": custom}, {"text": "Fine."})
    assert (await ask(entry(wire, "rasa"))).content == "Fine."


@pytest.mark.parametrize("body", [b"[]", b"", b'[{"recipient_id": "x", "custom": {}}]', b"\n"])
async def test_answer_without_content_is_silence(ask: Ask, wire: Wire, body: bytes) -> None:
    """A silent action of Rasa; it is neither a failure nor tried again."""
    wire.script = lambda _, answer: answer.whole(body)
    reply = await ask(entry(wire, "rasa"))
    assert (reply.status, reply.error, reply.content, len(wire.asked)) == ("complete", None, "", 1)


async def test_answer_of_rasa_may_stream(ask: Ask, wire: Wire, bus: FakeBus) -> None:
    """With `?stream=true`: one JSON object on each line, labelled as an event stream; nothing is silence."""
    lines = b'{"recipient_id": "x", "text": "One."}\n', b'{"recipient_id": "x", "text": "Two."}\n'

    async def script(_asked: Asked, answer: Answer) -> None:
        await answer.head()
        for line in lines:
            await answer.raw(line)

    wire.script = script
    reply = await ask(f"delta_interval = 0\n{entry(wire, 'rasa')}")
    assert (reply.status, reply.content) == ("complete", "One.\n\nTwo.")
    assert [delta.text for delta in bus.deltas()] == ["One.", "\n\nTwo."]
    lines = (b"", b"")
    reply = await ask("")
    assert (reply.status, reply.content) == ("complete", "")


@pytest.mark.parametrize("body", [b'{"status": "failure"}', b"[1]", b'["x"]', b"oops", b"<html>"])
async def test_answer_that_is_not_rasas_fails(ask: Ask, wire: Wire, body: bytes) -> None:
    wire.script = lambda _, answer: answer.whole(body)
    reply = await ask(entry(wire, "rasa"))
    assert reply.error is not None
    assert reply.error.code == "provider_failed"


@pytest.mark.parametrize("status", [200, 201, 202, 226])
@pytest.mark.parametrize("shape", ["native", "rasa"])
async def test_any_2xx_is_success(ask: Ask, wire: Wire, status: int, shape: str) -> None:
    wire.script = lambda _, answer: answer.whole({"text": "Hi."} if shape == "native" else [{"text": "Hi."}], status)
    reply = await ask(entry(wire, shape))
    assert (reply.status, reply.content) == ("complete", "Hi.")


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_native_answer_without_a_body_is_silence(ask: Ask, wire: Wire, status: int) -> None:
    """Standard Webhooks: any 2xx is success."""
    wire.script = lambda _, answer: answer.whole(b"", status)
    reply = await ask(entry(wire))
    assert (reply.status, reply.error, reply.content, len(wire.asked)) == ("complete", None, "", 1)


async def test_a_native_webhook_is_signed_and_named_by_its_reply(ask: Ask, wire: Wire) -> None:
    """A receiver checks it with any library of Standard Webhooks, and knows a repetition by its id."""
    scripts: list[Script] = [
        lambda _, answer: answer.whole({}, 503),
        lambda _, answer: answer.whole({"text": "Hello."}),
    ]

    async def script(asked: Asked, answer: Answer) -> None:
        await scripts[len(wire.asked) - 1](asked, answer)

    wire.script = script
    reply = await ask(entry(wire, limits=LIMITS.replace("attempts = 1", "attempts = 2")), "Hi!")
    assert (reply.status, reply.content, len(wire.asked)) == ("complete", "Hello.", 2)
    for asked in wire.asked:
        told = Receiver(SECRET).verify(asked.body, asked.headers)
        assert asked.headers["webhook-id"] == asked.headers["idempotency-key"] == str(reply.message_id)
        assert told["type"] == "backchat.turn"
        [message] = told["data"]["messages"]
        assert (message["content"], message["sender_id"], message["unanswered"]) == ("Hi!", "ada", True)


async def _streams(_asked: Asked, answer: Answer) -> None:
    await answer.head()
    await answer.event({"text": "Hel"})
    await answer.event({"text": "lo."})
    await answer.raw(b"event: done\ndata: {}\n\n")


async def _breaks_off(_asked: Asked, answer: Answer) -> None:
    await answer.head()
    await answer.event({"text": "Hel"})


async def _errs(_asked: Asked, answer: Answer) -> None:
    await answer.head()
    await answer.raw(b'event: error\ndata: {"message": "boom"}\n\n')


@pytest.mark.parametrize(
    ("script", "status", "code", "content"),
    [
        (_streams, "complete", None, "Hello."),
        (_breaks_off, "failed", "reply_interrupted", "Hel"),
        (_errs, "failed", "provider_failed", ""),
        (lambda _, answer: answer.whole(b"x" * 2_000), "failed", "provider_failed", ""),
        (lambda _, answer: answer.whole({"words": 1}), "failed", "provider_failed", ""),
        (
            lambda _, answer: answer.whole({}, 307, "Location: http://127.0.0.1/\r\n"),
            "failed",
            "provider_misconfigured",
            "",
        ),
        (lambda _, answer: answer.whole({}, 422), "failed", "provider_refused", ""),
    ],
)
async def test_how_answers_end(
    ask: Ask, wire: Wire, script: Script, status: str, code: str | None, content: str
) -> None:
    """Streams say when they are done; redirects lead nowhere; 1,000 bytes are enough here."""
    wire.script = script
    reply = await ask(entry(wire, more=f"{LOOPBACK}, max_bytes = 1000"))
    assert (reply.status, reply.error and reply.error.code, reply.content) == (status, code, content)
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "[::1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_private_addresses_are_not_reached(wire: Wire, ask: Ask, host: str, scheme: str) -> None:
    """However they are written: there is no connection."""
    toml = entry(wire, more="").replace("http://127.0.0.1", f"{scheme}://{host}").replace(", }", "}")
    reply = await ask(toml)
    assert reply.error is not None
    assert reply.error.code in {"provider_misconfigured", "provider_unavailable"}
    assert wire.connections == 0


async def test_the_address_that_was_judged_is_the_one_that_is_reached(
    wire: Wire, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is resolved once, so it cannot mean something else a moment later; the bot still hears its name."""
    resolved: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        resolved.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    wire.script = lambda _, answer: answer.whole({"text": "Hello."})
    reply = await ask(entry(wire).replace("127.0.0.1:", "bot.example:"))
    assert reply.content == "Hello."
    assert resolved == ["bot.example"]
    assert wire.asked[0].headers["host"] == f"bot.example:{wire.port}"


async def test_tls_is_for_the_name_and_not_for_the_address(
    ask: Ask, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection uses the address, SNI contains the name, and an untrusted certificate fails the request."""

    async def getaddrinfo(_host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    named: list[str | None] = []
    context = self_signed(tmp_path)
    context.sni_callback = lambda _socket, name, _context: named.append(name)
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())

    server = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    wire.port = server.sockets[0].getsockname()[1]
    reply = await ask(entry(wire).replace("http://127.0.0.1:", "https://bot.example:"))
    assert reply.error is not None
    assert (reply.error.code, named, heard) == ("provider_unavailable", ["bot.example"], [])
    server.close()


def self_signed(directory: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate for bot.example."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bot.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("bot.example")]), critical=False)
        .sign(key, None)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "bot.pem").write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "bot.pem")
    return context


def test_a_native_webhook_without_a_secret_is_a_mistake() -> None:
    """It is always signed."""
    with pytest.raises(ValueError, match="is signed"):
        WebhookOptions(url="https://bot.example/")


@pytest.mark.parametrize(
    "key", [bytes(range(24)), b"\xfb\xff\xbf" * 9, bytes(range(200, 232)), b"\xff" * 64], ids=["24", "27", "32", "64"]
)
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("padded", [True, False])
def test_secret_may_be_in_either_alphabet_of_base64(
    key: bytes,
    encode: Callable[[bytes], bytes],
    padded: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It signs with the same key, padded or not."""
    text = encode(key).decode()
    monkeypatch.setenv("HOOK_SECRET", f"whsec_{text if padded else text.rstrip('=')}")
    chatbot = make(WebhookOptions(url="https://bot.example/", secret="HOOK_SECRET"))
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert chatbot._signer is not None
    assert chatbot._signer.sign("id", now, "{}") == Receiver(key).sign("id", now, "{}")


@pytest.mark.parametrize(
    "value",
    [
        "whsec_!!!!!!!!",
        "whsec_c2hvcnQ=",
        "ein schlüsselbund",
        "whsec_" + "AAAA" * 8 + "+/-_",
        "whsec_" + "AAAA" * 8 + "A",
        "whsec_" + "AA AA" * 8,
        "whsec_" + "AAAA=" * 8,
    ],
)
def test_a_secret_that_cannot_sign(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at the start, without the secret."""
    monkeypatch.setenv("HOOK_SECRET", value)
    with pytest.raises(ValueError, match=r"options\.secret: after whsec_ there must be 24 bytes") as error:
        make(WebhookOptions(url="https://bot.example/", secret="HOOK_SECRET"))
    assert value.removeprefix("whsec_") not in str(error.value)
