"""Data with ``${...}`` in its texts, filled in from the names that a step can see."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from stretto.graphs.expressions import (
    MAX_LENGTH,
    Expression,
    ExpressionError,
    Names,
    compile_expression,
    to_text,
)

MAX_DEPTH = 50
SECRET = "secret://"
"""What the text of a reference to a secret begins with; such texts are no templates."""
_Filler = Callable[[Names], Any]
_OPENING = re.compile(r"\$\$\{|\$\{")
# Texts in CEL may hold braces, so they are skipped: raw ones, then those with escapes.
_SKIPPED = re.compile(
    r"""
    [bB]?[rR][bB]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
    | \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
    | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
    | [{}]
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Template:
    """A tree of data that is ready to be filled in."""

    value: Any
    """The tree as it was declared."""
    expressions: tuple[tuple[str, Expression], ...]
    """Every expression in it, with its path in the tree, such as ``a.b[0]``."""
    _fill: _Filler | None = field(repr=False, compare=False)

    def render(self, names: Names) -> Any:
        """Fill every expression in; a tree without any is given back as it is.

        A text that is nothing but one ``${...}`` becomes the value itself, with its type. In other
        texts values are written as text: null as nothing, what is no text as compact JSON. The name
        of a step alone, as in ``${fetch}``, stands for its raw output.

        Raises:
            ExpressionError: an expression fails; ``path`` says where in the tree.

        """
        return self.value if self._fill is None else self._fill(names)


def compile_template(value: Any, declared: Iterable[str]) -> Template:
    """Compile a tree of mappings, lists and texts.

    ``$${`` in a text stands for ``${`` itself. Keys, and texts that begin with ``secret://``, are
    taken as they are.

    Args:
        value: the tree, of at most 50 levels.
        declared: the names that expressions may use.

    Raises:
        ExpressionError: an expression is wrong or has no end; ``path`` says where in the tree.

    """
    builder = _Builder(frozenset(declared))
    fill = builder.build(value, "", 0)
    return Template(value, tuple(builder.expressions), fill)


class _Builder:
    """Turns a tree into functions; None stands for a part that needs none."""

    def __init__(self, declared: frozenset[str]) -> None:
        self.declared = declared
        self.expressions: list[tuple[str, Expression]] = []

    def build(self, value: Any, path: str, depth: int) -> _Filler | None:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"the data has more than {MAX_DEPTH} levels", path=path)
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, Mapping):
            return self._mapping(cast(Mapping[str, Any], value), path, depth)
        if isinstance(value, list | tuple):
            return self._list(cast(list[Any], value), path, depth)
        return None

    def _mapping(self, value: Mapping[str, Any], path: str, depth: int) -> _Filler | None:
        fillers = {
            key: self.build(item, f"{path}.{key}" if path else str(key), depth + 1)
            for key, item in value.items()
        }
        if not any(fillers.values()):
            return None
        return lambda names: {
            key: value[key] if fill is None else fill(names) for key, fill in fillers.items()
        }

    def _list(self, value: list[Any], path: str, depth: int) -> _Filler | None:
        fillers = [self.build(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        if not any(fillers):
            return None
        return lambda names: [
            item if fill is None else fill(names) for item, fill in zip(value, fillers, strict=True)
        ]

    def _text(self, text: str, path: str) -> _Filler | None:
        if "${" not in text or text.startswith(SECRET):
            return None
        parts = [
            part if isinstance(part, str) else self._expression(part.text, path)
            for part in _split(text, path)
        ]
        if len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0]
        return lambda names: "".join(
            part if isinstance(part, str) else _written(part(names), path) for part in parts
        )

    def _expression(self, text: str, path: str) -> _Filler:
        try:
            expression = compile_expression(text, self.declared)
        except ExpressionError as error:
            raise _at(path, error) from error
        self.expressions.append((path, expression))
        return lambda names: _value(expression, names, path)


@dataclass(frozen=True, slots=True)
class _Hole:
    text: str


def _split(text: str, path: str) -> list[str | _Hole]:
    """Cut a text into plain pieces and expressions."""
    parts: list[str | _Hole] = []
    at, plain = 0, ""
    while match := _OPENING.search(text, at):
        plain += text[at : match.start()]
        if match[0] == "$${":
            plain, at = f"{plain}${{", match.end()
            continue
        end = _closing(text, match.end(), path)
        parts += (
            [plain, _Hole(text[match.end() : end])] if plain else [_Hole(text[match.end() : end])]
        )
        at, plain = end + 1, ""
    plain += text[at:]
    return [*parts, plain] if plain else parts


def _closing(text: str, start: int, path: str) -> int:
    """Find the brace that ends the expression that begins at ``start``."""
    open_braces = 1
    for match in _SKIPPED.finditer(text, start, start + MAX_LENGTH + 1):
        open_braces += {"{": 1, "}": -1}.get(match[0], 0)
        if not open_braces:
            return match.start()
    if len(text) - start > MAX_LENGTH:
        reason = f"'${{' has no '}}' within {MAX_LENGTH:,} characters"
    else:
        reason = "'${' has no '}' that ends it; write '$${' for the characters themselves"
    raise ExpressionError(reason, path=path)


def _value(expression: Expression, names: Names, path: str) -> Any:
    name = expression.text.strip()
    if name in names.outputs and name not in names.roots and name in expression.references:
        return names.outputs[name]
    try:
        return expression.evaluate(names)
    except ExpressionError as error:
        error = ExpressionError(f"${{{name}}}: {error.message}")
        raise _at(path, error) from error


def _written(value: Any, path: str) -> str:
    try:
        return "" if value is None else to_text(value)
    except ExpressionError as error:
        raise _at(path, error) from error


def _at(path: str, error: ExpressionError) -> ExpressionError:
    return ExpressionError(error.message, error.line, error.column, error.unknown, path)
