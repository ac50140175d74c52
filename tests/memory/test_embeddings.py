"""Vectors of services: opened by name, checked, and kept for reuse."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from stretto.errors import ConfigurationError, MemoryFault
from stretto.forbidding import FORBID
from stretto.memory.embeddings import Embedder, open_embedder
from stretto.memory.embeddings.checked import CheckedEmbedder
from stretto.memory.embeddings.vectors import VectorCache
from tests.fakes.answers import Answer, words_as_vector
from tests.fakes.openai_server import OpenAIServer, openai_server

NAME = "openai:tiny-2"
KEY = "key-that-nobody-may-see"


class Counted:
    """An embedding function of 8 numbers that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked += texts
        return [words_as_vector(text, 8) for text in texts]


def of(server: OpenAIServer, cache: Path | None = None) -> Embedder:
    embedder = open_embedder(NAME, cache, api_key=SecretStr(KEY), base_url=server.base_url)
    assert embedder is not None
    return embedder


async def embed(embedder: Embedder, *texts: str) -> list[list[float]]:
    return await asyncio.to_thread(embedder.embed, texts)


@pytest.mark.parametrize("name", [None, ""])
def test_no_name_is_no_embedder(name: str | None) -> None:
    assert open_embedder(name) is None


async def test_a_service_gives_a_vector_per_text_in_their_order() -> None:
    async with openai_server() as server:
        vectors = await embed(of(server), "red ink", "paper", "red ink")
    assert vectors == [words_as_vector(text, 8) for text in ("red ink", "paper", "red ink")]
    assert server.requests[-1]["input"] == ["red ink", "paper"]
    assert server.requests[-1]["model"] == "tiny-2"
    assert set(server.authorizations) == {f"bearer {KEY}"}


async def test_opening_calls_no_service() -> None:
    async with openai_server() as server:
        embedder = of(server)
        assert (embedder.name, server.requests) == (NAME, [])
        assert await asyncio.to_thread(lambda: embedder.dims) == 8
        assert len(server.requests) == 1
        await asyncio.to_thread(lambda: (embedder.dims, embedder.fingerprint))
        assert len(server.requests) == 1


async def test_a_service_is_told_by_its_name_and_dimensions() -> None:
    async with openai_server(dims=8) as one, openai_server(dims=9) as other:
        embedders = [of(server) for server in (one, one, other)]
        marks = await asyncio.to_thread(lambda: [each.fingerprint for each in embedders])
    assert marks == ["openai:tiny-2/8", "openai:tiny-2/8", "openai:tiny-2/9"]


async def test_white_space_and_half_characters_do_not_spoil_a_batch() -> None:
    async with openai_server() as server:
        vectors = await embed(of(server), "", " \n", "\ud83d ink", "ink")
    assert len(vectors) == 4
    assert server.requests[-1]["input"] == ["-", "-", "? ink", "ink"]


async def test_texts_and_batches_stay_within_what_services_take() -> None:
    texts = [f"{n} " + "é" * 9000 for n in range(40)] + [f"short {n}" for n in range(300)]
    async with openai_server() as server:
        vectors = await embed(of(server), *texts)
    batches: list[list[str]] = [request["input"] for request in server.requests[1:]]
    assert len(vectors) == sum(map(len, batches)) == len(texts)
    assert max(map(len, batches)) <= 256
    assert max(sum(len(text.encode()) for text in batch) for batch in batches) <= 250_000
    assert max(len(text.encode()) for batch in batches for text in batch) <= 8000


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (Answer(missing=1), "gave 1 vectors for 2 texts"),
        (Answer(number=float("nan")), "not finite"),
        (Answer(number=float("inf")), "not finite"),
        (Answer(number=1e300), "not finite"),
        (Answer(dims=9), "a vector of 9 numbers instead of 8"),
    ],
)
async def test_vectors_that_cannot_be_used_are_refused_and_not_kept(
    tmp_path: Path, later: Answer, told: str
) -> None:
    async with openai_server(Answer(), later, Answer()) as server:
        embedder = of(server, tmp_path / "vectors.db")
        with pytest.raises(MemoryFault, match=told) as caught:
            await embed(embedder, "red", "ink")
        again = await embed(embedder, "red", "ink")
    assert (caught.value.code, caught.value.degrades) == ("vector_invalid", False)
    assert again == [words_as_vector("red", 8), words_as_vector("ink", 8)]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(status=401), "AuthenticationError, status 401"),
        (Answer(status=404), "NotFoundError, status 404"),
        (Answer(fault="malformed_json"), "check its address, key and model"),
        (Answer(missing=4), "check"),
    ],
)
async def test_a_service_that_fails_is_told_without_its_key(answer: Answer, told: str) -> None:
    async with openai_server(answer) as server:
        with pytest.raises(MemoryFault, match=told) as caught:
            await embed(of(server), "red ink")
    assert caught.value.code in ("embedder_failed", "vector_invalid")
    assert KEY not in caught.value.message


async def test_a_run_may_go_on_without_a_service_that_is_away() -> None:
    async with openai_server(status=400) as server:
        embedder = of(server)
        with pytest.raises(MemoryFault) as caught:
            await embed(embedder, "red ink")
    assert (caught.value.code, caught.value.degrades) == ("embedder_failed", True)


