"""Chat models of the other providers that LangChain knows, with errors that say what to do."""

import os
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from stretto.agents.secrets import SHORTEST_HIDDEN
from stretto.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

OWN_PROVIDERS = ("offline", "openai", "recorded")
_POSSIBLE = (
    "'offline', 'openai:NAME', 'recorded:FILE', or a name of init_chat_model, 'PROVIDER:NAME'"
)
_PROVIDERS = re.compile(r"[Ss]upported (?:model )?providers(?: are)?: ([a-z0-9_, ]+)")
"""How ``init_chat_model`` lists its providers when it does not know one."""
_PACKAGE = re.compile(r"requires the (\S+) package")
_VARIABLE = re.compile(
    r"\b[A-Z][A-Z0-9]*_(?:[A-Z0-9]+_)*(?:KEY|TOKEN|SECRET|ID|URL|BASE|HOST|ENDPOINT|REGION|VERSION)\b"
)
"""What variables of the environment are called; other such words may be codes of an error."""


def open_langchain(name: str, settings: dict[str, Any]) -> "BaseChatModel":
    """Open a model by a name that ``init_chat_model`` knows.

    Args:
        name: ``PROVIDER:NAME``, or a name that tells its provider.
        settings: what its class is given; None stands for the provider's default.

    Raises:
        ConfigurationError: the provider is unknown, or its package, its key or another of its
            settings is missing.

    """
    from langchain.chat_models import init_chat_model

    given = {key: value for key, value in settings.items() if value is not None}
    try:
        model = cast("BaseChatModel", init_chat_model(name, max_retries=0, **given))
    except ImportError as error:
        raise ConfigurationError(_missing_package(name, error)) from error
    except Exception as error:
        # Each provider has its own kind of exception; all of them say that this cannot be used.
        raise ConfigurationError(_refusal(name, error, given)) from None
    _refuse_without_key(name, model)
    if "default_headers" in given and not getattr(model, "default_headers", None):
        raise ConfigurationError(f"model '{name}': its provider takes no headers; remove them")
    if "base_url" in given and not _takes_address(model):
        raise ConfigurationError(f"model '{name}': its provider takes no base_url; remove it")
    return model


def _takes_address(model: "BaseChatModel") -> bool:
    """Tell whether there is a place for an address; else it is ignored, and another is called."""
    places = type(model).model_fields.items()
    return any("base_url" in (place, field.alias) for place, field in places)


def _missing_package(name: str, error: ImportError) -> str:
    found = _PACKAGE.search(str(error))
    if found is None:
        return f"model '{name}' cannot be loaded: {error}"
    return f"model '{name}' needs the package {found[1]}: run 'pip install {found[1]}'"


def _refusal(name: str, error: Exception, given: dict[str, Any]) -> str:
    if listed := _PROVIDERS.search(str(error)):
        return _unknown(name, [word.strip() for word in listed[1].split(",") if word.strip()])
    named = dict.fromkeys(_VARIABLE.findall(str(error)))
    if variables := [variable for variable in named if not os.environ.get(variable)]:
        return f"model '{name}' needs a setting that is missing: set {' or '.join(variables)}"
    return f"model '{name}' cannot be opened: {_hidden(_reason(error), given)}"


def _reason(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):  # its text shows the values, and one may be the key
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        return "; ".join(": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in faults)
    return str(error).partition("\n")[0] or type(error).__name__


def _hidden(text: str, given: dict[str, Any]) -> str:
    headers: dict[str, str] = given.get("default_headers", {})
    words = (word for header in headers.values() for word in header.split())
    secrets = [given.get("api_key", ""), *(word for word in words if len(word) >= SHORTEST_HIDDEN)]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _unknown(name: str, providers: list[str]) -> str:
    known = sorted({*providers, *OWN_PROVIDERS})
    near = get_close_matches(name.partition(":")[0].lower(), known, 1, 0.6)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return (
        f"There is no model '{name}'.{hint} Possible are {_POSSIBLE}, "
        f"with one of the providers {', '.join(known)}."
    )


def _refuse_without_key(name: str, model: "BaseChatModel") -> None:
    """Some providers notice a missing key only when they are called; that is too late."""
    secrets = model.lc_secrets
    keys = {field: variable for field, variable in secrets.items() if field.endswith("api_key")}
    if len(keys) != 1:  # none, or several of which any would do
        return
    [(field, variable)] = keys.items()
    # An empty SecretStr is false; a field that is not there says nothing.
    if not getattr(model, field, "unknown") and not os.environ.get(variable):
        raise ConfigurationError(f"model '{name}' needs a key: set {variable}")
