"""Expressions in CEL: compiled once, checked against the names that may be used, then evaluated."""

import json
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any

from stretto.graphs.dialect import (
    ISSUE,
    ExpressionError,
    Issue,
    cel,
    check_data,
    environment,
    is_identifier,
    reword,
    to_json,
    to_text,
)
from stretto.graphs.plaindata import is_mapping

__all__ = [
    "MAX_LENGTH",
    "Expression",
    "ExpressionError",
    "Names",
    "compile_expression",
    "evaluate_condition",
    "is_identifier",
    "to_text",
    "translate_condition",
]
MAX_LENGTH = 2000
Paths = frozenset[tuple[str, ...]]
_STEP = re.compile(
    r"""steps\s*\[\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\](?:\s*\.\s*([A-Za-z_]\w*+)(?!\s*\())?"""
)
_CONDITIONS = {"result_contains": {"phase", "value"}, "error_count": {"max_errors"}}


@dataclass(frozen=True)
class Names:
    """The values behind the names that expressions use."""

    roots: Mapping[str, Any]
    """``input``, ``context``, ``run``, ``item`` and the like, seen as they are."""
    outputs: Mapping[str, Any]
    """Raw outputs by step id and by ``output_to``."""
    steps: Mapping[str, Mapping[str, Any]]
    """``status``, ``error``, ``attempts`` and ``duration`` by step id."""

    def output(self, step: str) -> Mapping[str, Any]:
        """Give the output of a step as a mapping; what has no output gives an empty one."""
        output: Any = self.outputs[step] if step in self.outputs else {}
        return output if is_mapping(output) else {"result": output}

    def entry(self, step: str) -> dict[str, Any]:
        """Give what ``steps["id"]`` stands for: the output, and what became of the step."""
        raw = self.outputs[step] if step in self.outputs else None
        return {**self.output(step), **self.steps.get(step, {}), "output": raw}


@dataclass(frozen=True)
class Expression:
    """A compiled expression; it can be evaluated any number of times."""

    text: str
    references: frozenset[str]
    """The declared names that it uses."""
    step_references: frozenset[str]
    """The ids that it uses in the form ``steps["id"]``."""
    paths: Mapping[str, Paths] = field(repr=False, compare=False)
    """What it reads of each name; the empty path stands for the whole value."""
    direct: bool = field(repr=False, compare=False)
    """Whether it is nothing but a name and fields; then the value keeps the order of its keys."""
    program: Any = field(repr=False, compare=False)

    def evaluate(self, names: Names) -> Any:
        """Give the value as plain JSON data; times become ISO 8601 text, durations seconds.

        Raises:
            ExpressionError: it fails on these values, or gives something JSON does not have.

        """
        data = {name: _prune(self._value(name, names), paths) for name, paths in self.paths.items()}
        check_data(data)
        try:
            value = self.program.eval(data=data)
            result: Any = value.plain_value()
        except (RuntimeError, TypeError, UnicodeError) as error:
            raise ExpressionError(reword(str(error))) from error
        if value.type() == cel.Type.ERROR:
            raise ExpressionError(reword(result))
        if not self.direct:
            return to_json(result)
        ((name, paths),) = self.paths.items()
        (path,) = paths
        return to_json(reduce(operator.getitem, path, data[name]), sort=False)

    def _value(self, name: str, names: Names) -> Any:
        if name in names.roots:
            return names.roots[name]
        if name != "steps":
            return names.output(name)
        known = {*names.steps, *names.outputs}
        wanted = known if () in self.paths[name] else self.step_references & known
        return {step: names.entry(step) for step in wanted}


def _prune(value: Any, paths: Paths) -> Any:
    """Leave out what is not read, because the evaluator copies all that it is given."""
    if not is_mapping(value):
        return value
    if () in paths:
        return dict(value)
    inner: dict[str, set[tuple[str, ...]]] = {}
    for head, *rest in paths:
        inner.setdefault(head, set()).add(tuple(rest))
    return {key: _prune(value[key], frozenset(inner[key])) for key in inner if key in value}


