"""What was forgotten: how much and when, never what it said."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stretto.errors import MemoryFault


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof that something was forgotten."""

    count: int
    ids_hash: str
    """SHA-256 of the sorted ids, so that somebody who knows them can check it."""
    at: str
    """ISO time in UTC."""
    purged: bool
    """Whether nothing of it is left in the folder either; False where only a server could tell."""
    what: dict[str, Any]
    """What was asked for: ids, scope, subject, run; a hash of each, not the words."""
    derived: int = 0
    """How many of ``count`` are summaries, made of what was asked for and forgotten with it."""

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self)


def make_receipt(
    ids: Sequence[str], what: dict[str, Any], purged: bool, derived: int = 0
) -> Receipt:
    """Make the receipt for items that are gone.

    Args:
        ids: theirs.
        what: what was asked for.
        purged: whether no byte of them is left.
        derived: how many are summaries of the others.

    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    named = {name: _hash([str(value)]) for name, value in what.items() if value}
    return Receipt(len(ids), _hash(sorted(ids)), now, purged, named, derived)


def keep_receipt(folder: Path, receipt: Receipt) -> Path:
    """Write a receipt to a folder and give its file.

    Raises:
        MemoryFault: it cannot be written; the items are forgotten all the same.

    """
    stamp = receipt.at.replace(":", "").replace("+0000", "Z")
    path = folder / f"{stamp}-{uuid.uuid4().hex[:12]}.json"  # several may be of one moment
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(receipt.to_dict(), indent=1), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        told = f"{receipt.count} memories are forgotten, but {path} cannot be written: {reason}"
        raise MemoryFault(told, code="memory_failed") from error
    return path


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def forms_of(text: str) -> set[str]:
    """Give a text as it may stand in a file: as it is, and as JSON writes it."""
    return {text, *(json.dumps(text, ensure_ascii=plain)[1:-1] for plain in (True, False))}


def files_with(folder: Path, texts: Iterable[str]) -> list[Path]:
    """List the files below a folder that hold one of some texts.

    Args:
        folder: where files are looked through.
        texts: what is looked for, as it is and as JSON writes it.

    """
    needles = {form.encode() for text in texts for form in forms_of(text)}
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            held = path.read_bytes()
            if any(needle in held for needle in needles):
                found.append(path)
    return found
