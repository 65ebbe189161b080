"""Reasoning is separated from the answer, however the text is cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_worker.chatbots.protocol import Correction, Reasoning
from chatbot_worker.kinds.wire.code_spans import FENCE, CodeSpans
from chatbot_worker.kinds.wire.thinking import PAIRS, Splitter

TEXTS = {
    "<think>I think.</think>Hello.": ("Hello.", "I think."),
    " \n<think>\nI think.\n</think>\n\nHello.": ("Hello.", "I think.\n"),
    "<THINK>I think.</THINK>Hello.": ("Hello.", "I think."),
    "I think.\n</think>\n\nHello.": ("Hello.", "I think.\n"),
    "I `think.\n</think>\n\nHello.": ("Hello.", "I `think.\n"),
    "<think>a</think>One.\n<think>b</think>\nTwo.": ("One.\nTwo.", "ab"),
    "<think>a</think>One.</think>Two.": ("One.Two.", "a"),
    "One <think>a</think> two.": ("One two.", "a"),
    "<think>Say `</think>` here.</think>Hello.": ("Hello.", "Say `</think>` here."),
    "Use `<think>` and `</think>`.": ("Use `<think>` and `</think>`.", ""),
    "```\n<think>a</think>\n```\n1 < 2 <th>": ("```\n<think>a</think>\n```\n1 < 2 <th>", ""),
    "The tag <think> opens.": ("The tag <think> opens.", ""),
    "<think>never closed": ("", "never closed"),
    "<answer>Hello.</answer> [1] <|im_end|>": ("<answer>Hello.</answer> [1] <|im_end|>", ""),
    "<|channel|>analysis<|message|>I think.<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>": (
        "Hello.",
        "I think.",
    ),
    "<|start|>assistant<|channel|>final<|message|>Hello.": ("Hello.", ""),
    "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=f <|constrain|>json<|message|>{}"
    "<|call|><|start|>assistant<|channel|>final<|message|>Hello.": ("Hello.", "a{}"),
    "I think.<|end|><|start|>assistant<|channel|>final<|message|>Hello.": ("Hello.", "I think."),
    "  Hello.": ("  Hello.", ""),
    "": ("", ""),
}


def split(pieces: list[str], *, opened: bool = False, cut: bool = False) -> tuple[str, str]:
    splitter = Splitter(opened=opened)
    content = reasoning = ""
    for piece in [part for text in pieces for part in splitter.feed(text)] + splitter.end(cut=cut):
        if isinstance(piece, Correction):
            content, reasoning = piece.content, piece.reasoning
        elif isinstance(piece, Reasoning):
            reasoning += piece.text
        else:
            content += piece
    return content, reasoning


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 130), max_size=12))
def test_reasoning_is_separated_wherever_the_text_is_cut(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert split([text[begin:end] for begin, end in pairwise(places)]) == TEXTS[text]
    assert split(list(text)) == TEXTS[text]


@pytest.mark.parametrize("opening", PAIRS)
def test_each_family_of_tags_is_known(opening: str) -> None:
    assert split(list(f"{opening}I think.{PAIRS[opening]}\nHello.")) == ("Hello.", "I think.")


@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        ("I think.</think>Hello.", False, ("Hello.", "I think.")),
        ("<think>I think.</think>Hello.", False, ("Hello.", "I think.")),
        ("Hello.", False, ("Hello.", "")),
        ("I think", True, ("", "I think")),
    ],
)
def test_reply_whose_block_the_template_has_opened(text: str, *, cut: bool, expected: tuple[str, str]) -> None:
    """As known from earlier replies; a reply without a closing tag is all answer, unless a limit has cut it."""
    assert split(list(text), opened=True, cut=cut) == expected


def test_text_without_tags_is_passed_on_at_once() -> None:
    splitter = Splitter()
    assert [splitter.feed(text) for text in ("Hel", "lo. 1 < 2", " <b>x</b>")] == [
        ["Hel"],
        ["lo. 1 < 2"],
        [" <b>x</b>"],
    ]


@given(st.text(alphabet="`~ \na", max_size=60), st.integers(0, 60))
def test_code_is_known_wherever_the_text_is_cut(text: str, cut: int) -> None:
    """As by looking at all of it: an open fence, or an odd number of backticks in the line."""
    code = CodeSpans()
    code.feed(text[:cut])
    code.feed(text[cut:])
    *ended, last = text.split("\n")
    fenced = sum(bool(FENCE.match(line)) for line in [*ended, last]) % 2 == 1
    assert code.inside == (fenced or last.count("`") % 2 == 1)
