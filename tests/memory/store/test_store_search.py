"""Searches: pages, words, meaning, and what fills the end."""

import random
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import time_machine
from langchain_core.embeddings import Embeddings
from langgraph.store.base import BaseStore, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from stretto.errors import ConfigurationError, InputInvalid, MemoryFault
from stretto.memory.store.ranking import FIRST_LOOK
from tests.memory.store.stores import Letters, Opener

NOTES = ("notes",)
TEXTS = {
    "tea": "Ann drinks green tea in the morning",
    "coffee": "Bob drinks black coffee",
    "bike": "Ann rides her bicycle to work",
    "dog": "the dog of Bob is called Rex",
}


def keys(store: BaseStore, *prefix: str, **asked: Any) -> list[str]:
    return [item.key for item in store.search(prefix, **asked)]


def scores(store: BaseStore, *prefix: str, **asked: Any) -> list[float | None]:
    return [item.score for item in store.search(prefix, **asked)]


def fill(store: BaseStore) -> None:
    for key, text in TEXTS.items():
        store.put(NOTES, key, {"text": text})


def test_without_a_query_the_newest_come_first(qdrant: BaseStore) -> None:
    fill(qdrant)
    assert keys(qdrant) == ["dog", "bike", "coffee", "tea"]
    qdrant.put(NOTES, "tea", {"text": "Ann prefers juice"})
    assert keys(qdrant) == ["tea", "dog", "bike", "coffee"]
    assert scores(qdrant) == [None] * 4


def test_values_of_one_batch_keep_their_order(qdrant: BaseStore) -> None:
    qdrant.batch([PutOp(NOTES, f"{number:02}", {"n": number}) for number in range(30)])
    assert keys(qdrant, limit=30) == [f"{number:02}" for number in reversed(range(30))]


def test_a_search_gives_ten_unless_told_otherwise(store: BaseStore) -> None:
    store.batch([PutOp(NOTES, f"{number}", {"n": number}) for number in range(25)])
    assert len(keys(store)) == 10
    assert len(keys(store, limit=100)) == 25
    assert len(keys(store, limit=10, offset=20)) == 5
    assert keys(store, limit=0) == keys(store, offset=25) == []


@pytest.mark.parametrize("query", [None, "one"])
def test_a_limit_may_be_any_number(qdrant: BaseStore, query: str | None) -> None:
    qdrant.put(NOTES, "k", {"text": "one"})
    assert [item.key for item in qdrant.search(NOTES, query=query, limit=sys.maxsize)] == ["k"]
    assert qdrant.search(NOTES, query=query, offset=sys.maxsize) == []


def test_pages_make_up_the_whole(store: BaseStore) -> None:
    store.batch([PutOp(("a", str(n % 3)), f"{n}", {"n": n}) for n in range(50)])
    pages = [keys(store, "a", limit=8, offset=offset) for offset in range(0, 56, 8)]
    together = [key for page in pages for key in page]
    assert together == keys(store, "a", limit=100)
    assert len(set(together)) == 50


@pytest.mark.parametrize("query", [5, b"boots", ["boots"]])
def test_a_query_that_is_no_text_is_refused(qdrant: BaseStore, query: Any) -> None:
    with pytest.raises(InputInvalid, match="a query is text"):
        qdrant.search((), query=query)


@pytest.mark.parametrize(("limit", "offset"), [(-1, 0), (1, -1)])
def test_a_page_below_zero_is_refused(qdrant: BaseStore, limit: int, offset: int) -> None:
    with pytest.raises(InputInvalid, match="must not be below 0"):
        qdrant.search((), limit=limit, offset=offset)
    with pytest.raises(InputInvalid, match="must not be below 0"):
        qdrant.list_namespaces(limit=limit, offset=offset)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("what does Ann drink?", "tea"),
        ("coffee", "coffee"),
        ("BICYCLE rides", "bike"),
        ("name of the dog", "dog"),
    ],
)
def test_words_find_a_value_without_any_model(qdrant: BaseStore, query: str, first: str) -> None:
    fill(qdrant)
    hits = qdrant.search(("notes",), query=query)
    assert hits[0].key == first
    assert len(hits) == len(TEXTS)
    given = [hit.score for hit in hits if hit.score is not None]
    assert given == sorted(given, reverse=True)
    assert all(0 <= score < 1 for score in given)
    assert given[0] > given[-1]


