"""Expressions in CEL: compiled once, checked against the names that may be used, then evaluated."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, reduce
from importlib import import_module
from math import isfinite
from typing import Any, NamedTuple, TypeGuard

# The package ships no types that checkers accept.
cel: Any = import_module("cel_expr_python.cel")
MAX_LENGTH = 2000
MAX_DEPTH = 200
"""Levels of values; the evaluator recurses over them in C++ and crashes on much deeper ones."""
MAX_CONTAINERS = 1_000_000
_TAKEN = frozenset(
    "as break const continue else for function if import in let loop package namespace return var "
    "void while true false null bool bytes double dyn int list map null_type string type "
    "uint".split()
)
_ISSUE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?: \[[A-Z_]+\])?$", re.MULTILINE)
_UNDECLARED = re.compile(r"undeclared reference to '\.?(.*)' \(in container")
_WORDING = {  # what the evaluator says, and what people read instead; the first match counts
    r"input '(and|or)'": r"'\1' is no operator; write '&&' for and, '||' for or",
    r"error at: '= ?'": "'=' is no operator; write '==' to compare",
    r"<EOF>' expecting|input '.*\.'$|parsetree": "the expression ends too early",
    r"input '(.*?)'": r"'\1' is not expected here",
    r"error at: '(.*)'": r"'\1' cannot be read here",
    r"reserved identifier: (\w+)": r"'\1' is a reserved word",
    r"recursion (?:limit|depth)": "the expression is nested too deeply",
    r"Iteration budget": "the expression takes too many iterations",
    r"<jump_condition>": "what stands before '?' must be true or false",
    r"overloads found : _?(&&|\|\||!)_": r"'\1' needs true or false",
    r"overloads found : (?:_?(\W+?)_?|(\w+))(?:\((.*)\))?$": r"'\1\2' does not work with (\3)",
    r"overload for '(?:_?(\W+?)_?|(\w+))' applied to '(.*)'": r"'\1\2' does not work with \3",
    r"divi\w+ by zero": "a number is divided by zero",
    r"Key not found in map : (.*)": r"there is no key \1",
    r"Applying SELECT": "a field is read from a value that is no mapping",
    r"index=(-?\d+) size=(\d+)": r"index \1 is outside a list of \2",
    r"Non-CEL value type.*: ([\w.]+)\.$": r"a value of type \1 is no JSON value",
    r"Integer value": "a number needs more than 64 bits",
    r"map key type": "a mapping has a key that is no text",
    r"basic_string|incompatible function": "a text holds characters that are not valid Unicode",
    r"^(?:[A-Z_]+: )?(.*?)(?: \[[A-Z_]+\])?$": r"\1",
}
# JSON hardly tells 2 from 2.0, but CEL has no arithmetic of an int and a double, and compares them
# only where it does not know their types beforehand. These declarations stand in for those of the
# standard library, whose functions stay; only arithmetic of an int and a double is new.
_SAME = "INT=INT,INT UINT=UINT,UINT DOUBLE=DOUBLE,DOUBLE "
_NUMBERS = _SAME + "DYN=INT,DOUBLE DYN=DOUBLE,INT "
_ORDERED = (
    "BOOL=INT,INT BOOL=DOUBLE,DOUBLE BOOL=INT,DOUBLE BOOL=DOUBLE,INT BOOL=UINT,UINT BOOL=BOOL,BOOL "
    "BOOL=STRING,STRING BOOL=BYTES,BYTES BOOL=TIMESTAMP,TIMESTAMP BOOL=DURATION,DURATION"
)
_OPERATORS = {
    "_+_": _NUMBERS + "STRING=STRING,STRING BYTES=BYTES,BYTES LIST=LIST,LIST "
    "DURATION=DURATION,DURATION TIMESTAMP=TIMESTAMP,DURATION TIMESTAMP=DURATION,TIMESTAMP",
    "_-_": _NUMBERS + "DURATION=DURATION,DURATION TIMESTAMP=TIMESTAMP,DURATION "
    "DURATION=TIMESTAMP,TIMESTAMP",
    "_*_": _NUMBERS,
    "_/_": _NUMBERS,
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _ORDERED),
    **dict.fromkeys(("_==_", "_!=_"), "BOOL=DYN,DYN"),
}
_MIXED: Mapping[str, Callable[[Any, Any], Any]] = {
    "_+_": lambda a, b: a + b,
    "_-_": lambda a, b: a - b,
    "_*_": lambda a, b: a * b,
    "_/_": lambda a, b: a / b,
}
_CONFIG = "stdlib:\n  exclude_functions:\n" + "".join(f'  - name: "{op}"\n' for op in _OPERATORS)


class ExpressionError(ValueError):
    """An expression cannot be compiled or evaluated; ``message`` says why in one sentence."""

    def __init__(
        self,
        message: str,
        line: int | None = None,
        column: int | None = None,
        unknown: str | None = None,
        path: str = "",
    ) -> None:
        """Keep the position in the text, from 1, the unknown name, and the path in a template."""
        self.message, self.line, self.column = message, line, column
        self.unknown, self.path = unknown, path
        super().__init__(message)


class _Issue(NamedTuple):
    line: int
    column: int
    message: str

    @property
    def chain(self) -> str:
        """An undeclared name with the fields read from it, such as ``fetch.account``."""
        match = _UNDECLARED.match(self.message)
        return match[1] if match else ""

    @property
    def name(self) -> str:
        """The undeclared name; empty when the issue is something else."""
        return self.chain.partition(".")[0]

    def offset(self, text: str) -> int:
        """Where the issue is in the text; that of fields begins at their name."""
        before = text.split("\n")[: max(self.line - 1, 0)]
        at = sum(len(line) + 1 for line in before) + self.column - 1
        # CEL points at the last dot.
        start = at - len(self.chain.rpartition(".")[0])
        return start if text.startswith(self.chain, max(start, 0)) else at


def is_identifier(name: str) -> bool:
    """Tell whether a name can stand in an expression by itself, being no word that CEL has taken.

    Other ids are reached as ``steps["a-b"]``.
    """
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None and name not in _TAKEN


def to_text(value: Any) -> str:
    """Write a value as text: a text as it is, anything else as compact JSON.

    Raises:
        ExpressionError: it is no JSON value.

    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ExpressionError(f"a value cannot be written as text: {error}") from error


