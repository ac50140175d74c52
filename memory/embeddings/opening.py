"""An embedder by its name."""

from pathlib import Path

from pydantic import SecretStr

from stretto.memory.embeddings.checked import DIRECTORY, CheckedEmbedder
from stretto.memory.embeddings.protocol import Embedder
from stretto.memory.embeddings.vectors import VectorCache


def open_embedder(
    name: str | None,
    cache: Path | None = None,
    *,
    api_key: SecretStr | None = None,
    base_url: str | None = None,
) -> Embedder | None:
    """Open what turns texts into vectors; a service is called at the first use, not here.

    Args:
        name: ``dir:PATH`` for a folder of sentence-transformers with a BERT model, or a name of
            LangChain's ``init_embeddings`` such as ``openai:text-embedding-3-small``; None or
            empty for none.
        cache: the SQLite file in which vectors are kept by the hash of their text; None for none.
        api_key: the key for OpenAI; None takes that of the environment.
        base_url: where OpenAI's protocol is spoken; None takes that of the environment.

    Raises:
        ConfigurationError: there is no such embedder, or something that it needs is missing.

    """
    if not name:
        return None
    if name.startswith(DIRECTORY):
        from stretto.memory.embeddings.bert.directory import open_directory

        compute = open_directory(Path(name.removeprefix(DIRECTORY)).expanduser())
    else:
        from stretto.memory.embeddings.hosted import open_hosted

        compute = open_hosted(name, api_key, base_url)
    return CheckedEmbedder(name, compute, VectorCache(cache) if cache is not None else None)