def test_what_shares_no_word_comes_last_with_score_zero(qdrant: BaseStore) -> None:
    fill(qdrant)
    hits = [(item.key, item.score) for item in qdrant.search((), query="coffee")]
    assert hits[0][0] == "coffee"
    assert hits[1:] == [("dog", 0.0), ("bike", 0.0), ("tea", 0.0)]


def test_what_is_not_indexed_is_at_the_very_end_without_a_score(qdrant: BaseStore) -> None:
    qdrant.put(NOTES, "hidden", {"text": "coffee"}, index=False)
    fill(qdrant)
    qdrant.put(NOTES, "empty", {"text": ""}, index=["text"])
    found = qdrant.search((), query="coffee")
    assert [item.key for item in found] == ["coffee", "dog", "bike", "tea", "empty", "hidden"]
    assert [item.score for item in found][1:] == [0.0, 0.0, 0.0, None, None]
    assert keys(qdrant, query="coffee", limit=3) == ["coffee", "dog", "bike"]
    assert keys(qdrant, query="coffee", limit=3, offset=3) == ["tea", "empty", "hidden"]
    assert qdrant.get(NOTES, "hidden") is not None


@pytest.mark.parametrize("query", ["", "?!", "  ", "zzz unheard of", "word " * 20_000, "日本語"])
def test_any_query_gives_an_answer(qdrant: BaseStore, query: str) -> None:
    fill(qdrant)
    assert len(keys(qdrant, query=query)) == len(TEXTS)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("Russian", "Это русский текст"),
        ("German", "Straßenbahn über die Brücke"),
        ("French", "déjà vu à l'école"),
        ("Greek", "Καλημέρα κόσμε"),
    ],
)
def test_words_of_any_script_are_found(qdrant: BaseStore, language: str, text: str) -> None:
    fill(qdrant)
    qdrant.put(NOTES, language, {"text": text})
    assert keys(qdrant, query=text)[0] == language


def test_pages_of_a_query_make_up_the_whole_with_many_of_one_score(opened: Opener) -> None:
    count = 6 * FIRST_LOOK
    days = random.Random(1).sample(range(1, 1000), count)
    for number, day in enumerate(days):
        # Each store has its own clock, so that the newest are not those that were written last.
        with time_machine.travel(day * 86_400, tick=False):
            opened().put(NOTES, f"{number}", {"text": "identical twins"})
    store = opened()
    newest = [f"{number}" for number in sorted(range(count), key=lambda number: -days[number])]
    assert keys(store, query="twins", limit=count) == newest
    pages = [keys(store, query="twins", limit=7, offset=offset) for offset in range(0, count, 7)]
    assert [key for page in pages for key in page] == newest


def test_a_score_does_not_depend_on_the_page(qdrant: BaseStore) -> None:
    for number in range(40):
        qdrant.put(NOTES, f"{number}", {"text": "tea " * (1 + number % 7) + f"word{number}"})
    whole = [(item.key, item.score) for item in qdrant.search((), query="tea", limit=40)]
    paged = [
        (item.key, item.score)
        for offset in range(40)
        for item in qdrant.search((), query="tea", limit=1, offset=offset)
    ]
    assert paged == whole


def test_an_update_is_found_by_its_new_words_only(qdrant: BaseStore) -> None:
    fill(qdrant)
    qdrant.put(NOTES, "dog", {"text": "a cat named Tom"})
    assert keys(qdrant, query="cat", limit=1) == ["dog"]
    assert scores(qdrant, query="Rex") == [0.0] * len(TEXTS)
    qdrant.put(NOTES, "dog", {"text": "a cat named Tom"}, index=False)
    assert scores(qdrant, query="cat") == [0.0, 0.0, 0.0, None]


