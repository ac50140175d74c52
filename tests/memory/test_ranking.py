"""What was found, weighed, told once, and told in its variety."""

import re
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.memory.ranking import Candidate, Ranked, collapse, diversify, rank

NOW = 1_700_000_000.0
DAY = 86_400.0
FACT = Candidate("a", "ink", lexical=2.0, at=NOW)


def weighed(found: Sequence[Candidate], now: float, recency: float = 0.0) -> list[Ranked]:
    return list(rank(found, now, recency))


def order(*candidates: Candidate, recency: float = 0.0) -> list[str]:
    return [each.candidate.id for each in weighed(candidates, NOW, recency)]


def test_nothing_found_gives_nothing() -> None:
    assert weighed([], NOW) == []
    assert collapse([]) == []
    assert diversify([], 5, 0.5) == []


def test_an_episode_lifts_its_turns() -> None:
    alone, lifted = FACT._replace(lexical=2.0), FACT._replace(id="b", lexical=1.0, episode=2.0)
    assert order(alone, lifted) == ["b", "a"]
    [best, other] = weighed([alone, lifted], NOW)
    assert best.why.relevance == 1.0
    assert other.why.relevance == pytest.approx(2.0 / 2.5)


def test_meaning_counts_beside_words() -> None:
    words = FACT._replace(lexical=2.0, dense=0.1)
    both = FACT._replace(id="b", lexical=1.9, dense=0.9)
    neither = FACT._replace(id="c", lexical=0.1, dense=0.2)
    assert order(words, both, neither) == ["b", "a", "c"]


def test_what_was_not_found_by_meaning_is_no_nearer_than_what_was() -> None:
    near, far = FACT._replace(dense=0.9), FACT._replace(id="b", dense=-0.2)
    missing = FACT._replace(id="c", dense=None)
    scores = {each.candidate.id: each.score for each in weighed([near, far, missing], NOW)}
    assert scores["a"] > scores["b"] == scores["c"]


@pytest.mark.parametrize("dense", [None, 0.4])
def test_equal_scores_are_all_relevant(dense: float | None) -> None:
    ranked = weighed([FACT._replace(id=id, dense=dense) for id in "abc"], NOW)
    assert [each.why.relevance for each in ranked] == [1.0] * 3
    assert [each.candidate.id for each in ranked] == ["a", "b", "c"]


def test_importance_decides_between_equals_and_not_more() -> None:
    vital, dull = FACT._replace(importance=1.0), FACT._replace(id="b", importance=0.0)
    assert order(dull, vital) == ["a", "b"]
    assert order(dull._replace(lexical=2.2), vital) == ["b", "a"]


def test_age_counts_only_when_asked_for_and_never_buries_the_old() -> None:
    old = FACT._replace(at=NOW - 3650 * DAY, lexical=2.05)
    new = FACT._replace(id="b")
    assert order(old, new) == ["a", "b"]
    assert order(old, new, recency=0.3) == ["b", "a"]
    ages = {each.candidate.id: each.why.recency for each in weighed([old, new], NOW, 0.3)}
    assert ages == {"a": pytest.approx(1 + 0.3 * 0.2), "b": pytest.approx(1.3)}


def test_a_time_to_come_counts_as_now() -> None:
    [ranked] = weighed([FACT._replace(at=NOW + DAY)], NOW, recency=0.5)
    assert ranked.why.recency == 1.5


def test_an_explanation_says_what_the_score_is_made_of() -> None:
    found = [FACT._replace(episode=1.0, importance=1.0), FACT._replace(id="b", lexical=0.5)]
    why = weighed(found, NOW)[0].why
    assert why.to_dict() == {
        "lexical": 2.0,
        "episode": 1.0,
        "dense": None,
        "relevance": 1.0,
        "importance": 1.05,
        "recency": 1.0,
        "scale": 0.9524,
    }


CANDIDATES = st.builds(
    Candidate,
    id=st.uuids().map(str),
    text=st.text(max_size=5),
    lexical=st.floats(0, 50),
    episode=st.floats(0, 50),
    dense=st.none() | st.floats(-1, 1),
    importance=st.floats(0, 1),
    at=st.floats(0, 2 * NOW),
    words=st.none(),
    meaning=st.none(),
)


@given(st.lists(CANDIDATES, max_size=12), st.floats(0, 10))
def test_scores_are_between_0_and_1_and_fall(found: list[Candidate], recency: float) -> None:
    scores = [each.score for each in weighed(found, NOW, recency)]
    assert len(scores) == len(found)
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def told(*texts: str) -> list[Ranked]:
    return weighed([Candidate(str(n), t, lexical=9.0 - n) for n, t in enumerate(texts)], NOW)


def test_what_says_the_same_is_told_once_and_counted() -> None:
    kept = collapse(told("Ann lives in Ghent.", "Ann lives in Bruges", "ann LIVES in ghent", "x"))
    assert [(each.candidate.id, each.seen) for each in kept] == [("0", 2), ("1", 1), ("3", 1)]


def test_nine_of_ten_words_make_two_texts_the_same() -> None:
    ten = "one two three four five six seven eight nine ten"
    assert len(collapse(told(ten, ten.removesuffix(" ten")))) == 1
    assert len(collapse(told(ten, ten.removesuffix(" nine ten")))) == 2