def _reword(message: str) -> str:
    found = ((re.search(pattern, message), text) for pattern, text in _WORDING.items())
    return next((match.expand(text) for match, text in found if match), message)


def _is_dict(value: Any) -> TypeGuard[dict[Any, Any]]:
    return type(value) is dict


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return type(value) is list


def is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether a value is a mapping."""
    return isinstance(value, Mapping)


def _to_json(value: Any, *, sort: bool = True) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    if _is_dict(value):
        named = [(k if isinstance(k, str) else to_text(k), v) for k, v in value.items()]
        if sort:  # CEL's own order of keys differs from one evaluation to the next
            named.sort(key=operator.itemgetter(0))
        return {k: _to_json(v, sort=sort) for k, v in named}
    if _is_list(value):
        return [_to_json(item, sort=sort) for item in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and isfinite(value):
        return value
    kind = "bytes" if isinstance(value, bytearray) else f"{value}"
    raise ExpressionError(f"the expression gives {kind}, which is no JSON value")


def _check_size(value: Any) -> None:
    level: list[Any] = [value]
    count = 0
    for _ in range(MAX_DEPTH):
        level = [part for item in level for part in _parts(item) if type(part) in (dict, list)]
        count += len(level)
        if not level:
            return
        if count > MAX_CONTAINERS:
            break
    raise ExpressionError("a value is too large, too deep, or holds itself")


def _parts(item: Any) -> Iterable[Any]:
    return item.values() if _is_dict(item) else item


def _write(value: Any) -> str:
    return to_text(_to_json(value))


def _functions() -> Iterator[Any]:
    kinds = "STRING INT UINT DOUBLE BOOL NULL LIST MAP TIMESTAMP DURATION".split()
    yield cel.FunctionDecl(
        "text",
        [
            cel.Overload(
                f"text_{kind.lower()}",
                cel.Type.STRING,
                [getattr(cel.Type, kind)],
                impl=_write,
            )
            for kind in kinds
        ],
    )
    for name, table in _OPERATORS.items():
        yield cel.FunctionDecl(name, [_overload(name, row) for row in table.split()])


def _overload(name: str, row: str) -> Any:
    result, *taken = (getattr(cel.Type, kind) for kind in re.split("[=,]", row))
    if row.startswith("DYN="):
        return cel.Overload(name + row, result, taken, impl=_MIXED[name])
    return cel.Overload(name + row, result, taken)


@lru_cache(maxsize=1024)
def _environment(names: frozenset[str]) -> Any:
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_CONFIG),
        variables={name: cel.Type.DYN for name in names},
        extensions=[
            import_module("cel_expr_python.ext.ext_strings").ExtStrings(),
            import_module("cel_expr_python.ext.ext_math").ExtMath(),
        ],
        functions=list(_functions()),
    )


# What is above knows CEL; what is below knows workflows.
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
        _check_size(data)
        try:
            value = self.program.eval(data=data)
            result: Any = value.plain_value()
        except (RuntimeError, TypeError, UnicodeError) as error:
            raise ExpressionError(_reword(str(error))) from error
        if value.type() == cel.Type.ERROR:
            raise ExpressionError(_reword(result))
        if not self.direct:
            return _to_json(result)
        ((name, paths),) = self.paths.items()
        (path,) = paths
        return _to_json(reduce(operator.getitem, path, data[name]), sort=False)

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
        return value if _is_dict(value) else dict(value)
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
            program = _environment(used).compile(text)
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
    paths = {name: frozenset(chain) for name, chain in chains.items()}
    direct = [".".join((name, *path)) for name, chain in paths.items() for path in chain]
    return Expression(text, used, steps, paths, direct == [text.strip()], program)


def _read_issues(message: str, text: str) -> tuple[list[_Issue], bool]:
    """Read the compiler's list, and whether it hides what is read of each name."""
    issues = [
        _Issue(int(line), int(column), said) for line, column, said in _ISSUE.findall(message)
    ]
    return issues or [_Issue(-1, -1, message)], "`" in text or "maximum number of ERROR" in message


def _read_from(issue: _Issue, text: str) -> tuple[str, ...]:
    if issue.chain != "steps":
        return tuple(issue.chain.split(".")[1:])
    match = _STEP.match(text, issue.offset(text))
    return tuple(part for part in match.groups() if part) if match else ()


def _fault(issues: list[_Issue], text: str) -> ExpressionError:
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
        said = _reword(issue.message)
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
    phase, value = json.dumps(str(typed["phase"])), json.dumps(to_text(typed["value"]))
    return f"text(steps[{phase}].output).contains({value})"
