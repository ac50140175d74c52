"""A sentence-transformers model in a folder embeds with NumPy alone."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import ConfigurationError
from stretto.memory.embeddings import Embedder, open_embedder
from stretto.memory.embeddings.bert.model import gelu
from stretto.memory.embeddings.bert.threads import OneThread
from stretto.memory.embeddings.bert.wordpiece import WordPiece
from tests.memory.tiny_bert import (
    SIZE,
    WORDS,
    exact_gelu,
    random_weights,
    reference,
    write_model,
    write_weights,
)

NUMBERS = {word: number for number, word in enumerate(WORDS)}
TEXTS = ["Red inks, unaffable!", "the paper is dry.", "", "press", "red ink " * 40]
TINY_TEXTS = st.lists(st.sampled_from(WORDS[5:]), max_size=12).map(" ".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Embedder:
    return opened(folder)


def opened(folder: Path) -> Embedder:
    embedder = open_embedder(f"dir:{folder}")
    assert embedder is not None
    return embedder


def tokens(text: str, limit: int = 100, lower_case: bool = True) -> list[str]:
    cut = WordPiece(NUMBERS, lower_case).tokens(text, limit)
    return [WORDS[number] for number in cut]


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | values), encoding="utf-8")


def test_vectors_are_those_of_a_plain_computation_in_64_bits(tiny: Embedder) -> None:
    cutter, weights = WordPiece(NUMBERS), random_weights()
    wanted = [reference(weights, cutter.tokens(text, 16)) for text in TEXTS]
    np.testing.assert_allclose(tiny.embed(TEXTS), wanted, atol=2e-6)


@pytest.mark.parametrize("pooling", [{"pooling_mode_cls_token": True}, {"pooling_mode": "cls"}])
def test_the_first_state_is_taken_where_the_model_says_so(
    tmp_path: Path, pooling: dict[str, Any]
) -> None:
    folder = write_model(tmp_path / "first")
    change(folder / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, **pooling)
    wanted = reference(random_weights(), WordPiece(NUMBERS).tokens("red ink", 16), first=True)
    np.testing.assert_allclose(opened(folder).embed(["red ink"])[0], wanted, atol=2e-6)


@pytest.mark.parametrize(("kind", "near"), [("F64", 1e-6), ("F16", 5e-3)])
def test_weights_of_other_precisions_and_names_are_read(
    tmp_path: Path, tiny: Embedder, kind: str, near: float
) -> None:
    folder = write_model(tmp_path / kind)
    write_weights(folder / "model.safetensors", random_weights(), kind, prefix="bert.")
    np.testing.assert_allclose(opened(folder).embed(TEXTS), tiny.embed(TEXTS), atol=near)


@given(texts=st.lists(TINY_TEXTS, max_size=8))
def test_a_vector_does_not_depend_on_what_it_is_embedded_with(
    tiny: Embedder, texts: list[str]
) -> None:
    together = tiny.embed(texts)
    assert len(together) == len(texts)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(vector, tiny.embed([text])[0], atol=2e-6)


@given(text=st.text(max_size=60))
def test_any_text_has_a_vector_of_length_1(tiny: Embedder, text: str) -> None:
    [vector] = tiny.embed([text])
    assert len(vector) == tiny.dims == SIZE
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_more_texts_than_a_batch_keep_their_order(tiny: Embedder) -> None:
    texts = [f"{'red ink ' * (n % 5)}{WORDS[5 + n % 20]}" for n in range(75)]
    single = [tiny.embed([text])[0] for text in texts]
    np.testing.assert_allclose(tiny.embed(texts), single, atol=2e-6)


def test_what_is_beyond_the_limit_is_not_seen(tiny: Embedder) -> None:
    start = "ink " * 14
    longer = tiny.embed([start + "press", start + "paper " * 100_000])
    np.testing.assert_allclose(longer, [tiny.embed([start])[0]] * 2, atol=2e-6)


def test_half_a_character_is_left_out(tiny: Embedder) -> None:
    broken, whole = tiny.embed(["red \ud83d ink", "red ink"])
    np.testing.assert_allclose(broken, whole, atol=2e-6)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Unaffable inks", "un ##aff ##able ink ##s"),
        ("unaffablex", "[UNK]"),
        ("CAFÉ cafe\u0301", "cafe cafe"),
        ("it's $7-77.", "[UNK] ' [UNK] $ 7 - 7 ##7 ."),
        ("去北京ink", "[UNK] 北 京 ink"),
        ("red\u00a0ink\u200b\tpress\x00", "red ink press"),
        ("[CLS] red", "[UNK] [UNK] [UNK] red"),
        ("i" * 101, "[UNK]"),
        (" \n", ""),
    ],
)
def test_texts_are_cut_as_bert_cuts_them(text: str, cut: str) -> None:
    assert tokens(text) == ["[CLS]", *cut.split(), "[SEP]"]


def test_a_model_that_tells_capitals_apart_keeps_them_and_accents() -> None:
    assert tokens("Red red café", lower_case=False)[1:-1] == ["[UNK]", "red", "[UNK]"]


def test_a_limit_counts_begin_and_end() -> None:
    assert tokens("red ink is dry", 4) == ["[CLS]", "red", "ink", "[SEP]"]


def test_the_error_function_is_right_to_32_bits() -> None:
    values = np.linspace(-8, 8, 4001, dtype=np.float32)
    wanted = [exact_gelu(float(value)) for value in values]
    np.testing.assert_allclose(gelu(values), wanted, atol=1e-6)


def test_numpy_gets_its_threads_back_when_the_last_has_ended() -> None:
    import threadpoolctl

    control: Any = threadpoolctl

    def threads() -> set[int]:
        pools: list[dict[str, Any]] = control.threadpool_info()
        return {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}

    with control.threadpool_limits(limits=2, user_api="blas"):
        before, one = threads(), OneThread()
        with one:
            with one:
                assert threads() == {1}
            assert threads() == {1}
        assert threads() == before == {2}


def test_a_model_has_one_fingerprint_wherever_it_lies_and_others_have_another(
    tmp_path: Path, tiny: Embedder
) -> None:
    moved = opened(write_model(tmp_path / "moved"))
    other = opened(write_model(tmp_path / "other", random_weights(1)))
    assert moved.name != tiny.name
    assert moved.fingerprint == tiny.fingerprint != other.fingerprint


def test_a_fingerprint_outlives_another_machines_rounding(tmp_path: Path, tiny: Embedder) -> None:
    weights = {name: w * np.float32(1 + 1e-6) for name, w in random_weights().items()}
    assert opened(write_model(tmp_path / "near", weights)).fingerprint == tiny.fingerprint


def cut_off(path: Path) -> None:
    content = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(content[:-1000])


def no_header(path: Path) -> None:
    (path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")


def no_bytes(path: Path) -> None:
    (path / "model.safetensors").write_bytes(b"")


def header_of_a_list(path: Path) -> None:
    (path / "model.safetensors").write_bytes((8).to_bytes(8, "little") + b"[1, 2]  ")


def a_tensor_less(path: Path) -> None:
    weights = random_weights()
    del weights["encoder.layer.1.output.dense.bias"]
    write_weights(path / "model.safetensors", weights)


def other_vocabulary(path: Path) -> None:
    (path / "vocab.txt").write_text("red\nink\n", encoding="utf-8")


def more_words(path: Path) -> None:
    words = "\n".join([*WORDS, "more"])
    (path / "vocab.txt").write_text(words, encoding="utf-8")


def not_text(path: Path) -> None:
    (path / "vocab.txt").write_bytes(b"\xff\xfe\x00")


def broken_json(path: Path) -> None:
    (path / "config.json").write_text('{"hidden_size": 3', encoding="utf-8")


def json_of_a_list(path: Path) -> None:
    (path / "config.json").write_text("[]", encoding="utf-8")


def other_family(path: Path) -> None:
    change(path / "config.json", model_type="roberta")


def other_shape(path: Path) -> None:
    change(path / "config.json", hidden_size=48)


def no_heads(path: Path) -> None:
    change(path / "config.json", num_attention_heads=0)


def odd_heads(path: Path) -> None:
    change(path / "config.json", num_attention_heads=5)


def no_layers(path: Path) -> None:
    content = json.loads((path / "config.json").read_text(encoding="utf-8"))
    del content["num_hidden_layers"]
    (path / "config.json").write_text(json.dumps(content), encoding="utf-8")


def other_pooling(path: Path) -> None:
    change(path / "1_Pooling" / "config.json", pooling_mode_max_tokens=True)


def weighted_pooling(path: Path) -> None:
    path = path / "1_Pooling" / "config.json"
    path.write_text('{"pooling_mode": "weightedmean"}', encoding="utf-8")


def another_module(path: Path) -> None:
    modules = [{"path": "", "type": "sentence_transformers.models.Dense"}]
    (path / "modules.json").write_text(json.dumps(modules), encoding="utf-8")


def no_limit(path: Path) -> None:
    change(path / "sentence_bert_config.json", max_seq_length=1)


def no_weights(path: Path) -> None:
    (path / "model.safetensors").unlink()


def no_folder(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (no_folder, "there is no folder"),
        (no_weights, "model.safetensors is missing"),
        (cut_off, "model.safetensors is damaged: it is cut off"),
        (no_header, "model.safetensors is damaged: it is cut off or not"),
        (no_bytes, "model.safetensors is damaged"),
        (header_of_a_list, "model.safetensors is damaged"),
        (a_tensor_less, r"encoder.layer.1.output.dense.bias.*missing"),
        (other_vocabulary, "vocab.txt is no vocabulary of BERT"),
        (more_words, "vocab.txt has more words"),
        (not_text, "vocab.txt"),
        (broken_json, "config.json is damaged"),
        (json_of_a_list, "config.json"),
        (other_family, "its model_type is 'roberta', and only 'bert'"),
        (other_shape, "than config.json says"),
        (no_heads, "config.json"),
        (odd_heads, "config.json"),
        (no_layers, "config.json is incomplete.*num_hidden_layers"),
        (other_pooling, "its pooling is"),
        (weighted_pooling, "its pooling is pooling_mode_weightedmean"),
        (another_module, "modules.json names a 'Dense'"),
        (no_limit, "max_seq_length"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, spoil: Any, told: str
) -> None:
    folder = write_model(tmp_path / "model")
    spoil(folder)
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_embedder(f"dir:{folder}")
    assert str(folder) in caught.value.message
    assert "\n" not in caught.value.message


MINILM = os.environ.get("STRETTO_TEST_MINILM")
KNOWN = "That is a happy person"


@pytest.mark.skipif(not MINILM, reason="STRETTO_TEST_MINILM names no folder of all-MiniLM-L6-v2")
def test_all_minilm_l6_v2_finds_what_means_the_same() -> None:
    assert MINILM is not None
    embedder = opened(Path(MINILM))
    happy, dog, very, sunny = np.array(
        embedder.embed([KNOWN, "That is a happy dog", "That is a very happy person", "Sunny day"])
    )
    assert embedder.dims == 384
    # The figures that the model's publisher shows for the first two of these sentences.
    assert happy @ dog == pytest.approx(0.695, abs=0.001)
    assert happy @ very == pytest.approx(0.943, abs=0.001)
    assert happy @ sunny < 0.5