def test_half_as_many_again_as_are_wanted_are_looked_at_for_what_says_the_same() -> None:
    kept = collapse(told("a", "b", "a", "a"), 2)
    assert [(each.candidate.id, each.seen) for each in kept] == [("0", 2), ("1", 1)]
    assert [each.candidate.id for each in collapse(told("a", "a", "a", "a", "b"), 2)] == ["0", "4"]


def test_texts_without_words_are_not_the_same() -> None:
    assert len(collapse(told("!", "?", ""))) == 3


SAYINGS = st.lists(
    st.sampled_from("ink red Red RED größe ÜBER über a_b no-go x!".split()), max_size=12
)


@given(st.lists(SAYINGS.map(", ".join), max_size=12))
def test_what_is_kept_is_like_nothing_before_it(texts: list[str]) -> None:
    kept: dict[int, int] = {}
    bags = [set(re.findall(r"\w+", text.lower())) for text in texts]
    for n, words in enumerate(bags):
        alike = (k for k in kept if words and 10 * len(words & bags[k]) >= 9 * len(words | bags[k]))
        place = next(alike, n)
        kept[place] = kept.get(place, 0) + 1
    found = {int(each.candidate.id): each.seen for each in collapse(told(*texts))}
    assert found == kept


def test_diversity_prefers_what_differs_from_what_was_chosen() -> None:
    vectors = [([1], [1.0]), ([1, 2], [1.0, 0.1]), ([7], [1.0])]
    found = [FACT._replace(id=str(n), lexical=9.0 - n, words=v) for n, v in enumerate(vectors)]
    ranked = weighed(found, NOW)
    assert [each.candidate.id for each in diversify(ranked, 2, 0.0)] == ["0", "1"]
    assert [each.candidate.id for each in diversify(ranked, 2, 0.5)] == ["0", "2"]
    assert [each.candidate.id for each in diversify(ranked, 9, 0.5)] == ["0", "2", "1"]


def test_diversity_looks_at_meaning_where_it_is_known() -> None:
    meanings = [(1.0, 0.0), (2.0, 0.1), (0.0, 3.0)]
    found = [FACT._replace(id=str(n), lexical=9.0 - n, meaning=v) for n, v in enumerate(meanings)]
    assert [each.candidate.id for each in diversify(weighed(found, NOW), 2, 0.5)] == ["0", "2"]


@given(st.lists(st.text("ab ", max_size=12), max_size=12))
def test_what_is_kept_differs_and_every_text_is_counted_once(texts: list[str]) -> None:
    kept = collapse(told(*texts))
    said = [each.candidate.text.split() for each in kept if each.candidate.text.split()]
    assert len({frozenset(words) for words in said}) == len(said)
    assert sum(each.seen for each in kept) == len(texts)


@given(st.lists(CANDIDATES, max_size=12), st.floats(0, 10))
def test_the_factors_of_an_explanation_multiply_to_the_score(
    found: list[Candidate], recency: float
) -> None:
    for each in weighed(found, NOW, recency):
        why = each.why
        assert each.score == pytest.approx(why.relevance * why.importance * why.recency * why.scale)


@given(st.lists(CANDIDATES, max_size=12), st.randoms())
def test_the_order_in_which_things_were_found_does_not_matter(
    found: list[Candidate], random: Random
) -> None:
    mixed = random.sample(found, len(found))
    ids = [each.candidate.id for each in weighed(found, NOW)]
    close = [round(each.score, 9) for each in weighed(mixed, NOW)]
    assert sorted(each.candidate.id for each in weighed(mixed, NOW)) == sorted(ids)
    assert close == [round(each.score, 9) for each in weighed(found, NOW)]


@given(st.lists(CANDIDATES, max_size=12), st.floats(0, 2 * NOW))
def test_without_recency_no_score_depends_on_the_time(found: list[Candidate], now: float) -> None:
    assert {each.candidate.id: each.score for each in weighed(found, now, 0.0)} == {
        each.candidate.id: each.score for each in weighed(found, NOW)
    }


@given(st.floats(0, 1e12), st.floats(0, 10))
def test_age_never_takes_more_than_the_floor_leaves(at: float, recency: float) -> None:
    [ranked] = weighed([FACT._replace(at=at)], 1e12, recency)
    assert 1 + 0.2 * recency <= ranked.why.recency <= 1 + recency


@given(st.lists(CANDIDATES, max_size=12), st.integers(0, 15), st.sampled_from([0.0, 0.3, 1.0]))
def test_diversity_chooses_k_different_ones_and_the_best_first(
    found: list[Candidate], k: int, diversity: float
) -> None:
    ranked = weighed(found, NOW)
    chosen = diversify(ranked, k, diversity)
    assert len({each.candidate.id for each in chosen}) == min(k, len(found))
    assert all(each in ranked for each in chosen)
    if diversity == 0.0:
        assert chosen == ranked[:k]
    elif chosen and diversity < 1.0:
        assert chosen[0].score == ranked[0].score


@given(st.lists(st.sampled_from(["red ink", "Ink, red!", "paper", "?", ""]), max_size=20))
def test_collapsing_counts_everything_once(texts: list[str]) -> None:
    kept = collapse(told(*texts))
    assert sum(each.seen for each in kept) == len(texts)
    told_once = [frozenset(re.findall(r"\w+", each.candidate.text.lower())) for each in kept]
    worded = [words for words in told_once if words]
    assert len(worded) == len(set(worded))
