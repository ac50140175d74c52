"""The head of a prompt's file: its name, version and values, and hints for the model."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, cast

import yaml

from stretto.errors import ConfigurationError
from stretto.prompts.template import is_list

_FILE = re.compile(r"\A---\n(.*?\n)---\n(.*)\Z", re.DOTALL)
_KEYS = ("name", "version", "description", "values", "model")


@dataclass(frozen=True, slots=True)
class ModelHints:
    """What the author of a prompt suggests to the model; None leaves it to the deployment."""

    name: str | None = None
    """A model's name, as ``open_model`` takes it."""
    temperature: float | None = None
    """How freely words are chosen, 0 to 2."""
    max_tokens: int | None = None
    """The longest answer, in tokens."""

    def to_dict(self) -> dict[str, Any]:
        """Give those that are set."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What stands above the text of a prompt."""

    name: str
    version: str
    description: str = ""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """What each value is; empty where the file does not say."""
    model: ModelHints = ModelHints()


def split_source(name: str, source: str) -> tuple[FrontMatter, str]:
    """Take a prompt's file apart.

    Args:
        name: the name of its file, which has to be its own.
        source: the whole text.

    Raises:
        ConfigurationError: the front matter is missing, or something in it is wrong.

    """
    match = _FILE.match(source.replace("\r\n", "\n"))
    if match is None:
        raise _wrong(name, "must begin with front matter between '---' lines")
    return _front_matter(name, match[1]), match[2].strip("\n") + "\n"


def _front_matter(name: str, source: str) -> FrontMatter:
    head = _mapping(name, source)
    _check_keys(name, head, _KEYS, "front matter")
    for key in ("name", "version"):
        if head.get(key) in (None, ""):
            raise _wrong(name, f"has no '{key}' in its front matter; write '{key}: ...'")
    if head["name"] != name:
        raise _wrong(name, f"calls itself '{head['name']}'; its name has to be that of its file")
    return FrontMatter(
        name,
        _text(name, head, "version"),
        " ".join(_text(name, head, "description").split()),
        _values(name, head.get("values")),
        _hints(name, head.get("model")),
    )


def _mapping(name: str, source: str) -> dict[str, Any]:
    try:
        head = yaml.safe_load(source)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no such date
        lines = " ".join(str(error).split())
        raise _wrong(name, f"has broken front matter: {lines}") from error
    if not isinstance(head, dict):
        raise _wrong(name, f"has front matter that is no mapping; its keys are {listed(_KEYS)}")
    return cast(dict[str, Any], head)


def _text(name: str, head: Mapping[str, Any], key: str) -> str:
    value = head.get(key)
    if isinstance(value, dict | list | bool):
        raise _wrong(name, f"has a '{key}' that is no text")
    return "" if value is None else str(value)


def _values(name: str, declared: Any) -> dict[str, str]:
    """Read the values: a list of names, or a mapping from names to what they are."""
    message = "has 'values' that are neither a list of names nor a mapping from names to texts"
    if declared is None:
        return {}
    if is_list(declared) and _plain(declared):
        declared = dict.fromkeys(declared, "")
    if not isinstance(declared, dict):
        raise _wrong(name, message)
    values = cast(dict[str, Any], declared)
    if not _plain([*values, *(text for text in values.values() if text is not None)]):
        raise _wrong(name, message)
    return {key: " ".join((text or "").split()) for key, text in values.items()}


def _plain(items: Iterable[Any]) -> bool:
    return all(isinstance(item, str) for item in items)


def _hints(name: str, declared: Any) -> ModelHints:
    if declared is None:
        return ModelHints()
    known = tuple(hint.name for hint in fields(ModelHints))
    if not isinstance(declared, dict):
        raise _wrong(name, f"has a 'model' that is no mapping; its keys are {listed(known)}")
    given = cast(dict[str, Any], declared)
    _check_keys(name, given, known, "model hint")
    checks = {
        "name": (_is_name, "the name of a model"),
        "temperature": (_is_temperature, "a number from 0 to 2"),
        "max_tokens": (_is_limit, "a whole number of at least 1"),
    }
    for key, value in given.items():
        fits, wanted = checks[key]
        if not fits(value):
            raise _wrong(name, f"has the model hint '{key}: {value}'; it is {wanted}")
    return ModelHints(**given)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_temperature(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 2


def _is_limit(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_keys(name: str, given: Iterable[Any], known: tuple[str, ...], what: str) -> None:
    for key in given:
        if key not in known:
            close = get_close_matches(str(key), known, 1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise _wrong(name, f"has an unknown {what} '{key}'; there are {listed(known)}.{hint}")


def _wrong(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"prompt '{name}' {what}")


def listed(names: Iterable[str]) -> str:
    """Put names into a sentence."""
    return ", ".join(f"'{name}'" for name in names)
