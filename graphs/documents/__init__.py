"""Texts of workflows as plain data with positions; nothing is built from a text that is a bomb."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stretto.errors import WorkflowInvalid
from stretto.graphs.documents.faults import Findings, Refused
from stretto.graphs.documents.json_text import read_json
from stretto.graphs.documents.plain import check_plain
from stretto.graphs.documents.toml_text import read_toml
from stretto.graphs.documents.yaml_text import read_yaml
from stretto.graphs.limits import LIMITS, Limits
from stretto.graphs.plaindata import is_dict

__all__ = ["FORMATS", "Document", "check_document", "parse_document"]

FORMATS = {"yaml": "yaml", "yml": "yaml", "json": "json", "toml": "toml"}
"""What a format may be called, in any case."""
_READERS = {"yaml": read_yaml, "json": read_json, "toml": read_toml}


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says, and where."""

    data: dict[str, Any]
    """Mappings, lists, texts, numbers, booleans and None."""
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """The line and column, from 1, of each path; empty when the format does not tell."""


def parse_document(
    text: bytes | str, format: str, source: str = "workflow", limits: Limits = LIMITS
) -> Document:
    """Read a text as plain data.

    Args:
        text: the text; bytes must be UTF-8, with or without a byte order mark.
        format: ``yaml``, ``json`` or ``toml``.
        source: what to call the text in messages.
        limits: how large it may be.

    Raises:
        WorkflowInvalid: it is too large, too deep, malformed, or uses what is refused.

    """
    findings = Findings(limits)
    data: Any = None
    positions: dict[str, tuple[int, int]] = {}
    try:
        kind = FORMATS.get(format.lower())
        if kind is None:
            message = f"'{format}' is no format of workflows; use yaml, json or toml."
            raise findings.refuse("unknown_format", message)
        data, positions = _READERS[kind](_decode(text, findings), findings)
        if not findings.faults and not is_dict(data):
            found = "is empty" if data is None else f"holds a {type(data).__name__}"
            message = f"The document {found}; a workflow is a mapping with `name` and `steps`."
            findings.add("not_a_mapping", message)
    except Refused:
        pass
    if findings.faults:
        raise WorkflowInvalid(findings.faults, source)
    return Document(dict(data or {}), positions)


def check_document(data: Any, source: str = "workflow", limits: Limits = LIMITS) -> None:
    """Refuse plain data that is no mapping, too deep, too large, or refers to itself.

    Raises:
        WorkflowInvalid: it is one of these.

    """
    findings = Findings(limits)
    if not is_dict(data):
        message = f"A workflow is a mapping with `name` and `steps`, not a {type(data).__name__}."
        findings.add("not_a_mapping", message)
    else:
        try:
            check_plain(data, findings)
        except Refused:
            pass
    if findings.faults:
        raise WorkflowInvalid(findings.faults, source)


def _decode(text: bytes | str, findings: Findings) -> str:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > findings.limits.size:
        message = f"The text is longer than the {findings.limits.size:,} bytes that are allowed."
        raise findings.refuse("too_large", message)
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = _place(raw[: error.start].decode("utf-8", "replace"))
        raise findings.refuse(
            "not_utf8", "This is not UTF-8; save the file as UTF-8.", at=at
        ) from None
    if "\0" in decoded:
        at = _place(decoded[: decoded.index("\0")])
        raise findings.refuse("syntax", "NUL characters are not allowed in a workflow.", at=at)
    return decoded


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")