async def test_a_service_that_comes_back_is_asked_again() -> None:
    async with openai_server(Answer(status=400), Answer()) as server:
        embedder = of(server)
        with pytest.raises(MemoryFault):
            await embed(embedder, "red ink")
        assert await embed(embedder, "red ink") == [words_as_vector("red ink", 8)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("text-embedding-3-small", "it names no provider"),
        ("opneai:text-embedding-3-small", "opneai"),
        ("cohere:embed-v3", "cohere"),
        ("openai:", "openai:"),
    ],
)
def test_a_name_that_cannot_be_opened_is_refused_in_one_sentence(name: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_embedder(name, api_key=SecretStr(KEY))
    assert f"the embedder '{name}' cannot be used" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_missing_key_is_told_when_the_embedder_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        open_embedder("openai:text-embedding-3-small")


@pytest.mark.parametrize("base_url", [None, "https://api.example.org/v1"])
def test_a_real_service_is_forbidden_where_its_models_are(
    base_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv(FORBID, "1")
    told = "embedder 'openai:tiny-2' is of a real service, .* use 'dir:FOLDER' or none"
    with pytest.raises(ConfigurationError, match=told):
        open_embedder(NAME, api_key=SecretStr(KEY), base_url=base_url)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert open_embedder(NAME, api_key=SecretStr(KEY)) is not None


def test_no_text_is_embedded_twice(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "vectors.db"
    first, second = Counted(), Counted()
    one = CheckedEmbedder(NAME, first, VectorCache(path))
    vectors = one.embed(["red ink", "paper"])
    probes = len(first.asked) - 2
    assert one.embed(["paper", "red ink", "press"]) == [*reversed(vectors), *one.embed(["press"])]
    assert first.asked[probes:] == ["red ink", "paper", "press"]
    assert CheckedEmbedder(NAME, second, VectorCache(path)).embed(["red ink", "paper"]) == vectors
    assert len(second.asked) == probes


def test_embedders_do_not_share_vectors(tmp_path: Path) -> None:
    path, other = tmp_path / "vectors.db", Counted()
    CheckedEmbedder(NAME, Counted(), VectorCache(path)).embed(["red ink"])
    CheckedEmbedder("openai:tiny-3", other, VectorCache(path)).embed(["red ink"])
    assert other.asked[-1] == "red ink"


@given(vectors=st.lists(st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3)))
def test_kept_vectors_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, vectors: list[list[float]]
) -> None:
    cache = VectorCache(tmp_path_factory.mktemp("cache") / "vectors.db")
    kept = {bytes([number]): vector for number, vector in enumerate(vectors)}
    if kept:
        cache.put(kept)
    assert cache.get(list(kept), 3) == kept
    assert cache.get(list(kept), 4) == {}


def test_the_newest_vectors_stay_when_the_file_is_full(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "vectors.db", max_bytes=10 * 8)
    for number in range(25):
        cache.put({bytes([number]): [float(number), 1.0]})
    kept = cache.get([bytes([number]) for number in range(25)], 2)
    assert sorted(kept) == [bytes([number]) for number in range(15, 25)]


def test_more_keys_than_sqlite_takes_at_once_are_found(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "vectors.db")
    kept = {number.to_bytes(4, "big"): [float(number)] for number in range(1200)}
    cache.put(kept)
    assert cache.get(list(kept), 1) == kept


def test_a_file_that_fails_costs_a_repeated_computation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "vectors.db"
    path.write_bytes(b"no database" * 1000)
    counted = Counted()
    embedder = CheckedEmbedder(NAME, counted, VectorCache(path))
    assert embedder.embed(["red"]) == embedder.embed(["red"]) == [words_as_vector("red", 8)]
    assert counted.asked.count("red") == 2
    assert str(path) in caplog.text


def test_a_foreign_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE vectors (mine TEXT)")
        connection.execute("INSERT INTO vectors VALUES ('kept')")
    CheckedEmbedder(NAME, Counted(), VectorCache(path)).embed(["red"])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM vectors").fetchall() == [("kept",)]


async def test_threads_share_a_file_and_an_embedder(tmp_path: Path) -> None:
    embedder = CheckedEmbedder(NAME, Counted(), VectorCache(tmp_path / "vectors.db"))
    texts = [[f"w{n % 7}", f"w{n % 11}"] for n in range(40)]
    found = await asyncio.gather(*(asyncio.to_thread(embedder.embed, pair) for pair in texts))
    assert found == [[words_as_vector(text, 8) for text in pair] for pair in texts]


@pytest.mark.parametrize("wrong", [[["a"]], [None], [[]], [[1.0, "b"]]])
def test_what_is_no_vector_is_refused(wrong: list[list[float]]) -> None:
    embedder = CheckedEmbedder("own", lambda texts: wrong * len(texts))
    with pytest.raises(MemoryFault) as caught:
        embedder.embed(["red"])
    assert caught.value.code == "vector_invalid"


def test_no_texts_have_no_vectors() -> None:
    assert CheckedEmbedder("own", Counted()).embed([]) == []