def test_a_query_stays_in_its_namespace(qdrant: BaseStore) -> None:
    qdrant.put(("a",), "here", {"text": "tea"})
    qdrant.put(("ab",), "there", {"text": "tea tea tea"})
    assert keys(qdrant, "a", query="tea") == ["here"]


@pytest.mark.parametrize(
    ("fields", "index", "words"),
    [
        (None, None, {"alpha", "beta", "gamma", "delta", "zeta"}),
        (["$"], None, {"alpha", "beta", "gamma", "delta", "zeta"}),
        (["title"], None, {"alpha"}),
        (["title"], ["body"], {"beta"}),
        (["title"], False, set[str]()),
        (["body", "meta.note"], None, {"beta", "gamma"}),
        (["parts[*].text"], None, {"delta", "zeta"}),
        (["parts[0].text"], None, {"delta"}),
        (["parts[-1].text"], None, {"zeta"}),
        (["meta"], None, {"gamma"}),
        (["missing"], None, set[str]()),
    ],
)
def test_fields_say_what_can_be_found(
    opened: Opener, fields: list[str] | None, index: Any, words: set[str]
) -> None:
    store = opened(index={"fields": fields})
    value = {
        "title": "alpha",
        "body": "beta",
        "meta": {"note": "one\ngamma"},
        "parts": [{"text": "delta"}, {"text": "zeta"}],
    }
    store.put(NOTES, "k", value, index=index)
    store.put(NOTES, "other", {"title": "x"})
    every = ("alpha", "beta", "gamma", "delta", "zeta")
    assert {word for word in every if (scores(store, query=word)[0] or 0) > 0} == words


def test_a_name_in_a_value_is_found_too(qdrant: BaseStore) -> None:
    qdrant.put(NOTES, "k", {"city": "Oslo"})
    qdrant.put(NOTES, "other", {"town": "Bergen"})
    assert keys(qdrant, query="which city?")[0] == "k"


def test_by_meaning_alone_scores_are_those_of_the_reference(opened: Opener) -> None:
    letters = Letters()
    ours = opened(embedder=letters, index={"fields": ["text"], "retrieval": "dense"})
    reference = InMemoryStore(
        index={"dims": letters.dims, "embed": letters.embed, "fields": ["text"]}
    )
    for store in (ours, reference):
        fill(store)
        store.put(NOTES, "hidden", {"text": "tea"}, index=False)
    for query in ("tea", "a bike", "Rex the dog"):
        for limit, offset in ((10, 0), (2, 1)):
            expected = reference.search(NOTES, query=query, limit=limit, offset=offset)
            found = ours.search(NOTES, query=query, limit=limit, offset=offset)
            assert [item.key for item in found] == [item.key for item in expected]
            for mine, theirs in zip(found, expected, strict=True):
                assert mine.score == pytest.approx(theirs.score, abs=1e-5)


def test_of_several_texts_the_one_that_fits_best_counts(opened: Opener) -> None:
    store = opened(embedder=Letters(), index={"fields": ["a", "b[*]"], "retrieval": "dense"})
    store.put(NOTES, "one", {"a": "xxx", "b": ["zzz", "qqq"]})
    store.put(NOTES, "two", {"a": "uuu", "b": ["xxx"]})
    found = store.search((), query="xxx")
    assert [item.score for item in found] == pytest.approx([1.0, 1.0], abs=1e-4)
    assert {item.key for item in found} == {"one", "two"}
    best = store.search((), query="qqq")[0]
    assert best.key == "one"
    assert best.score == pytest.approx(1, abs=1e-4)
    assert len(store.search((), query="qqq", filter={"a": "uuu"})) == 1
    store.put(NOTES, "one", {"a": "www"})
    assert scores(store, query="qqq", limit=1) == pytest.approx([0.0], abs=1e-4)
    store.delete(NOTES, "two")
    assert keys(store, query="xxx") == ["one"]


