"""Answers of chat completions endpoints, sent by a real local server, and what a chat shows of them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from chatbot_worker.chatbots.protocol import Reasoning, ReplyError, on_progress
from chatbot_worker.kinds.wire import assembly, failures
from chatbot_worker.kinds.wire.refusals import ContextOverflow
from tests.support.model_answers import (
    COMPLETE,
    DONE,
    NOT_FINISHED,
    REASONING,
    STOP,
    Case,
    chunk,
    raw,
    streams,
)
from tests.support.model_refusals import REFUSALS, Refusal, says
from tests.support.model_server import JSON, Answer, Asked, Script, Wire
from tests.support.waiting import pause
from tests.unit.chatbot_worker.kinds.asking import ask, model, said

CASES = {**COMPLETE, **REASONING, **NOT_FINISHED}
VIEWS = {
    "misconfigured": failures.NOT_SET_UP,
    "busy": failures.BUSY,
    "filtered": failures.FILTERED,
    "refused": failures.REFUSED,
    "failed": failures.BROKEN,
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_answer_is_shown_as_it_is_meant(wire: Wire, case: Case) -> None:
    wire.script = case.script
    outcome = await ask(model(wire))
    expected = case.expected
    assert (outcome.content, outcome.code, outcome.reasoning.strip()) == (
        expected.content,
        expected.code,
        expected.reasoning,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_answer_is_the_same_when_it_arrives_byte_by_byte(wire: Wire, case: Case) -> None:
    sent = bytearray()

    async def script(asked: Asked, answer: Answer) -> None:
        async def keep(data: bytes) -> None:
            sent.extend(data)

        raw_, answer.raw = answer.raw, keep  # type: ignore[method-assign]
        await case.script(asked, answer)
        head, _, body = bytes(sent).partition(b"\r\n\r\n")
        await raw_(head + b"\r\n\r\n")
        for number in range(len(body)):
            await raw_(body[number : number + 1])
            await asyncio.sleep(0)

    wire.script = script
    outcome = await ask(model(wire))
    assert (outcome.content, outcome.code) == (case.expected.content, case.expected.code)


async def test_model_that_only_closes_blocks_streams_its_reasoning_from_then_on(wire: Wire) -> None:
    """The first reply shows its reasoning as text until the tag comes; later ones do not."""
    chatbot = model(wire)
    wire.script = streams(chunk("I think."), chunk("</think>"), chunk("Hello."), STOP)
    assert (await ask(chatbot)).pieces[0] == "I think."
    second = await ask(chatbot)
    assert second.pieces == [Reasoning("I think."), "Hello."]
    wire.script = streams(chunk("Hel"), chunk("lo."), STOP)
    third, fourth = await ask(chatbot), await ask(chatbot)
    assert (third.content, third.reasoning, fourth.pieces) == ("Hello.", "", ["Hel", "lo."])


async def test_reasoning_in_a_field_is_no_part_of_the_answer_after_a_reply_that_only_closed_a_block(wire: Wire) -> None:
    """A parser of the server that fails for one reply leaves its closing tag in the text."""
    chatbot = model(wire)
    wire.script = streams(chunk("I think.</think>Hello."), STOP)
    await ask(chatbot)
    wire.script = streams(chunk(reasoning="I think."), chunk("Hel"), chunk("lo."), STOP)
    assert (await ask(chatbot)).pieces == [Reasoning("I think."), "Hel", "lo."]
    for delta in (chunk("Hel", reasoning="I think."), chunk("Hel")):
        wire.script = streams(chunk("I think.</think>Hello."), STOP)
        await ask(chatbot)
        wire.script = streams(delta, chunk("lo.", reasoning=" Still."), STOP)
        outcome = await ask(chatbot)
        assert outcome.content == "Hello."
        assert outcome.reasoning.endswith(" Still.")


async def test_tag_in_code_is_text(wire: Wire) -> None:
    for text in (
        "Use `<think>` and `</think>`.",
        "```\n<think>\nx\n</think>\n```\nDone.",
        "It opens with `<think>` and `a</think>` closes.",
        "The tag <think> is never closed here.",
    ):
        wire.script = streams(*map(chunk, text), STOP)
        outcome = await ask(model(wire))
        assert (outcome.content, outcome.reasoning) == (text, "")


async def test_character_in_two_halves_is_passed_on(wire: Wire) -> None:
    wire.script = streams(
        raw(r'{"choices": [{"delta": {"content": "\ud83d"}}]}'),
        raw(r'{"choices": [{"delta": {"content": "\ude00"}}]}'),
        STOP,
    )
    assert (await ask(model(wire))).content == "\ud83d\ude00"


async def test_done_without_a_reason_is_no_end_of_an_endpoint_that_gives_reasons(wire: Wire) -> None:
    """A server that has never sent the field is believed."""
    text = {"choices": [{"delta": {"content": "Hel"}}]}
    chatbot = model(wire)
    wire.script = streams(text, DONE)
    assert (await ask(chatbot)).code is None
    wire.script = streams(text, STOP, DONE)
    assert (await ask(chatbot)).code is None
    wire.script = streams(text, DONE)
    assert (await ask(chatbot)).code == "reply_interrupted"


async def test_reply_is_complete_although_the_server_keeps_the_connection_open(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "AFTER_EMPTY_LAST", 0.05)

    async def script(asked: Asked, answer: Answer) -> None:
        await streams(chunk("Hello."), STOP)(asked, answer)
        await answer.hang()

    wire.script = script
    assert (await ask(model(wire))).code is None


@pytest.mark.parametrize("cut", [b"", b"1a\r\ndata: {"])
async def test_connection_that_breaks_after_the_reason_breaks_nothing_off(wire: Wire, cut: bytes) -> None:
    async def script(_asked: Asked, answer: Answer) -> None:
        await answer.raw(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (raw(chunk("Hello.")), raw(STOP)):
            await answer.raw(b"%x\r\n%b\r\n" % (len(event), event))
        await answer.raw(cut)

    wire.script = script
    assert (await ask(model(wire))).code is None


async def test_comments_and_reasoning_are_signs_of_life(wire: Wire) -> None:
    signs: list[None] = []
    on_progress(lambda: signs.append(None))

    async def script(_asked: Asked, answer: Answer) -> None:
        await answer.head()
        for sent in (b": ping\n\n", raw(chunk(reasoning="I think.")), b": ping\n\n", raw(chunk("Hello.")), raw(STOP)):
            await answer.raw(sent)
            await pause(0.01, "each sign is a part of its own")

    wire.script = script
    await ask(model(wire))
    assert len(signs) >= 5


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_error_response_is_classified(wire: Wire, refusal: Refusal) -> None:
    wire.script = refusal_script(refusal)
    outcome = await ask(model(wire), said(("ada", "Hi.")))
    assert isinstance(outcome.error, ReplyError)
    if refusal.kind == "too long":
        assert isinstance(outcome.error, ContextOverflow)
    else:
        assert outcome.error.view is VIEWS[refusal.kind]
    assert outcome.error.refused is (refusal.kind in {"too long", "filtered", "refused"})
    assert outcome.error.reason.startswith(f"status {refusal.status}")
    for word in (" limit", "lease ", " maximum", "does not"):  # of the message, which may quote people
        assert word not in outcome.error.reason


def refusal_script(refusal: Refusal) -> Script:
    body = refusal.body or json.dumps(refusal.error).encode()
    return lambda _, answer: answer.whole(body, refusal.status, refusal.headers)


@pytest.mark.parametrize("name", [name for name, refusal in REFUSALS.items() if refusal.kind == "too long"])
async def test_prompt_that_is_too_long_is_shortened_and_sent_again(wire: Wire, name: str) -> None:
    refuse = refusal_script(REFUSALS[name])

    async def script(asked: Asked, answer: Answer) -> None:
        accept = streams(chunk("Hello."), STOP)
        await (accept if len(asked.body) < 4_000 else refuse)(asked, answer)

    wire.script = script
    chatbot = model(wire)
    long = [("ada", "word " * 300), ("bot", "word " * 300), ("ada", "And now?")]
    assert (await ask(chatbot, said(*long * 2))).content == "Hello."
    tries = len(wire.asked)
    assert tries > 1
    assert wire.asked[-1].json()["messages"][-1]["content"].endswith("And now?")
    assert (await ask(chatbot, said(*long * 2))).content == "Hello."
    assert len(wire.asked) == tries + 1, "the shortened budget is remembered"


async def test_replies_at_once_all_move_a_system_prompt_that_the_template_refuses(wire: Wire) -> None:
    """Each has sent it before the first refusal came."""
    both = asyncio.Barrier(2)

    async def script(asked: Asked, answer: Answer) -> None:
        if asked.json()["messages"][0]["role"] == "system":
            await both.wait()
            await answer.whole(says("System role not supported"), 400)
        else:
            await streams(chunk("Hello."), STOP)(asked, answer)

    wire.script = script
    chatbot = model(wire, system="Be brief.")
    outcomes = await asyncio.gather(ask(chatbot), ask(chatbot))
    assert [(outcome.content, outcome.code) for outcome in outcomes] == [("Hello.", None)] * 2


async def test_error_of_a_stream_is_classified_before_text(wire: Wire) -> None:
    for error, view in (
        (says("boom", code=429), failures.BUSY),
        (says("overloaded", type="overloaded_error"), failures.BUSY),
        (says("no such key", code=401), failures.NOT_SET_UP),
        (says("The model `x` does not exist"), failures.NOT_SET_UP),
        (says("filtered", code="content_filter"), failures.FILTERED),
        (says("boom"), failures.BROKEN),
    ):
        wire.script = streams(error, DONE)
        outcome = await ask(model(wire))
        assert isinstance(outcome.error, ReplyError)
        assert outcome.error.view is view


async def test_code_of_the_endpoint_is_in_the_reason(wire: Wire) -> None:
    for status, error, reason in (
        (400, says("x", code="unsupported_parameter"), "status 400, unsupported_parameter"),
        (400, says("x", type="invalid_request_error", code="weird"), "status 400, weird"),
        (400, [says("API key not valid.", status="INVALID_ARGUMENT")], "status 400, INVALID_ARGUMENT"),
        (400, says("x", code="words of a person"), "status 400"),
    ):
        wire.script = refusal_script(Refusal(status, error, ""))
        outcome = await ask(model(wire))
        assert isinstance(outcome.error, ReplyError)
        assert outcome.error.reason == reason


async def test_retry_after_is_a_number_of_seconds_or_a_date(wire: Wire) -> None:
    now = datetime.now(UTC)
    date = format_datetime(now + timedelta(seconds=40), usegmt=True)
    ahead = format_datetime(now + timedelta(hours=5), usegmt=True)
    later = format_datetime(now + timedelta(hours=5, seconds=30), usegmt=True)
    for header, least, most in (
        ("Retry-After: 7", 7, 7),
        (f"Retry-After: {date}", 35, 41),
        (f"Date: {ahead}\r\nRetry-After: {later}", 30, 30),
        ("retry-after-ms: 1500\r\nRetry-After: 2", 1.5, 1.5),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Retry-After: Wednesday, 21-Oct-15 07:28:00 GMT", 0, 0),
        ("Retry-After: 999999", 3_600, 3_600),
    ):
        for status in (429, 503, 529):
            wire.script = refusal_script(Refusal(status, {}, "", headers=f"{JSON}{header}\r\n"))
            outcome = await ask(model(wire))
            assert isinstance(outcome.error, ReplyError)
            assert outcome.error.retry_after is not None
            assert least <= outcome.error.retry_after <= most
    wire.script = refusal_script(Refusal(429, {}, "", headers=f"{JSON}Retry-After: soon\r\n"))
    outcome = await ask(model(wire))
    assert isinstance(outcome.error, ReplyError)
    assert outcome.error.retry_after is None


async def test_stream_without_an_event_is_tried_once_with_less(wire: Wire) -> None:
    """llama-cpp-python answers so to a prompt that is too long."""

    async def script(asked: Asked, answer: Answer) -> None:
        await streams(*([chunk("Hello."), STOP] if len(asked.body) < 4_000 else []))(asked, answer)

    wire.script = script
    long = [("ada", "word " * 300), ("bot", "word " * 500), ("ada", "And now?")]
    assert (await ask(model(wire), said(*long))).content == "Hello."
    wire.asked.clear()
    wire.script = streams()
    assert (await ask(model(wire), said(*long))).code == "reply_interrupted"
    assert len(wire.asked) == 2
    assert (await ask(model(wire))).code == "reply_interrupted"
    assert len(wire.asked) == 3, "a single message is not shortened"


@pytest.mark.parametrize(
    ("listed", "chosen"),
    [
        (["text-embedding-nomic-embed-text-v1.5", "qwen3-8b"], "qwen3-8b"),
        (["whisper-large-v3", "llama-3.3-70b"], "llama-3.3-70b"),
        (["bge-m3", "rerank-v2", "mistral-small"], "mistral-small"),
        ([{"id": "a", "type": "embeddings"}, {"id": "b", "type": "llm"}], "b"),
        ([{"id": "a", "capabilities": {"completion_chat": False}}, {"id": "b"}], "b"),
        (["only-embeddings"], "only-embeddings"),
    ],
)
async def test_first_listed_model_for_chat_is_chosen(wire: Wire, listed: list[object], chosen: str) -> None:
    async def script(asked: Asked, answer: Answer) -> None:
        if asked.path.endswith("/models"):
            await answer.whole({"data": [each if isinstance(each, dict) else {"id": each} for each in listed]})
        else:
            await streams(chunk(asked.json()["model"]), STOP)(asked, answer)

    wire.script = script
    assert (await ask(model(wire, model=""))).content == chosen
