"""The collection of memory on a Qdrant server: made on first use, replaced behind an alias."""

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any

from qdrant_client import models

from stretto.errors import MemoryFault
from stretto.memory.backend import metadata as files
from stretto.memory.backend import schema
from stretto.memory.backend.line import WRITE_SECONDS, Line

FLOOR = (1, 16)
"""The first server that keeps metadata with a collection."""
MARK = "stretto_memory"


class Collection:
    """What is known of the collection that ``alias`` leads to."""

    def __init__(self, line: Line, alias: str, dims: int | None) -> None:
        """Look at nothing yet; ``dims`` is for a collection without dense vectors."""
        self._line = line
        self.alias = alias
        self.wanted = dims
        self.name: str | None = None
        self.dims = dims
        self.values: dict[str, Any] = {}
        self._turn = asyncio.Lock()

    async def ensure(self) -> None:
        """Find the collection, or make it; costs nothing once it is known.

        Raises:
            MemoryFault: the server is too old, or what is there is not ours.

        """
        if self.name is not None:
            return
        async with self._turn:
            if self.name is None:
                await self._find()

    async def look_again(self) -> None:
        """Find the collection anew: another process may have replaced it, or told more of it."""
        self.name = None
        await self.ensure()

    async def _find(self) -> None:
        await self._check_version()
        aliases = await self._line.ask(lambda c: c.get_aliases())
        found = (a.collection_name for a in aliases.aliases if a.alias_name == self.alias)
        name = next(found, None)
        if name is None:
            name = f"{self.alias}-1"
            # One that is gone comes back as it was known: whoever uses it goes on as before.
            made = {**self.values, "created": time.time()}
            await self.create(name, self.wanted or self.dims, made)
            await self.lead_to(name)
        await self._read(name)

    async def create(self, name: str, dims: int | None, values: Mapping[str, Any]) -> None:
        """Make a collection with all its indexes; what half of it is there already stays."""
        if not await self._exists(name):
            try:
                await self._make(name, dims, values)
            except MemoryFault:
                # Another process may have made it at the same moment.
                if not await self._exists(name):
                    raise
        for field in (*schema.KEYWORDS, *schema.FLOATS):
            await self._index(name, field)

    async def _exists(self, name: str) -> bool:
        return await self._line.ask(lambda c: c.collection_exists(name))

    async def _make(self, name: str, dims: int | None, values: Mapping[str, Any]) -> None:
        dense = models.VectorParams(size=dims or 1, distance=models.Distance.COSINE)
        idf = models.SparseVectorParams(modifier=models.Modifier.IDF)
        await self._line.ask(
            lambda c: c.create_collection(
                name,
                vectors_config={schema.DENSE: dense} if dims else {},
                sparse_vectors_config=dict.fromkeys(schema.SPARSE, idf),
                on_disk_payload=True,
                metadata={**values, MARK: files.SCHEMA},
            ),
            WRITE_SECONDS,
        )

    async def lead_to(self, name: str) -> None:
        """Let the alias lead to another collection, at once."""
        change = models.CreateAlias(collection_name=name, alias_name=self.alias)
        await self._line.ask(
            lambda c: c.update_collection_aliases(
                [models.CreateAliasOperation(create_alias=change)]
            ),
            WRITE_SECONDS,
        )
        self.name = None

    async def drop(self, name: str) -> None:
        """Delete a collection with all its files, if it is there."""
        await self._line.ask(lambda c: c.delete_collection(name), WRITE_SECONDS)

    async def set_values(self, values: Mapping[str, Any]) -> None:
        """Set these keys of the metadata; the others stay."""
        await self.look_again()
        kept = {**self.values, **values}
        await self._line.ask(
            lambda c: c.update_collection(str(self.name), metadata={**kept, MARK: files.SCHEMA}),
            WRITE_SECONDS,
        )
        self.values = kept

    async def _read(self, name: str) -> None:
        info = await self._line.ask(lambda c: c.get_collection(name))
        values = dict(info.config.metadata or {})
        if MARK not in values:
            raise MemoryFault(
                f"The collection {name} at {self._line.url} was not made by Stretto; rename the "
                f"alias {self.alias}, or use another server.",
                code="memory_foreign",
            )
        if values.pop(MARK) > files.SCHEMA:
            raise MemoryFault(
                f"The memory at {self._line.url} was written by a newer Stretto; update this one.",
                code="memory_newer",
            )
        self.dims = _dims(info)
        if self.dims is None and self.wanted:
            self.dims = await self._add_dense(name, self.wanted)
        self.values, self.name = values, name

    async def _add_dense(self, name: str, dims: int) -> int:
        config = models.DenseVectorConfig(size=dims, distance=models.Distance.COSINE)
        try:
            await self._line.ask(
                lambda c: c.create_vector_name(
                    name, schema.DENSE, models.DenseVectorNameConfig(dense=config)
                ),
                WRITE_SECONDS,
            )
        except MemoryFault:
            # Another process may have added it at the same moment.
            if (there := _dims(await self._line.ask(lambda c: c.get_collection(name)))) is None:
                raise
            return there
        return dims

    async def _index(self, name: str, field: str) -> None:
        params: Any = models.PayloadSchemaType.FLOAT
        if field in schema.KEYWORDS:
            params = models.PayloadSchemaType.KEYWORD
        if field == schema.TENANT:
            params = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        await self._line.ask(
            lambda c: c.create_payload_index(name, field, field_schema=params, wait=True),
            WRITE_SECONDS,
        )

    async def _check_version(self) -> None:
        version = (await self._line.ask(lambda c: c.info())).version
        numbers = re.findall(r"\d+", version.split("-")[0])
        if tuple(map(int, numbers[:2])) < FLOOR:
            raise MemoryFault(
                f"The Qdrant server at {self._line.url} is {version}; memory needs "
                f"{FLOOR[0]}.{FLOOR[1]} or newer.",
                code="server_too_old",
            )


def _dims(info: models.CollectionInfo) -> int | None:
    """Give the numbers per dense vector of a collection, None where it has none."""
    dense = dict(info.config.params.vectors or {}).get(schema.DENSE)
    return dense.size if isinstance(dense, models.VectorParams) else None
