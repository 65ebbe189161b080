"""ELIZA's script: what is wrong with one is said, and there is nothing wrong with ours."""

from __future__ import annotations

from importlib import resources

import pytest

from chatbot_worker.kinds.eliza.doctor import GOTO_MAX
from chatbot_worker.kinds.eliza.language import Word
from chatbot_worker.kinds.eliza.script import Keyword, Rule, Script, ScriptError, parse

TEXT = resources.files("chatbot_worker.kinds.eliza").joinpath("eliza.toml").read_text("utf-8")

SMALL = """
[replace]
[classes]
family = ["mother", "father"]
[moods]
none = ["Go on."]
wordless = ["Hm."]
foreign = ["Hm."]
sums = ["Hm."]
again = ["Hm."]
[memory]
word = "my"
[[memory.rule]]
match = "* my +"
say = ["Your (3)."]
[keyword.my]
rank = 1
words = ["my"]
[[keyword.my.rule]]
match = "* my @family *"
say = ["Your (3)?"]
"""


@pytest.fixture(scope="module")
def script() -> Script:
    return parse(TEXT)


def _sample(rule: Rule, more: int = 0) -> list[Word]:
    """A clause that fits a rule: the first word of each choice, strange words for wildcards, `more` than needed."""
    strange = Word("quux", "quux")
    words: list[Word] = []
    for piece in rule.match.pieces:
        words += [strange] * (0 if piece.gap is None else piece.gap + more)
        words += [Word(min(choice), min(choice)) for choice in piece.words]
    return words + [strange] * (0 if rule.match.tail is None else rule.match.tail + more)


def _fits(keyword: Keyword, clause: list[Word]) -> Rule:
    return next(rule for rule in keyword.rules if rule.match.match(clause) is not None)


def test_there_is_enough_of_it(script: Script) -> None:
    """A first impression needs more than a handful of answers."""
    rules = [rule for keyword in script.by_name.values() for rule in keyword.rules]
    assert len(script.by_name) >= 40
    assert sum(len(rule.lines) for rule in rules) >= 250


def test_every_rule_is_reached_by_some_clause(script: Script) -> None:
    """No rule hides behind one that stands above it."""
    hidden = [
        rule.name
        for keyword in script.by_name.values()
        for rule in keyword.rules
        if all(_fits(keyword, _sample(rule, more)) != rule for more in (0, 1))
    ]
    assert hidden == []


def test_every_rule_can_always_speak_or_hands_over(script: Script) -> None:
    """With the shortest clause that fits, a rule has a line whose places are all filled, or the next rule catches it."""
    mute = []
    for keyword in script.by_name.values():
        last = keyword.rules[-1]
        if (
            last.match.text == "*"
            and last.goto is None
            and not any(all(isinstance(part, str) for part in line.parts) for line in last.lines)
        ):
            mute.append(last.name)
    assert mute == []


def test_hand_overs_end(script: Script) -> None:
    """No chain of `goto` is a circle or long."""
    for keyword in script.by_name.values():
        for start in keyword.rules:
            rule, clause, steps = start, _sample(start), 0
            while rule.goto is not None and steps <= GOTO_MAX:
                rule, steps = _fits(script.by_name[rule.goto], clause), steps + 1
            assert steps <= 3, start.name


def test_every_line_is_a_sentence(script: Script) -> None:
    """It begins and ends like a sentence, and is text except for its places."""
    for rule in [rule for keyword in script.by_name.values() for rule in keyword.rules] + list(script.moods.values()):
        for line in rule.lines:
            text = "".join(part if isinstance(part, str) else "x" for part in line.parts)
            assert text[0].isupper() or text[0] in "¡x", (rule.name, text)
            assert text[-1] in ".?!", (rule.name, text)
            assert "  " not in text, (rule.name, text)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('say = ["Your (3)?"]', 'say = ["Your (9)?"]', "my.1: a place"),
        ("@family *", "@friend *", "my.1: no class @friend"),
        ('say = ["Your (3)?"]', 'goto = "nowhere"', "my.1: goto nowhere"),
        ('say = ["Your (3)?"]', "", "my.1: either say or goto"),
        ("* my @family *", "* + my", "my.1: two wildcards"),
        ('words = ["my"]', 'words = ["my", "my|@family"]', "my: the word my calls"),
        ('again = ["Hm."]', "", "moods: no again"),
    ],
)
def test_a_wrong_script_is_refused_with_its_place(old: str, new: str, reason: str) -> None:
    """The error names the keyword and the rule."""
    assert old in SMALL
    with pytest.raises(ScriptError, match="^" + reason):
        parse(SMALL.replace(old, new))


def test_rule_after_a_rule_that_matches_everything_is_refused() -> None:
    """A rule that can never be reached is a mistake."""
    behind = '[[keyword.my.rule]]\nmatch = "*"\nsay = ["x."]\n' * 2
    with pytest.raises(ScriptError, match=r"^my\.3: never reached"):
        parse(SMALL + behind)
