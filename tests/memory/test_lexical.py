"""Texts as sparse vectors of their words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import ConfigurationError
from stretto.memory.backend.types import Sparse
from stretto.memory.lexical import LexicalEncoder, smooth, smooth_dense

ENGLISH = LexicalEncoder()
MAY_7 = datetime(2023, 5, 7, 23, 59, tzinfo=UTC).timestamp()


def shared(query: str, document: Sparse, encoder: LexicalEncoder = ENGLISH) -> int:
    return len(set(encoder.encode_query(query)[0]) & set(document[0]))


@pytest.mark.parametrize("text", ["", " \n", "?!... --", "the of and", "\x00"])
def test_a_text_without_a_word_that_counts_is_an_empty_vector(text: str) -> None:
    assert ENGLISH.encode(text) == ENGLISH.encode_query(text) == ([], [])


def test_a_word_is_found_in_its_other_forms() -> None:
    assert shared("repairing", ENGLISH.encode("Pavel repaired the press")) == 1
    assert shared("repairing", LexicalEncoder("any").encode("repaired", None)) == 0


def test_case_does_not_matter() -> None:
    assert ENGLISH.encode("PAVEL") == ENGLISH.encode("pavel")


def test_a_word_weighs_more_when_it_is_said_again_and_less_in_a_longer_text() -> None:
    [once], [twice] = ENGLISH.encode("ink")[1], ENGLISH.encode("ink ink")[1]
    long = dict(zip(*ENGLISH.encode("ink " + " ".join(f"w{n}" for n in range(40))), strict=True))
    assert long[ENGLISH.encode("ink")[0][0]] < once < twice


@pytest.mark.parametrize("query", ["May 2023", "7 May", "on the 7 May 2023"])
def test_a_text_is_found_by_its_date(query: str) -> None:
    wanted = len(ENGLISH.encode_query(query)[0])
    assert shared(query, ENGLISH.encode("We met.", MAY_7)) == wanted > 1
    assert shared(query, ENGLISH.encode("We met.")) == 0


def test_an_episode_is_found_by_its_words_and_date_and_weighed_as_a_long_text() -> None:
    turn, episode = ENGLISH.encode("ink ink", MAY_7), ENGLISH.encode_episode("ink ink", MAY_7)
    assert turn[0] == episode[0]
    assert turn[1] != episode[1]


def test_other_languages_have_their_own_stems_and_empty_words() -> None:
    german = LexicalEncoder("german")
    assert shared("Häuser", german.encode("Das Haus"), german) == 1
    assert german.encode_query("der die das") == ([], [])


def test_texts_without_spaces_are_cut_into_words() -> None:
    encoder = LexicalEncoder("any")
    assert shared("北京", encoder.encode("我们去北京"), encoder) == 1
    assert shared("上海", encoder.encode("我们去北京"), encoder) == 0


def test_an_unknown_language_is_refused_with_one_that_works() -> None:
    with pytest.raises(ConfigurationError, match="no language 'klingon'.*'any' works"):
        LexicalEncoder("klingon")


@given(st.text(max_size=200))
def test_any_text_gives_ascending_32_bit_indices_and_the_same_again(text: str) -> None:
    indices, values = ENGLISH.encode(text)
    assert list(indices) == sorted(set(indices))
    assert all(0 <= index < 2**32 for index in indices)
    assert len(indices) == len(values)
    assert all(value > 0 for value in values)
    assert LexicalEncoder().encode(text) == (indices, values)


def test_a_turn_gets_a_part_of_both_neighbours() -> None:
    turns = [([1], [1.0]), ([1, 5], [2.0, 1.0]), ([9], [10.0])]
    assert smooth(turns, 0.5) == [
        ([1, 5], [2.0, 0.5]),
        ([1, 5, 9], [2.5, 1.0, 5.0]),
        ([1, 5, 9], [1.0, 0.5, 10.0]),
    ]


def test_a_single_turn_stays_what_it_is() -> None:
    assert smooth([([3], [1.5])]) == [([3], [1.5])]
    assert smooth([]) == []
    assert smooth_dense([[0.0, 2.0]]) == [[0.0, 1.0]]
    assert smooth_dense([]) == []


def test_dense_turns_count_by_direction_and_not_by_length() -> None:
    assert smooth_dense([[9.0, 0.0], [0.0, 2.0], [0.0, 0.0]], 0.5) == [
        [1.0, 0.5],
        [0.5, 1.0],
        [0.0, 0.5],
    ]


def test_half_a_character_does_not_keep_the_rest_of_a_text_from_being_found() -> None:
    assert shared("ink", ENGLISH.encode("\ud83d red ink", MAY_7)) == 1
    assert shared("ink", ENGLISH.encode_episode("\ud83d red ink")) == 1
    assert shared("\udc00 ink", ENGLISH.encode("red ink")) == 1


@pytest.mark.parametrize("at", [1.7e12, -1e18, 1e300, float("inf"), float("nan")])
def test_a_time_outside_of_the_calendar_adds_no_date(at: float) -> None:
    assert ENGLISH.encode("red ink", at) == ENGLISH.encode("red ink")


VECTORS = st.dictionaries(st.integers(0, 30), st.floats(0.1, 10), max_size=6).map(
    lambda terms: (sorted(terms), [terms[index] for index in sorted(terms)])
)


@given(st.lists(VECTORS, max_size=8), st.floats(0, 1))
def test_smoothing_adds_so_much_and_no_more(turns: list[Sparse], weight: float) -> None:
    smoothed = smooth(turns, weight)
    inner = [sum(values) for _, values in turns]
    near = [
        sum(inner[max(place - 1, 0) : place]) + sum(inner[place + 1 : place + 2])
        for place in range(len(inner))
    ]
    wanted = [own + weight * other for own, other in zip(inner, near, strict=True)]
    assert [sum(values) for _, values in smoothed] == pytest.approx(wanted)
    assert all(list(indices) == sorted(set(indices)) for indices, _ in smoothed)
