"""Purging: no byte of what was forgotten stays in the folder."""

import asyncio
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend, Engine
from stretto.memory.item import MemoryItem
from stretto.memory.recollection.receipts import files_with, forms_of

VECTORS = "vectors.db"
"""The file of vectors that need not be computed again."""
PAGE = 256
SHORTEST = 8
"""Characters of a text from which it is looked for: a shorter one may stand anywhere by chance."""


async def purge(backend: Backend, folder: Path, gone: Sequence[MemoryItem], embedded: bool) -> bool:
    """Store everything else anew, and tell whether nothing of what is gone is left in a folder.

    A text that stands in something else that is kept is left, since that was not to be forgotten.

    Args:
        backend: where everything else is stored.
        folder: the memory's; that of a server's holds what waits for it.
        gone: what was forgotten.
        embedded: whether the folder holds all there is; only a server could tell of its own files.

    Raises:
        MemoryFault: something is left that should not be.

    """
    if embedded:  # on a server it would lose what other processes write meanwhile
        await asyncio.wrap_future(backend.rebuild())
    if not folder.is_dir():
        return False
    await asyncio.to_thread(_drop_vectors, folder)
    texts = {item.text for item in gone if len(item.text) >= SHORTEST}
    about = json.dumps(await asyncio.wrap_future(backend.metadata()), ensure_ascii=False)
    ids = {item.id for item in gone}
    found = await asyncio.wrap_future(backend.atomic(lambda on: _still_held(on, texts, ids)))
    sought = {text for text in texts - found if text not in about}
    if left := await asyncio.to_thread(files_with, folder, sought):
        told = (
            f"it is forgotten, but its text still stands in {left[0]}; to be rid of that file, "
            "export the memory, import it into a new folder, and delete this one"
        )
        raise MemoryFault(told, code="memory_failed")
    return embedded


def _drop_vectors(folder: Path) -> None:
    """Delete the kept vectors, from which words could be guessed; they are computed again."""
    for path in folder.glob(f"{VECTORS}*"):
        path.unlink(missing_ok=True)


def _still_held(engine: Engine, texts: set[str], gone: Collection[str]) -> set[str]:
    """Give those texts that stand in something else that is kept, be it a value of the store."""
    held: set[str] = set()
    cursor: str | None = None
    while texts - held:
        records, cursor = engine.scroll(None, PAGE, cursor)
        for record in records:
            if record.id not in gone:
                kept = "\n".join(_strings(record.payload))
                held |= {t for t in texts - held if any(form in kept for form in forms_of(t))}
        if cursor is None:
            break
    return held


def _strings(value: Any) -> Iterable[str]:
    """Give every text in a JSON value, the names of its fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield str(name)  # pyright: ignore[reportUnknownArgumentType]
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _strings(inner)
