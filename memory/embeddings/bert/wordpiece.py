"""Texts as the tokens that BERT was trained on."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache

UNKNOWN, BEGIN, END = "[UNK]", "[CLS]", "[SEP]"
LONGEST_WORD = 100
"""Characters from which a word is unknown as a whole."""
CHINESE = re.compile("([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f])")
SPACES = {"\t", "\n", "\r"}


class WordPiece:
    """Cuts words into the longest pieces that the vocabulary has.

    The algorithm of BERT: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers",
    2018, section 3; without markers for special tokens inside of texts.
    """

    def __init__(self, vocabulary: Mapping[str, int], lower_case: bool = True) -> None:
        """Use the numbers of ``vocabulary``; ``lower_case`` also drops accents.

        Raises:
            KeyError: a marker is missing in the vocabulary.

        """
        self._vocabulary = vocabulary
        self._lower_case = lower_case
        self._unknown, self._begin, self._end = (vocabulary[m] for m in (UNKNOWN, BEGIN, END))
        self._pieces = lru_cache(100_000)(self._cut)

    def tokens(self, text: str, limit: int) -> list[int]:
        """Give the numbers of a text's tokens, with those for begin and end, at most ``limit``."""
        found: list[int] = []
        for word in self._words(text, limit):
            found += self._pieces(word)
            if len(found) >= limit - 2:
                break
        return [self._begin, *found[: limit - 2], self._end]

    def _words(self, text: str, limit: int) -> Iterator[str]:
        longest = limit * (LONGEST_WORD + 1)  # of a longer run, the rest is beyond the limit
        for found in re.finditer(r"\S+", text):
            run = _cleaned(found[0][:longest])
            run = CHINESE.sub(r" \1 ", run)
            if self._lower_case:
                bare = unicodedata.normalize("NFD", run.lower())
                run = "".join(char for char in bare if unicodedata.category(char) != "Mn")
            for part in run.split():
                yield from _punctuated(part)

    def _cut(self, word: str) -> list[int]:
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self._vocabulary.get(mark + word[start:end])
                if piece is not None:
                    pieces.append(piece)
                    start = end
                    break
            else:
                return [self._unknown]
        return pieces


def _cleaned(run: str) -> str:
    if run.isascii() and run.isprintable():
        return run
    return "".join(
        char
        for char in run
        if char != "\ufffd" and (char in SPACES or unicodedata.category(char)[0] != "C")
    )


def _punctuated(part: str) -> Iterator[str]:
    """Give words and single marks; BERT counts every ASCII symbol as a mark."""
    if part.isalnum():
        yield part
        return
    word = ""
    for char in part:
        is_mark = unicodedata.category(char)[0] == "P" or (char.isascii() and not char.isalnum())
        if not is_mark:
            word += char
            continue
        if word:
            yield word
        yield char
        word = ""
    if word:
        yield word