def compile_expression(text: str, declared: Iterable[str]) -> Expression:
    """Compile an expression.

    Args:
        text: CEL of at most 2,000 characters.
        declared: the names that may be used; those that are no CEL identifiers are left out, and
            ``steps`` is always there.

    Raises:
        ExpressionError: it is no CEL, or uses a name that is not declared, which is in ``unknown``.

    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH:,} characters")
    return _compile(text, frozenset(declared))


@lru_cache(maxsize=4096)
def _compile(text: str, declared: frozenset[str]) -> Expression:
    # Compiled with nothing declared, CEL lists what the text refers to, with scopes and fields.
    usable = {name for name in declared if is_identifier(name)} | {"steps"}
    used: frozenset[str] = frozenset()
    chains: dict[str, set[tuple[str, ...]]] = {}
    while True:
        try:
            program = environment(used).compile(text)
            break
        except (RuntimeError, TypeError) as error:
            issues, whole = _read_issues(str(error), text)
        found = [issue for issue in issues if issue.name in usable - used]
        if not found:
            raise _fault(issues, text)
        for issue in found:
            chains.setdefault(issue.name, set()).add(() if whole else _read_from(issue, text))
        used |= {issue.name for issue in found}
    steps = frozenset(path[0] for path in chains.get("steps", ()) if path)
    paths = {name: frozenset(read) for name, read in chains.items()}
    direct = [".".join((name, *path)) for name, read in paths.items() for path in read]
    return Expression(text, used, steps, paths, direct == [text.strip()], program)


def _read_issues(message: str, text: str) -> tuple[list[Issue], bool]:
    """Read the compiler's list, and whether it hides what is read of each name."""
    issues = [Issue(int(line), int(column), said) for line, column, said in ISSUE.findall(message)]
    return issues or [Issue(-1, -1, message)], "`" in text or "maximum number of ERROR" in message


def _read_from(issue: Issue, text: str) -> tuple[str, ...]:
    if issue.chain != "steps":
        return tuple(issue.chain.split(".")[1:])
    match = _STEP.match(text, issue.offset(text))
    return tuple(part for part in match.groups() if part) if match else ()


def _fault(issues: list[Issue], text: str) -> ExpressionError:
    unknown = [issue for issue in issues if issue.name and text[issue.offset(text)] != "("]
    issue = (unknown or issues)[0]
    line, column = None, None
    if issue.line > 0:
        offset = issue.offset(text)
        line, column = issue.line, offset - text.rfind("\n", 0, offset)
    if unknown:
        said = f"'{issue.name}' is not known here"
    elif issue.name:
        said = f"there is no function '{issue.name}' that takes these values"
    else:
        said = reword(issue.message)
    return ExpressionError(said, line, column, issue.name if unknown else None)


def evaluate_condition(expr: Expression, names: Names) -> bool:
    """Evaluate a condition.

    Raises:
        ExpressionError: it fails on these values, or gives neither true nor false.

    """
    value = expr.evaluate(names)
    if not isinstance(value, bool):
        given = to_text(value)
        short = given if len(given) <= 60 else f"{given[:60]}..."
        raise ExpressionError(f"a condition must give true or false, this one gives {short}")
    return value


def translate_condition(typed: Mapping[str, Any]) -> str:
    """Write a typed condition of the phase workflows as CEL.

    Args:
        typed: ``{type: result_contains, phase, value}`` or ``{type: error_count, max_errors}``.

    Raises:
        ExpressionError: it is neither of these.

    """
    kind, given = typed.get("type"), {key for key in typed if key != "type"}
    if not isinstance(kind, str) or kind not in _CONDITIONS:
        allowed = ", ".join(_CONDITIONS)
        raise ExpressionError(f"{kind!r} is no type of condition; the types are {allowed}")
    if given != _CONDITIONS[kind]:
        needed = " and ".join(sorted(_CONDITIONS[kind]))
        raise ExpressionError(f"a condition of type {kind} has exactly {needed}")
    if kind == "error_count":
        most = typed["max_errors"]
        if isinstance(most, bool) or not isinstance(most, int):
            raise ExpressionError("max_errors must be a whole number")
        return f"run.errors < {most}"
    phase, value = _literal(str(typed["phase"])), _literal(to_text(typed["value"]))
    return f"text(steps[{phase}].output).contains({value})"


def _literal(text: str) -> str:
    # Every JSON text is one of CEL, save for escaped surrogates.
    return json.dumps(text, ensure_ascii=False)