def test_every_text_of_a_value_counts_however_many_there_are(opened: Opener) -> None:
    store = opened(embedder=Letters(), index={"fields": ["texts[*]"]})
    many = [f"tea {letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    store.batch([PutOp(NOTES, f"{n}", {"texts": [*many, "eat"]}) for n in range(30)])
    store.put(NOTES, "one", {"texts": ["tea"]})
    found = store.search((), query="tea", limit=31)
    assert len(found) == 31
    same = {round(item.score or 0, 5) for item in found if item.key != "one"}
    # The letters of "eat" are those of "tea": all of these fit the query fully by meaning.
    assert len(same) == 1
    assert min(same) >= 0.5


def test_no_value_is_crowded_out_by_the_many_texts_of_another(opened: Opener) -> None:
    store = opened(embedder=Letters(), index={"fields": ["texts[*]"]})
    for number in range(2 * FIRST_LOOK):
        text = "genre eat" if number < 3 else "genre eat bike"
        store.put(NOTES, f"anagram {number}", {"texts": [text]})
    store.put(NOTES, "many", {"texts": ["green tea, a bike and a dog"] * 30})
    store.put(NOTES, "one", {"texts": ["green tea and zzzz zzzz"]})
    page = [(item.key, item.score) for item in store.search((), query="green tea", limit=2)]
    whole = [(item.key, item.score) for item in store.search((), query="green tea", limit=999)]
    assert {key for key, _ in page} == {"many", "one"}
    assert page == whole[:2]


def test_words_and_meaning_are_ranked_together(opened: Opener) -> None:
    store = opened(embedder=Letters())
    store.put(NOTES, "both", {"text": "green tea"})
    store.put(NOTES, "meaning", {"text": "eat genre"})
    store.put(NOTES, "neither", {"text": "zzz"})
    store.put(NOTES, "hidden", {"text": "green tea"}, index=False)
    found = store.search((), query="green tea")
    assert [item.key for item in found] == ["both", "meaning", "neither", "hidden"]
    both, meaning, neither, hidden = [item.score for item in found]
    assert both is not None and meaning is not None and neither is not None
    assert 1 >= both > meaning > neither >= 0
    assert hidden is None


def test_pages_of_words_and_meaning_make_up_the_whole(opened: Opener) -> None:
    store = opened(embedder=Letters(), index={"fields": ["texts[*]"]})
    drawn, count = random.Random(1), 4 * FIRST_LOOK
    words = ["tea", "eat", "ate", "coffee", "green", "greener", "genre", "bike", "a dog"]

    def texts() -> list[str]:
        return [" ".join(drawn.choices(words, k=2)) for _ in range(drawn.randint(1, 9))]

    store.batch([PutOp(NOTES, f"{number}", {"texts": texts()}) for number in range(count)])
    for query in ("green tea", "dog"):
        # All of the values are read here, so that nothing has to be looked up or proved.
        whole = store.search((), query=query, limit=20 * count)
        for size in (1, 5):
            paged = [
                item
                for offset in range(0, count, size)
                for item in store.search((), query=query, limit=size, offset=offset)
            ]
            assert [item.key for item in paged] == [item.key for item in whole]
            found = [item.score for item in paged]
            assert found == pytest.approx([item.score for item in whole], abs=1e-6)


async def test_a_batch_embeds_everything_at_once(opened: Opener) -> None:
    letters = Letters()
    store = opened(embedder=letters)
    await store.abatch(
        [PutOp(NOTES, "a", {"text": "tea"}), SearchOp((), query="tea"), SearchOp((), query="bike")]
    )
    assert [len(call) for call in letters.calls] == [3]


def test_what_an_index_says_wrongly_is_refused(opened: Opener) -> None:
    with pytest.raises(ConfigurationError, match="cannot retrieve by 'magic'"):
        opened(index={"retrieval": "magic"})
    with pytest.raises(ConfigurationError, match="needs an embedder"):
        opened(index={"retrieval": "dense"})
    with pytest.raises(ConfigurationError, match="8 dimensions, and letters gives 26"):
        opened(embedder=Letters(), index={"dims": 8})
    with pytest.raises(ConfigurationError, match="leave one out"):
        opened(embedder=Letters(), index={"dims": 26, "embed": Letters().embed})
    with pytest.raises(ConfigurationError, match=r"needs index\['dims'\]"):
        opened(index={"embed": Letters().embed})


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"when": {1, 2}}, "cannot be written as JSON"),
        ({"when": object()}, "cannot be written as JSON"),
        ({"a": {1: 2}}, "the key 1 is no text"),
        ([1, 2], "give a mapping"),
    ],
    ids=["set", "object", "number as key", "list"],
)
def test_a_value_that_is_no_json_is_refused(qdrant: BaseStore, value: Any, says: str) -> None:
    with pytest.raises(InputInvalid, match=says):
        qdrant.put(NOTES, "k", value)
    assert qdrant.search(()) == []


