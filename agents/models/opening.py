"""From a model's name to a chat model."""

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stretto.agents.models.providers import open_langchain
from stretto.agents.secrets import Secrets
from stretto.errors import ConfigurationError
from stretto.forbidding import check_allowed

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from pydantic import SecretStr

    from stretto.config import Settings

DEFAULT_OPENAI_MODEL = "gpt-4.1-mini"
"""The model asked when there is a key and nobody named one."""
TIMEOUT = 60.0
CALLED = "stretto_model"
"""Where a model's metadata keep how settings, limits and prices know it."""
_OPENAI_NAMES = ("gpt-", "chatgpt-", "o1", "o3", "o4")
"""How models of OpenAI begin, which need no ``openai:``."""


def chosen_model(name: str | None = None, *, api_key: str | None = None) -> str:
    """Say which model a name stands for, as settings, limits and prices know it.

    Args:
        name: a model's name; ``STRETTO_MODEL`` if None, else a small OpenAI model when there is a
            key, else ``offline``.
        api_key: OpenAI's key; ``OPENAI_API_KEY`` if None.

    """
    key = api_key or os.environ.get("OPENAI_API_KEY")
    chosen = (name or "").strip() or os.environ.get("STRETTO_MODEL", "").strip()
    chosen = chosen or (f"openai:{DEFAULT_OPENAI_MODEL}" if key else "offline")
    bare = ":" not in chosen and chosen.startswith(_OPENAI_NAMES)
    return f"openai:{chosen}" if bare else chosen


def _called(chosen: str) -> str:
    """Give the model that is really asked: of one that records, the one it records."""
    source = chosen.rpartition("?record=")[2] if chosen.startswith("recorded:") else chosen
    return chosen_model(source) if source else chosen


def open_model(
    name: str | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    temperature: float | None = None,
    max_tokens: int | None = None,
) -> "BaseChatModel":
    """Open a chat model.

    Retries are off: steps have their own, and the two would multiply. No call is made.

    Args:
        name: ``offline``, or ``offline:20`` for a word every 20 ms; ``openai:NAME`` for any
            OpenAI-compatible service; ``recorded:FILE`` to replay calls, and
            ``recorded:FILE?record=NAME`` to record those of another model; or a name that
            LangChain's ``init_chat_model`` knows. If None, see ``chosen_model``.
        api_key: the service's key; the variable of its provider if None.
        base_url: the service's address; ``OPENAI_BASE_URL`` for ``openai:NAME`` if None.
        headers: sent with every call, besides those of the protocol.
        timeout: seconds without an answer before a call fails.
        temperature: how freely words are chosen; the service's default if None.
        max_tokens: the longest answer; the service's default if None.

    Raises:
        ConfigurationError: no model has this name, its key or its package is missing, or a
            setting does not fit.

    """
    chosen = chosen_model(name, api_key=api_key)
    given: dict[str, Any] = {
        "api_key": api_key,
        "base_url": _checked_url(chosen, base_url),
        "timeout": timeout,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }
    chat = _opened(chosen, given, headers or {})
    chat.metadata = {**(chat.metadata or {}), CALLED: _called(chosen)}
    return chat


def open_configured(
    name: str | None,
    settings: "Settings",
    resolve_secret: Callable[[str], str] | None = None,
) -> "BaseChatModel":
    """Open a chat model as a deployment's settings say; their OpenAI key is for OpenAI only.

    Args:
        name: the model's name; the one in the settings if None.
        settings: where its section ``[stretto.models."NAME"]`` is looked for, by the name that
            ``chosen_model`` gives, or by the recorded model's for ``?record=NAME``.
        resolve_secret: gives what ``secret://NAME`` stands for; the environment if None.

    Raises:
        ConfigurationError: as ``open_model``, or a secret is missing.

    """
    openai_key = _shown(settings.openai_api_key)
    chosen = chosen_model(name or settings.model, api_key=openai_key)
    called = _called(chosen)
    own = settings.model_settings(called)
    key, base_url = _shown(own.api_key), own.base_url
    if called.startswith("openai:"):
        key, base_url = key or openai_key, base_url or settings.openai_base_url
    secrets = Secrets(resolve_secret)
    headers = {header: secrets.fill(text) for header, text in (own.headers or {}).items()}
    return open_model(
        chosen,
        api_key=key and secrets.fill(key),
        base_url=base_url,
        headers=headers,
        timeout=own.timeout or TIMEOUT,
        temperature=own.temperature,
        max_tokens=own.max_tokens,
    )


def _opened(chosen: str, given: dict[str, Any], headers: Mapping[str, str]) -> "BaseChatModel":
    provider, _, model = chosen.partition(":")
    if provider == "offline":
        return _offline(chosen)
    if provider == "recorded":
        return _recorded(model, {**given, "headers": headers})
    for text in (given["api_key"] or "", *headers, *headers.values()):
        _refuse_unsendable(chosen, text)
    given["default_headers"] = dict(headers) or None
    if provider == "openai":
        return _openai(chosen, model, given)
    opened = open_langchain(chosen, given)
    check_allowed(chosen, given["base_url"])
    return opened


def _shown(secret: "SecretStr | None") -> str | None:
    return secret.get_secret_value() if secret else None


def _checked_url(name: str, base_url: str | None) -> str | None:
    if not base_url:
        return None
    import httpx2

    from stretto.agents.transport import shown

    given = ""
    try:
        url = httpx2.URL(base_url)
        if url.scheme in ("http", "https") and url.host and url.port != 0:
            return base_url
        given = f", not '{shown(url)}'"
    except (httpx2.InvalidURL, ValueError):
        pass
    raise ConfigurationError(
        f"model '{name}': its address (base_url, OPENAI_BASE_URL) has to look like 'https://host/v1'{given}"
    )


def _refuse_unsendable(name: str, text: str) -> None:
    if not (text.isascii() and text.isprintable()):
        message = f"model '{name}': its key or a header holds characters no header may carry"
        raise ConfigurationError(message)


def _recorded(place: str, given: dict[str, Any]) -> "BaseChatModel":
    from stretto.agents.models.recorded import open_recorded

    return open_recorded(place, lambda source: open_model(source, **given))


def _offline(name: str) -> "BaseChatModel":
    from stretto.agents.models.offline import OfflineModel

    pace = name.partition(":")[2]
    if pace and not (re.fullmatch("[0-9]{1,4}", pace) and int(pace) <= 1000):
        message = f"model '{name}': write the milliseconds between two words, as in 'offline:20'"
        raise ConfigurationError(message)
    return OfflineModel(pace=int(pace or 0) / 1000)


def _openai(name: str, model: str, given: dict[str, Any]) -> "BaseChatModel":
    key = given.pop("api_key") or os.environ.get("OPENAI_API_KEY")
    if not model:
        raise ConfigurationError(f"model '{name}' has no name after 'openai:'")
    if not key:
        message = f"model '{name}' needs a key: set OPENAI_API_KEY, or use the model 'offline'"
        raise ConfigurationError(message)
    _refuse_unsendable(name, key)
    if not given["base_url"]:
        given["base_url"] = _checked_url(name, os.environ.get("OPENAI_BASE_URL"))
    check_allowed(name, given["base_url"])
    from pydantic import SecretStr

    from stretto.agents.models.client import bounded_client
    from stretto.agents.models.strict import StrictChatOpenAI

    return StrictChatOpenAI(
        model=model,
        api_key=SecretStr(key),
        max_retries=0,
        stream_usage=True,
        stream_chunk_timeout=given["timeout"],
        http_async_client=bounded_client(),
        openai_proxy="",  # the client above knows the proxy
        **given,
    )
