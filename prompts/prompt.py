"""A prompt: a mustache text, the values that it needs, and where it comes from."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files
from typing import Any, cast

import yaml
from langchain_core.utils import mustache

from stretto.errors import ConfigurationError

Token = tuple[str, str]
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_KEYS = frozenset({"version", "description", "values"})


class _JsonDict(dict[str, Any]):
    """A mapping that reads as JSON where a prompt names it as a whole."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False, default=str)


class _JsonList(list[Any]):
    """A list that reads as JSON where a prompt names it as a whole."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False, default=str)


def _readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        mapping = cast(Mapping[str, Any], value)
        return _JsonDict({str(key): _readable(item) for key, item in mapping.items()})
    if isinstance(value, list | tuple):
        return _JsonList(_readable(item) for item in cast(Iterable[Any], value))
    return value


@dataclass(frozen=True)
class Prompt:
    """A text for a model, with places for values."""

    name: str
    version: str
    values: tuple[str, ...]
    """The names that ``render`` must be given, no more and no fewer."""
    text: str
    """The mustache template."""
    description: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the template, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def render(self, **values: Any) -> str:
        """Put values in.

        Text goes in as it is, without HTML escapes; mappings and lists go in as JSON unless a
        section of the template walks through them. Text inside values is never read as a template.

        Args:
            values: one for each name in ``values``.

        Raises:
            ConfigurationError: a value is missing, or one is given that the prompt does not use.

        """
        missing = sorted(set(self.values) - set(values))
        unused = sorted(set(values) - set(self.values))
        if missing or unused:
            parts = [f"needs {_listed(missing)}"] if missing else []
            parts += [f"does not use {_listed(unused)}"] if unused else []
            known = f"; its values are {_listed(self.values)}" if self.values else ""
            raise ConfigurationError(f"prompt '{self.name}' {' and '.join(parts)}{known}")
        data = {name: _readable(value) for name, value in values.items()}
        return mustache.render(_tokens(self.name, self.text), data).strip()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _tokens(name: str, text: str) -> list[Token]:
    try:
        tokens = list(mustache.tokenize(text, "{{", "}}"))
    except (mustache.ChevronError, SyntaxError) as error:
        lines = " ".join(str(error).split())
        raise ConfigurationError(f"prompt '{name}' is no valid mustache: {lines}") from error
    if partials := [key for kind, key in tokens if kind == "partial"]:
        raise ConfigurationError(f"prompt '{name}' includes '{partials[0]}'; write it out instead")
    return [("no escape" if kind == "variable" else kind, key) for kind, key in tokens]


def _names_used(tokens: Iterable[Token]) -> tuple[str, ...]:
    """List the values at the top of a template, in order; names inside a section belong to it."""
    names: dict[str, None] = {}
    depth = 0
    for kind, key in tokens:
        if kind == "end":
            depth -= 1
        elif kind in {"section", "inverted section", "no escape"}:
            if depth == 0 and key != ".":
                names[key.split(".")[0]] = None
            depth += kind != "no escape"
    return tuple(names)


def prompt_from_text(text: str, name: str = "text") -> Prompt:
    """Make a prompt of a mustache text; the values are the names at the top of it.

    Raises:
        ConfigurationError: the text is no valid mustache.

    """
    return Prompt(name, "0.0.0", _names_used(_tokens(name, text)), text)


def prompt_names() -> list[str]:
    """List the shipped prompts."""
    here = files("stretto.prompts").iterdir()
    return sorted(file.name.removesuffix(".md") for file in here if file.name.endswith(".md"))


def load_prompt(name: str) -> Prompt:
    """Load a shipped prompt.

    Args:
        name: the name of its file, without ``.md``.

    Raises:
        ConfigurationError: there is none of this name, or what it declares is wrong.

    """
    known = prompt_names()
    if name not in known:
        near = get_close_matches(name, known, 1, 0.4)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigurationError(f"There is no prompt '{name}'; there are {_listed(known)}.{hint}")
    return parse_prompt(name, (files("stretto.prompts") / f"{name}.md").read_text(encoding="utf-8"))


def parse_prompt(name: str, source: str) -> Prompt:
    """Read a prompt with its front matter: ``version``, ``values`` and ``description``.

    Args:
        name: what it is called.
        source: the whole text of its file.

    Raises:
        ConfigurationError: the front matter is missing or wrong, or the values it names are not
            those that the text uses.

    """
    match = _FRONT_MATTER.match(source.replace("\r\n", "\n"))
    if match is None:
        raise ConfigurationError(
            f"prompt '{name}' must begin with front matter between '---' lines"
        )
    head = _front_matter(name, match[1])
    text = match[2].strip() + "\n"
    declared = tuple(str(value) for value in head.get("values") or ())
    used = _names_used(_tokens(name, text))
    if wrong := sorted(set(declared) ^ set(used)):
        message = f"prompt '{name}' declares {_listed(declared)} but uses {_listed(used)}"
        raise ConfigurationError(f"{message}; they differ in {_listed(wrong)}")
    description = " ".join(str(head.get("description", "")).split())
    return Prompt(name, str(head.get("version", "0.0.0")), declared, text, description)


def _front_matter(name: str, source: str) -> dict[str, Any]:
    try:
        head = yaml.safe_load(source)
    except yaml.YAMLError as error:
        lines = " ".join(str(error).split())
        raise ConfigurationError(f"prompt '{name}' has broken front matter: {lines}") from error
    if not isinstance(head, dict) or not isinstance(head.get("values") or [], list):  # pyright: ignore[reportUnknownMemberType]
        raise ConfigurationError(f"prompt '{name}': front matter is 'version' and a list 'values'")
    head = cast(dict[str, Any], head)
    if unknown := sorted(set(head) - _KEYS):
        raise ConfigurationError(f"prompt '{name}' has unknown front matter {_listed(unknown)}")
    return head
