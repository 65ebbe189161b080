"""The words by which messages are searched, the same for each database.

Letters are compared as a person types them: without case, accents, points and compatibility forms. A word of Latin
letters is represented by its English stem: `talking` matches `talks`. Text of scripts that are written without spaces,
or with particles joined to a word (Korean), is divided into overlapping pairs of characters. Thus a query finds any
part of a run of such text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from Stemmer import Stemmer

LENGTH_MAX = 64  # characters of a word; the rest is ignored
STEM_MIN = 3  # characters of a word that is stemmed
STEMS_CACHED = 16_384

# Marks that are not typed in queries: accents, Hebrew and Arabic points, variation selectors. Marks of other scripts,
# such as the vowels of Hindi, Tamil and Thai, distinguish words and are kept.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0711\u0730-\u074a"
    "\u08ca-\u08ff\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U000e0100-\U000e01ef]"
)
# Letters of Cyrillic keyboards, although Unicode decomposes them.
_KEPT = (("\u0438\u0306", "\u0439"), ("\u0443\u0306", "\u045e"), ("\u0456\u0308", "\u0457"))
_LETTERS = {
    "ı": "i",  # noqa: RUF001
    "ł": "l",
    "ø": "o",
    "đ": "d",
    "ħ": "h",
    "ŧ": "t",
    "ð": "d",
    "þ": "th",
    "æ": "ae",
    "œ": "oe",
    # Arabic and Persian keyboards have different letters for one; the last one only stretches a word.
    "\u0649": "\u064a",
    "\u06cc": "\u064a",
    "\u06a9": "\u0643",
    "\u0629": "\u0647",
    "\u0640": "",
}
# Tai, Lao, Burmese, Khmer, Balinese and Javanese; Han with its iteration marks, kana, bopomofo, Yi; Korean.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaadf"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\ua4cf"
    "\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"
)
_ASCII_WORD = re.compile(f"([a-z0-9]{{1,{LENGTH_MAX}}})[a-z0-9]*")
_RUN = re.compile(f"([{_UNSPACED}]+)")


class _Folding(dict[int, str]):
    """The representation of each decomposed code point, computed at its first use. Separators become a space."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _folded(chr(code))
        return folded


def _folded(char: str) -> str:
    category = unicodedata.category(char)
    if char in _LETTERS:
        return _LETTERS[char]
    if category == "Cf" or _ACCENTS.match(char):  # joiners, direction marks, soft hyphens
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return char if category[0] in "LMN" else " "


_FOLDING = _Folding()
_STEMMER = Stemmer("english", 0)  # without a cache


def fold(text: str) -> str:
    """Return the text as it is compared, with a space in place of each character that belongs to no word."""
    if text.isascii():
        return text.lower().translate(_FOLDING)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    for decomposed, letter in _KEPT:
        folded = folded.replace(decomposed, letter)
    return unicodedata.normalize("NFC", folded.translate(_FOLDING))


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the words of a text, and whether each is a run of characters without spaces. Words are not stemmed."""
    for word in fold(text).split():
        if word.isascii():
            yield word[:LENGTH_MAX], False
            continue
        for n, part in enumerate(_RUN.split(word)):
            if part:
                yield (part, True) if n % 2 else (part[:LENGTH_MAX], False)


@lru_cache(STEMS_CACHED)
def stem(word: str) -> str:
    """Return the English stem of a word of ASCII letters; other words are returned unchanged."""
    if len(word) < STEM_MIN or not word.isascii() or not word.isalpha():
        return word
    stemmed: str = _STEMMER.stemWord(word)
    return stemmed


def pairs(run: str) -> list[str]:
    """Return the overlapping pairs of characters of a run, or the character of which it consists."""
    return [run[n : n + 2] for n in range(len(run) - 1)] or [run]


def search_words(text: str) -> str:
    """Return the words of a text in their order, separated by spaces, as both databases store and index them.

    A run ends with its last character, so that each of its characters is the beginning of a word.
    """
    if text.isascii():
        return " ".join(map(stem, _ASCII_WORD.findall(text.lower())))
    return " ".join(_indexed(pieces(text)))


def _indexed(found: Iterable[tuple[str, bool]]) -> Iterator[str]:
    for piece, is_run in found:
        if not is_run:
            yield stem(piece)
            continue
        yield from pairs(piece)
        if len(piece) > 1:
            yield piece[-1]
