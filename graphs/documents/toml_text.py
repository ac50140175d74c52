"""TOML as plain data."""

import math
import re
import tomllib
from datetime import date, datetime, time
from typing import Any

from stretto.graphs.documents.faults import Findings
from stretto.graphs.documents.plain import check_plain
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_dict, is_list

_INDICATORS = re.compile(r"[=,\[{]")
_PLACE = re.compile(r"^(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)


def read_toml(text: str, findings: Findings) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Read a TOML text; its parser gives positions only for syntax errors.

    Args:
        text: the text.
        findings: where faults go.

    Raises:
        Refused: reading on is pointless.

    """
    _guard(text, findings)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(error, findings) from None
    except RecursionError:
        raise findings.too_deep("") from None
    check_plain(data, findings)
    return _plain(data, "", findings), {}


def _guard(text: str, findings: Findings) -> None:
    """Refuse what would take tomllib long or deep, from the look of the text."""
    findings.guard_brackets(text)
    if any(line.count(".") > 50 and _is_key(line) for line in text.split("\n")):
        raise findings.too_deep("")
    if len(_INDICATORS.findall(text)) > findings.limits.nodes:
        raise findings.too_many_nodes("")


def _is_key(line: str) -> bool:
    """Tell whether the dots of a line are those of a dotted key or a table name."""
    key = line.strip("[] \t\r").partition("=")[0]
    return key.count(".") > 50 and '"' not in key and "'" not in key and " " not in key.strip()


def _syntax(error: tomllib.TOMLDecodeError, findings: Findings) -> Exception:
    match = _PLACE.match(str(error))
    message = match[1] if match else str(error)
    at = (int(match[2]), int(match[3])) if match and match[2] else None
    code = "duplicate_key" if _is_duplicate(message) else "syntax"
    return findings.refuse(code, f"This is no valid TOML: {message}.", at=at)


def _is_duplicate(message: str) -> bool:
    return message.startswith(("Cannot overwrite", "Cannot declare", "Duplicate"))


def _plain(value: Any, path: str, findings: Findings) -> Any:
    """Turn dates into text, as the other formats have them, and refuse what JSON cannot say."""
    if is_dict(value):
        return {k: _plain(v, join(path, k), findings) for k, v in value.items()}
    if is_list(value):
        return [_plain(v, join(path, i), findings) for i, v in enumerate(value)]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        findings.add("not_finite", f"{value} is no number that JSON can hold.", path)
    return value
