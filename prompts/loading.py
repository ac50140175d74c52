"""From a name or a file to a prompt, with the texts that it includes."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from stretto.errors import ConfigurationError
from stretto.prompts.front_matter import listed, split_source
from stretto.prompts.prompt import Prompt
from stretto.prompts.template import names_used, tokens_of

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DEEPEST = 20
"""How many includes may stand in each other."""
_INCLUDE = re.compile(
    r"^(?P<indent>[ \t]*)\{\{>\s*(?P<line>[A-Za-z0-9_-]+)\s*\}\}[ \t]*$"
    r"|\{\{>\s*(?P<inline>[A-Za-z0-9_-]+)\s*\}\}",
    re.MULTILINE,
)


def load_prompt(name: str | Path, folder: str | Path | None = None) -> Prompt:
    """Load a prompt from its Markdown file.

    Args:
        name: the name of a prompt; or the path of a ``.md`` file, relative to ``folder`` if there
            is one.
        folder: where prompts of your own are; looked into before the shipped ones.

    Raises:
        ConfigurationError: there is none of this name, or what it declares is wrong.

    """
    own = _own(folder)
    if isinstance(name, Path) or name.endswith(".md"):
        path = Path(own or "", name)
        return parse_prompt(path.stem, _text_of(path), path.parent)
    text, beside = _Shelf(own).find(name, f"There is no prompt '{name}'")
    return parse_prompt(name, text, beside)


def prompt_names(folder: str | Path | None = None) -> list[str]:
    """List the shipped prompts and those in ``folder``; parts for others, ``_name``, are no such.

    Raises:
        ConfigurationError: there is no such folder.

    """
    return [name for name in _Shelf(_own(folder)).names() if not name.startswith("_")]


def prompt_from_text(text: str, name: str = "text", folder: str | Path | None = None) -> Prompt:
    """Make a prompt of a mustache text; the values are the names at the top of it.

    Args:
        text: the template.
        name: what it is called.
        folder: where its includes are looked for before the shipped prompts.

    Raises:
        ConfigurationError: the text is no valid mustache, or includes what is not there.

    """
    whole, includes = _resolved(name, text, _own(folder), ())
    return Prompt(name, "0.0.0", names_used(tokens_of(name, whole)), whole, includes=includes)


def parse_prompt(name: str, source: str, beside: Traversable | None = None) -> Prompt:
    """Read the text of a prompt's file.

    Args:
        name: the name of the file.
        source: its whole text.
        beside: its folder, where its includes are looked for before the shipped prompts.

    Raises:
        ConfigurationError: the front matter is missing or wrong, an include is not there, or the
            declared values are not those that the text uses.

    """
    head, text = split_source(name, source)
    whole, includes = _resolved(name, text, beside, ())
    used = names_used(tokens_of(name, whole))
    if wrong := sorted(set(head.values) ^ set(used)):
        message = f"prompt '{name}' declares {listed(head.values)} but uses {listed(used)}"
        raise ConfigurationError(f"{message}; they differ in {listed(wrong)}")
    values = tuple(head.values)
    about, hints = head.values, head.model
    return Prompt(name, head.version, values, whole, head.description, about, hints, includes)


def _resolved(
    name: str, text: str, beside: Traversable | None, chain: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Put the texts of all includes in their places.

    Returns:
        The whole text, and the names of what is included.

    """
    chain = (*chain, name)
    included: dict[str, None] = {}

    def replaced(match: re.Match[str]) -> str:
        part: str = match["line"] or match["inline"]
        if part in chain:
            circle = " > ".join([*chain, part])
            raise ConfigurationError(f"prompt '{chain[0]}' includes itself: {circle}")
        if len(chain) > _DEEPEST:
            message = f"prompt '{chain[0]}' includes texts in texts more than {_DEEPEST} deep"
            raise ConfigurationError(message)
        absent = f"prompt '{' > '.join(chain)}' includes '{part}', which is not there"
        source, folder = _Shelf(beside).find(part, absent)
        _, body = split_source(part, source)
        whole, more = _resolved(part, body, folder, chain)
        tokens_of(part, whole)
        included.update(dict.fromkeys([part, *more]))
        indent: str = match["indent"] or ""
        return "\n".join(indent + line if line else line for line in whole.strip().split("\n"))

    return _INCLUDE.sub(replaced, text), tuple(included)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where prompts are looked for: a folder, then the shipped ones."""

    own: Traversable | None

    def find(self, name: str, absent: str) -> tuple[str, Traversable]:
        """Give the text of a prompt's file, and the folder that it is in.

        Raises:
            ConfigurationError: there is none; the message begins with ``absent``.

        """
        for folder in self._folders():
            file = folder / f"{name}.md"
            if _NAME.fullmatch(name) and file.is_file():
                return _text_of(file), folder
        known = self.names()
        near = get_close_matches(name, known, 1, 0.4)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigurationError(f"{absent}; there are {listed(known)}.{hint}")

    def names(self) -> list[str]:
        """List what can be loaded by name."""
        every = [file.name for folder in self._folders() for file in folder.iterdir()]
        stems = {name.removesuffix(".md") for name in every if name.endswith(".md")}
        return sorted(stem for stem in stems if _NAME.fullmatch(stem))

    def _folders(self) -> tuple[Traversable, ...]:
        shipped = files("stretto.prompts")
        return (shipped,) if self.own is None else (self.own, shipped)


def _own(folder: str | Path | None) -> Path | None:
    if folder is None:
        return None
    if not Path(folder).is_dir():
        raise ConfigurationError(f"there is no folder of prompts '{folder}'")
    return Path(folder)


def _text_of(file: Traversable) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"prompt file '{file}' cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"prompt file '{file}' is not UTF-8 text") from None
    except ValueError:
        raise ConfigurationError(f"no file is called {str(file)!r}") from None
