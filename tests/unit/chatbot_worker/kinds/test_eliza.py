"""ELIZA in conversation: golden dialogues, the rules behind them, and anything people may type."""

from __future__ import annotations

import time
from importlib import resources
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_worker.chatbots.protocol import Turn
from chatbot_worker.kinds.eliza import Eliza, ElizaOptions
from chatbot_worker.kinds.eliza.doctor import SAID_BACK_MAX, Conversation
from chatbot_worker.kinds.eliza.language import hear, reflect
from chatbot_worker.kinds.eliza.script import Script, parse
from shared.contracts.turns import ContextMessage
from shared.contracts.views import SenderType

SCRIPT = parse(resources.files("chatbot_worker.kinds.eliza").joinpath("eliza.toml").read_text("utf-8"))
SESSION = UUID(int=0)  # every rule begins with its first line

DIALOGUES = {
    "a sad start": [
        ("Hello", "Hello. How are you feeling today?"),
        (
            "I feel sad because my mother never calls me",
            "Do you often feel sad because your mother never calls you?",
        ),
        ("I'm worried about my exams", "What is the worst that could come of your exams?"),
        ("I can't sleep", "What goes round in your head when you lie awake?"),
        ("blah quux", "Earlier you spoke of your mother. Shall we go back to that?"),
        ("quux blah", "A while ago you spoke of your exams. What has become of it?"),
        ("quux quux quux", "Tell me more about that."),
        ("Goodbye", "Goodbye. It was good to talk with you."),
    ],
    "about herself": [
        ("Are you a computer?", "Yes: a few hundred rules and a good bedside manner. Does it trouble you?"),
        ("How are you?", "I am well, thank you: nothing hurts where nothing is. And you, honestly?"),
        ("You are clever!", "You are kind. I only hand back what you bring."),
        ("Why don't you answer me?", "Do you think that I ought to answer you?"),
        ("Do you like me?", "What would it mean to you if I like you?"),
        ("you are a stupid bot", "So I have been told. What made you notice?"),
        ("Thanks", "You are welcome. Was there something that helped?"),
    ],
    "small things": [
        ("My name is Ada", "Pleased to meet you, Ada. What brings you here?"),
        ("I want to be famous", "What would change if you could be famous?"),
        ("I dreamed of you and my father", "When you woke, what was left of me and your father?"),
        ("My boss is an idiot", "What has your boss done to earn that name?"),
        ("Nobody likes me", "Really nobody? Think of one exception."),
        ("what is 2 + 2?", SCRIPT.moods["sums"].lines[0].parts[0]),
        ("hallo", "Hallo! My German ends there, I am afraid. In English: how are you today?"),
        ("你好", SCRIPT.moods["foreign"].lines[0].parts[0]),
        ("😀", "No words at all? Then I shall keep you company in silence."),
        ("no", "That was a clear no. What makes you so sure?"),
        ("I always lose", "Always? Think of one time when it was different."),
        ("I always lose", "You said that just now, in the same words. Is it that important?"),
    ],
}


@pytest.mark.parametrize("name", DIALOGUES)
def test_golden_dialogue(name: str) -> None:
    """A conversation goes exactly so."""
    conversation = Conversation(SCRIPT, 0)
    assert [(said, conversation.answer(said)) for said, _ in DIALOGUES[name]] == DIALOGUES[name]


@pytest.mark.parametrize(
    ("said", "reflected"),
    [
        ("i am afraid of you", "you are afraid of me"),
        ("you are my friend", "I am your friend"),
        ("am i your friend", "are you my friend"),
        ("are you mine", "am I yours"),
        ("i was there when you were not", "you were there when I was not"),
        ("you remind me of myself", "I remind you of yourself"),
        ("they are my cats", "they are your cats"),
        ("think you hate me", "think I hate you"),
        ("I'm sure you're right", "you are sure I am right"),
        ("mystery imam amen youth", "mystery imam amen youth"),
        ("love you", "love me"),
    ],
)
def test_point_of_view_is_turned_round_word_by_word(said: str, reflected: str) -> None:
    """Pronouns and their verbs change sides; parts of words never do."""
    assert reflect(hear(said, SCRIPT.replace).clauses[0]) == reflected


def test_the_highest_rank_is_answered_not_the_first_word() -> None:
    """Sorrow outranks a greeting in the same message."""
    assert Conversation(SCRIPT, 0).answer("Hello! I am so sad.").startswith("I am sorry to hear that you are sad")


