"""Expressions: that they compile, and use only what is there at their point."""

from collections.abc import Iterator
from typing import Any

from stretto.errors import Fault
from stretto.graphs.expressions import ExpressionError, compile_expression, translate_condition
from stretto.graphs.names import BASE, mentioned, nearest
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_list, is_mapping
from stretto.graphs.scopes import Scope
from stretto.graphs.sites import Site, sites
from stretto.graphs.spec import Step, Workflow
from stretto.graphs.templates import compile_template
from stretto.graphs.transforms import check_transform


def expression_faults(workflow: Workflow, every: list[Scope]) -> Iterator[Fault]:
    """Check every expression of a workflow.

    Args:
        workflow: what is declared.
        every: all its scopes.

    """
    everywhere = frozenset[str]().union(*(scope.own_names for scope in every))
    for site in sites(workflow, every):
        yield from _site(site, everywhere)
    for scope in every:
        for index, step in enumerate(scope.steps):
            yield from _transforms(join(scope.path, index), step)


def _transforms(path: str, step: Step) -> Iterator[Fault]:
    for index, transform in enumerate(step.transform):
        for suffix, error in check_transform(transform):
            at = join(path, "transform", index)
            at = (
                f"{at}{suffix}" if suffix.startswith(("[", ".")) or not suffix else f"{at}.{suffix}"
            )
            yield Fault(at, "bad_transform", _sentence(error))


def _site(site: Site, everywhere: frozenset[str]) -> Iterator[Fault]:
    if site.form == "template":
        for path, text in _texts(site.value, site.path):
            yield from _text(site, path, text, everywhere)
    elif site.form == "reference" and "${" in site.value:
        yield from _text(site, site.path, site.value, everywhere)
    else:
        yield from _expression(site, everywhere)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Give the texts of a tree that hold references, with their paths."""
    if isinstance(value, str):
        if "${" in value:
            yield path, value
    elif is_mapping(value):
        for key, item in value.items():
            yield from _texts(item, join(path, str(key)))
    elif is_list(value):
        for index, item in enumerate(value):
            yield from _texts(item, join(path, index))


def _text(site: Site, path: str, text: str, everywhere: frozenset[str]) -> Iterator[Fault]:
    try:
        compiled = compile_template(text, mentioned(text, site.names))
    except ExpressionError as error:
        yield _fault(site, path, error, everywhere)
    else:
        used = [inner.step_references for _, inner in compiled.expressions]
        yield from _steps(site, path, frozenset[str]().union(*used), everywhere)


def _expression(site: Site, everywhere: frozenset[str]) -> Iterator[Fault]:
    value = site.value
    try:
        text = translate_condition(value) if is_mapping(value) else value
        compiled = compile_expression(text, mentioned(text, site.names))
    except ExpressionError as error:
        yield _fault(site, site.path, error, everywhere)
    else:
        yield from _steps(site, site.path, compiled.step_references, everywhere)


def _steps(
    site: Site, path: str, used: frozenset[str], everywhere: frozenset[str]
) -> Iterator[Fault]:
    for name in sorted(used - (site.names - BASE)):
        yield _name(site, path, name, everywhere)


def _fault(site: Site, path: str, error: ExpressionError, everywhere: frozenset[str]) -> Fault:
    if error.unknown is not None:
        return _name(site, path, error.unknown, everywhere)
    return Fault(path, "bad_expression", _sentence(error))


def _name(site: Site, path: str, name: str, everywhere: frozenset[str]) -> Fault:
    if name in site.later:
        message = f"'{name}' is not there yet at this point; add it to `depends_on`."
        return Fault(path, "not_yet_available", message)
    if name in everywhere:
        message = f"The step '{name}' cannot be seen from here; use what its container gives."
        return Fault(path, "unknown_name", message, allowed=tuple(sorted(site.names)))
    hint = nearest(name, site.names | site.later)
    known = ", ".join(sorted(site.names - {"steps"}))
    message = f"There is no '{name}' here" + ("." if hint else f"; there are {known}.")
    return Fault(path, "unknown_name", message, nearest=hint, allowed=tuple(sorted(site.names)))


def _sentence(error: ExpressionError) -> str:
    place = ""
    if error.column is not None:
        line = f"line {error.line}, " if error.line is not None and error.line > 1 else ""
        place = f" ({line}column {error.column} of the expression)"
    message = error.message.rstrip(".")
    return f"{message[:1].upper()}{message[1:]}{place}."
