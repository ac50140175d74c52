"""A connection to Redis, with every way it can be missing told in one sentence."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from stretto.errors import ConfigurationError

CONNECT_SECONDS = 1.0


@asynccontextmanager
async def open_redis(url: str, answer_seconds: float) -> AsyncGenerator[Any]:
    """Connect to Redis.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        answer_seconds: how long one answer may take.

    Raises:
        ConfigurationError: the package is missing, or Redis cannot be used.

    """
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
    except ModuleNotFoundError:
        raise ConfigurationError(
            "REDIS_URL is set, but the package 'redis' is missing; run pip install 'stretto[redis]'"
        ) from None
    try:
        client: Any = cast(Any, Redis).from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=answer_seconds,
            retry=Retry(NoBackoff(), 1),  # a connection that was kept may have died meanwhile
        )
    except ValueError as error:
        raise ConfigurationError(f"REDIS_URL is no address of a Redis: {error}") from None
    async with client:
        try:
            await client.ping()
        except (RedisError, OSError) as error:
            why = str(error) or type(error).__name__
            raise ConfigurationError(
                f"Redis at {shown(url)} cannot be used ({why}); start it or unset REDIS_URL"
            ) from error
        yield client


def shown(url: str) -> str:
    """Write an address without its password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