def test_danger_comes_before_everything() -> None:
    """A message about suicide is answered with a hint to people who can help."""
    for said in ("hi. computer, I want to kill myself, you idiot", "i wish to die", "I am going to end my life"):
        assert "crisis line" in Conversation(SCRIPT, 0).answer(said), said


def test_lines_take_turns() -> None:
    """The same kind of remark gets another answer each time, until all have been said."""
    conversation = Conversation(SCRIPT, 0)
    lines = len(SCRIPT.by_name["always"].rules[0].lines)
    said = [conversation.answer(f"it is always number{n}") for n in range(lines + 1)]
    assert len(set(said)) == lines
    assert said[0] == said[-1]


def test_what_is_too_long_is_not_said_back() -> None:
    """Long parts of a message are not repeated."""
    assert len(Conversation(SCRIPT, 0).answer("I feel " + "very " * 100 + "sad").split()) < 3 * SAID_BACK_MAX


def context(*messages: tuple[str, str], unanswered: int = 1) -> tuple[ContextMessage, ...]:
    made = []
    for place, (sender, content) in enumerate(messages):
        kind: SenderType = "chatbot" if sender == "eliza" else "user"
        last = place >= len(messages) - unanswered
        made.append(
            ContextMessage(id=UUID(int=place), sender_type=kind, sender_id=sender, content=content, unanswered=last)
        )
    return tuple(made)


def say(*messages: tuple[str, str], unanswered: int = 1, script: Script = SCRIPT) -> str:
    turn = Turn(SESSION, SESSION, "eliza", context(*messages, unanswered=unanswered))
    return Eliza(ElizaOptions(delay=0), script).say(turn)


def test_memory_is_rebuilt_from_the_context() -> None:
    """A worker without state returns to an earlier remark, and always to the same one."""
    talk = (("ada", "my mother is strict"), ("eliza", "…"), ("ada", "zzz"))
    assert say(*talk) == "Earlier you spoke of your mother. Shall we go back to that?"
    assert say(*talk) == say(*talk)


def test_messages_that_wait_are_answered_together() -> None:
    """Of several messages the weightiest is answered."""
    assert "exams" in say(("ada", "hello"), ("ada", "I am afraid of my exams"), ("ada", "ok"), unanswered=3)


def test_a_name_is_used_only_where_several_people_talk() -> None:
    """The name is used only in sessions of several users."""
    room = (("bob", "hi"), ("ada", "hi"), ("ada", "I feel lost"))
    assert say(*room).startswith("ada, do you often feel lost")
    assert say(*((("ada", "hi"),) * 2), ("ada", "I feel lost")).startswith("Do you often feel lost")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=6))
def test_she_always_has_an_answer(texts: list[str]) -> None:
    """Any message has an answer, and always the same one."""
    first, second = Conversation(SCRIPT, 7), Conversation(SCRIPT, 7)
    for text in texts:
        said = first.answer(text)
        assert said
        assert said == second.answer(text)


WORDS = [*sorted(SCRIPT.keywords), "i", "am", "you", "are", "my", "me", "quux", ",", "."]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_no_place_is_left_open(words: list[str]) -> None:
    """No sentence shows its machinery."""
    said = Conversation(SCRIPT, 0).answer(" ".join(words))
    assert said
    assert "(" not in said
    assert " ?" not in said


@pytest.mark.parametrize(
    "text", ["my a i you ", "my, ", "x ", "because ", "1", "'", "a-", " ", "\n", "i feel i feel like "]
)
def test_the_longest_message_takes_no_time(text: str) -> None:
    """16,000 characters of the worst kind stay far from being felt by others on the loop."""
    long = (text * 16_000)[:16_000]

    def taken() -> float:
        conversation = Conversation(SCRIPT, 0)
        began = time.thread_time()  # CPU time of this thread, without that of other processes
        conversation.answer(long)
        return time.thread_time() - began

    assert min(taken() for _ in range(3)) < 0.05  # one may meet a full collection of the whole run's garbage


async def test_the_words_join_to_the_answer() -> None:
    """What is streamed is what is said."""
    turn = Turn(SESSION, SESSION, "eliza", context(("ada", "I feel sad")))
    eliza = Eliza(ElizaOptions(delay=0.001), SCRIPT)
    pieces = [piece async for piece in eliza.reply(turn)]
    assert len(pieces) > 3
    assert "".join(pieces) == eliza.say(turn)
