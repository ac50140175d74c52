"""Embeddings of services and libraries that LangChain knows."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from stretto.errors import ConfigurationError, MemoryFault
from stretto.forbidding import check_allowed
from stretto.memory.embeddings.protocol import Compute

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

BLANK = "-"
"""Embedded in place of a text of white space, which services refuse with the whole batch."""
BATCH_TEXTS = 256
BATCH_BYTES = 250_000
TEXT_BYTES = 8_000
"""A token has at least one byte: OpenAI's limits of 8,191 tokens per text and 300,000 per call hold
without counting them, for which LangChain would download a vocabulary."""
HERE = "huggingface:"
"""Libraries that compute in this process."""
OPENAI: dict[str, Any] = {"check_embedding_ctx_length": False, "timeout": 20.0, "max_retries": 2}


def open_hosted(name: str, api_key: SecretStr | None, base_url: str | None) -> Compute:
    """Open embeddings by the name that ``init_embeddings`` knows; calls nothing yet.

    Args:
        name: provider and model, such as ``openai:text-embedding-3-small``.
        api_key: the key for OpenAI; None takes that of the environment.
        base_url: where OpenAI's protocol is spoken; None takes that of the environment.

    Raises:
        ConfigurationError: the provider is not known, its package or its key is missing, or it is
            a service on another machine and tests forbid those.

    """
    if ":" not in name:
        raise _unusable(name, "it names no provider")
    from langchain.embeddings import init_embeddings

    options = dict(OPENAI) if name.startswith("openai:") else {}
    if options and api_key is not None:
        options["api_key"] = api_key
    if options and base_url is not None:
        options["base_url"] = base_url
    try:
        embeddings = init_embeddings(name, **options)
    except ValueError as error:
        raise _unusable(name, str(error).partition("\n")[0]) from None
    except ImportError as error:
        raise _unusable(name, str(error)) from None
    except Exception as error:  # every provider tells a missing key in its own way
        what = f"{type(error).__name__}; set its key in the environment, such as OPENAI_API_KEY"
        raise _unusable(name, what) from None
    if not name.startswith(HERE):
        check_allowed(name, _address(embeddings), "embedder", "'dir:FOLDER' or none")
    return lambda texts: _embed(name, embeddings, texts)


def _address(embeddings: Any) -> str | None:
    """Give where embeddings are asked, as far as they tell."""
    names = ("openai_api_base", "base_url")
    told: Any = next((v for n in names if (v := getattr(embeddings, n, None))), None)
    if told is None and hasattr(embeddings, names[0]):
        told = os.environ.get("OPENAI_BASE_URL")  # read by the client underneath
    return None if told is None else str(told)


def _unusable(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the embedder '{name}' cannot be used: {why} (names are 'provider:model', such as"
        " 'openai:text-embedding-3-small', or 'dir:PATH')"
    )


def _embed(name: str, embeddings: "Embeddings", texts: Sequence[str]) -> list[list[float]]:
    vectors: list[list[float]] = []
    for batch in _batches(texts):
        try:
            vectors += embeddings.embed_documents(batch)
        except Exception as error:  # its message may repeat a key, so only its type is told
            status = getattr(error, "status_code", None)
            what = type(error).__name__ + (f", status {status}" if status else "")
            raise MemoryFault(
                f"the embedder '{name}' failed ({what}); check its address, key and model",
                code="embedder_failed",
            ) from None
    return vectors


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch, size = list[str](), 0
    for text in texts:
        cut = _cut(text) if text.strip() else BLANK
        length = len(cut.encode())
        if len(batch) == BATCH_TEXTS or (batch and size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(cut)
        size += length
    if batch:
        yield batch


def _cut(text: str) -> str:
    return text[:TEXT_BYTES].encode(errors="replace")[:TEXT_BYTES].decode(errors="ignore")
