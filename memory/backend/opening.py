"""Choosing where memory is kept: a server when there is an address, a folder otherwise."""

from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from stretto.errors import ConfigurationError
from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.backend.protocol import Backend


def open_backend(
    folder: Path,
    url: str | None = None,
    api_key: SecretStr | None = None,
    dims: int | None = None,
    on_degraded: Callable[[str], None] | None = None,
) -> Backend:
    """Give the backend; nothing is opened before its first call.

    Args:
        folder: where an embedded memory is kept, and writes wait while a server is away.
        url: address of a Qdrant server; None for the embedded engine.
        api_key: what the server asks for.
        dims: numbers per dense vector, for a memory that has none yet; None for none.
        on_degraded: told once per outage of the server, from another thread.

    Raises:
        ConfigurationError: the package for servers is not installed.

    """
    if not url:
        return EdgeBackend(folder, dims)
    try:
        from stretto.memory.backend.server import ServerBackend
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "qdrant_client":
            raise
        raise ConfigurationError(
            "QDRANT_URL is set, but the package for Qdrant servers is missing; install "
            "stretto[qdrant]."
        ) from error
    return ServerBackend(folder, url, api_key, dims, on_degraded)