def test_a_value_that_holds_itself_is_refused(qdrant: BaseStore) -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(InputInvalid, match="cannot be written as JSON"):
        qdrant.put(NOTES, "k", value)


def test_ten_megabytes_are_kept_and_found_by_how_they_begin(qdrant: BaseStore) -> None:
    text = "beginning " + "filler " * 1_500_000
    qdrant.put(NOTES, "k", {"text": text})
    item = qdrant.get(NOTES, "k")
    assert item is not None
    assert item.value == {"text": text}
    assert (scores(qdrant, query="beginning")[0] or 0) > 0


def test_text_that_is_no_unicode_is_no_name(qdrant: BaseStore) -> None:
    with pytest.raises(InputInvalid, match="Unicode"):
        qdrant.put(NOTES, "\ud83d", {})
    with pytest.raises(InputInvalid, match="Unicode"):
        qdrant.search(("\ud83d",))
    with pytest.raises(InputInvalid, match="Unicode"):
        qdrant.list_namespaces(prefix=("\ud83d",))


async def embed_asynchronously(texts: Sequence[str]) -> list[list[float]]:
    return Letters().embed(texts)


class Langchain(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return Letters().embed(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


@pytest.mark.parametrize(
    "embed", [Letters().embed, embed_asynchronously, Langchain()], ids=["sync", "async", "object"]
)
async def test_langgraphs_settings_may_name_the_embedder(opened: Opener, embed: Any) -> None:
    store = opened(index={"dims": Letters.dims, "embed": embed, "retrieval": "dense"})
    for key, text in TEXTS.items():
        await store.aput(NOTES, key, {"text": text})
    hits = await store.asearch(NOTES, query=TEXTS["bike"], limit=1)
    assert [hit.key for hit in hits] == ["bike"]


async def test_a_function_that_is_awaited_embeds_in_a_synchronous_call_as_well(
    opened: Opener,
) -> None:
    store = opened(index={"dims": Letters.dims, "embed": embed_asynchronously})
    store.put(NOTES, "k", {"text": "tea"})
    assert [hit.key for hit in store.search(NOTES, query="tea")] == ["k"]


def test_an_embedder_that_gives_too_few_vectors_is_named(opened: Opener) -> None:
    def forgetful(texts: Sequence[str]) -> list[list[float]]:
        return Letters().embed(texts)[1:]

    store = opened(index={"dims": Letters.dims, "embed": forgetful})
    with pytest.raises(MemoryFault, match="gave 0 vectors for 1 texts") as fault:
        store.put(NOTES, "k", {"text": "tea"})
    assert fault.value.code == "vector_invalid"


@pytest.mark.parametrize("given", [0, 2])
def test_any_embedder_that_gives_another_number_of_vectors_is_named(
    opened: Opener, given: int
) -> None:
    class Odd(Letters):
        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return super().embed(["tea"] * given)

    store = opened(embedder=Odd())
    for call in (lambda: store.put(NOTES, "k", {"text": "tea"}), lambda: keys(store, query="tea")):
        with pytest.raises(MemoryFault, match=f"'letters' gave {given} vectors for 1 texts") as f:
            call()
        assert f.value.code == "vector_invalid"


def test_an_embedder_that_fails_fails_the_batch_and_nothing_is_written(opened: Opener) -> None:
    def broken(texts: Sequence[str]) -> list[list[float]]:
        raise ConnectionError("no model today")

    store = opened(index={"dims": Letters.dims, "embed": broken})
    with pytest.raises(ConnectionError, match="no model today"):
        store.put(NOTES, "k", {"text": "tea"})
    assert store.search(NOTES) == []
