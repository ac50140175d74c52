"""The CEL of expressions: its environment, its values, and its errors in plain words."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import import_module
from itertools import chain
from math import isfinite
from typing import Any, NamedTuple, TypeGuard

# The package ships no types that checkers accept.
cel: Any = import_module("cel_expr_python.cel")
MAX_DEPTH = 200
"""Levels of values; the evaluator recurses over them in C++ and crashes on much deeper ones."""
MAX_CONTAINERS = 1_000_000
_TAKEN = frozenset(
    "as break const continue else for function if import in let loop package namespace return var "
    "void while true false null bool bytes double dyn int list map null_type string type "
    "uint".split()
)
ISSUE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?: \[[A-Z_]+\])?$", re.MULTILINE)
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


class Issue(NamedTuple):
    """One thing that CEL says about a text, with its position from 1, or -1."""

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


def reword(message: str) -> str:
    """Say in plain words what CEL says."""
    found = ((re.search(pattern, message), text) for pattern, text in _WORDING.items())
    return next((match.expand(text) for match, text in found if match), message)


def _is_dict(value: Any) -> TypeGuard[dict[Any, Any]]:
    return type(value) is dict


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return type(value) is list


def to_json(value: Any, *, sort: bool = True) -> Any:
    """Turn what CEL gives into plain JSON data.

    Raises:
        ExpressionError: it is nothing that JSON has.

    """
    if value is None or isinstance(value, str | int):
        return value
    if _is_dict(value):
        named = [(k if isinstance(k, str) else to_text(k), v) for k, v in value.items()]
        if sort:  # CEL's own order of keys differs from one evaluation to the next
            named.sort(key=operator.itemgetter(0))
        return {k: to_json(v, sort=sort) for k, v in named}
    if _is_list(value):
        return [to_json(item, sort=sort) for item in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and isfinite(value):
        return value
    kind = "bytes" if isinstance(value, bytes | bytearray) else f"{value}"
    raise ExpressionError(f"the expression gives {kind}, which is no JSON value")


def check_data(value: Any) -> None:
    """Refuse what the evaluator would crash on, or cut short without a word."""
    level: list[Any] = [value]
    count = 0
    for _ in range(MAX_DEPTH):
        parts = [part for item in level for part in _parts(item)]
        if any(type(part) is str and "\0" in part for part in parts):
            raise ExpressionError("a text holds a NUL character")
        level = [part for part in parts if type(part) in (dict, list)]
        count += len(level)
        if not level:
            return
        if count > MAX_CONTAINERS:
            break
    raise ExpressionError("a value is too large, too deep, or holds itself")


def _parts(item: Any) -> Iterable[Any]:
    return chain(item, item.values()) if _is_dict(item) else item


def _write(value: Any) -> str:
    return to_text(to_json(value))


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
def environment(names: frozenset[str]) -> Any:
    """Give the CEL environment in which exactly these names are declared."""
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_CONFIG),
        variables={name: cel.Type.DYN for name in names},
        extensions=[
            import_module("cel_expr_python.ext.ext_strings").ExtStrings(),
            import_module("cel_expr_python.ext.ext_math").ExtMath(),
        ],
        functions=list(_functions()),
    )
