"""Collections of the REST double: each is one shard of the embedded engine.

It keeps dense vectors as a memory's folder does, so that folder and server can be compared exactly;
a true server keeps them as whole floats.
"""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import qdrant_edge as qe
from pydantic import TypeAdapter
from qdrant_client import models

from stretto.memory.backend.shard import DATATYPE

HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000}
OPTIMIZER = {"default_segment_number": 0, "flush_interval_sec": 5}
SELECTOR: TypeAdapter[Any] = TypeAdapter(models.PointsSelector)


class Missing(Exception):
    """There is no such collection, alias or point."""


class Collections:
    """What the server holds."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder = folder
        self.version = version
        self.shards: dict[str, tuple[qe.EdgeShard, dict[str, Any]]] = {}
        self.aliases: dict[str, str] = {}

    def close(self) -> None:
        for shard, _ in self.shards.values():
            shard.close()

    def answer(self, method: str, path: str, body: bytes) -> Any:
        match (method, *path.strip("/").split("/")):
            case ("GET", ""):
                return {"title": "qdrant", "version": self.version}
            case ("GET", "aliases"):
                pairs = self.aliases.items()
                return {"aliases": [{"alias_name": a, "collection_name": c} for a, c in pairs]}
            case ("POST", "collections", "aliases"):
                return self.change_aliases(body)
            case ("GET", "collections", name, "exists"):
                return {"exists": name in self.shards}
            case ("PUT", "collections", name):
                return self.create(name, models.CreateCollection.model_validate_json(body))
            case ("DELETE", "collections", name):
                return self.drop(name)
            case (_, "collections", name, *rest):
                shard, config = self.find(name)
                return getattr(self, "_".join([method.lower(), *rest]))(shard, config, body)
            case _:
                raise Missing(path)

    def find(self, name: str) -> tuple[qe.EdgeShard, dict[str, Any]]:
        name = self.aliases.get(name, name)
        if name not in self.shards:
            raise Missing(f"Collection `{name}` doesn't exist!")
        return self.shards[name]

    def create(self, name: str, asked: models.CreateCollection) -> bool:
        if name in self.shards:
            raise ValueError(f"Collection `{name}` already exists!")
        dense = {n: edge_dense(v) for n, v in cast(Any, asked.vectors or {}).items()}
        sparse = {
            n: qe.EdgeSparseVectorParams(modifier=qe.Modifier.Idf if v.modifier else None)
            for n, v in (asked.sparse_vectors or {}).items()
        }
        path = self.folder / name
        path.mkdir()
        shard = qe.EdgeShard.create(str(path), qe.EdgeConfig(vectors=dense, sparse_vectors=sparse))
        config = json.loads(asked.model_dump_json(exclude_none=True))
        self.shards[name] = shard, config
        return True

    def drop(self, name: str) -> bool:
        if name not in self.shards:
            return False
        self.shards.pop(name)[0].close()
        shutil.rmtree(self.folder / name)
        return True

    def change_aliases(self, body: bytes) -> bool:
        for action in models.ChangeAliasesOperation.model_validate_json(body).actions:
            assert isinstance(action, models.CreateAliasOperation)
            self.aliases[action.create_alias.alias_name] = action.create_alias.collection_name
        return True

    def get(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        params = {k: config.get(k) for k in ("vectors", "sparse_vectors")}
        about: dict[str, Any] = {
            "params": params,
            "hnsw_config": HNSW,
            "optimizer_config": OPTIMIZER,
        }
        info = {"status": "green", "optimizer_status": "ok", "segments_count": 1}
        about["metadata"] = config.get("metadata")
        return {**info, "payload_schema": {}, "config": about}

    def patch(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> bool:
        asked = models.UpdateCollection.model_validate_json(body)
        config["metadata"] = {**config.get("metadata", {}), **(asked.metadata or {})}
        return True

    def put_index(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = models.CreateFieldIndex.model_validate_json(body)
        kind: Any = asked.field_schema
        name = str(getattr(kind, "type", kind).value).capitalize()
        return update(
            shard,
            qe.UpdateOperation.create_field_index(
                asked.field_name, getattr(qe.PayloadSchemaType, name)
            ),
        )

    def put_vectors_dense(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = models.DenseVectorNameConfig.model_validate_json(body).dense
        config.setdefault("vectors", {})["dense"] = {"size": asked.size, "distance": "Cosine"}
        created = qe.UpdateOperation.create_dense_vector(
            "dense", asked.size, qe.Distance.Cosine, datatype=DATATYPE
        )
        return update(shard, created)

    def put_points(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = models.PointsList.model_validate_json(body)
        points = [
            qe.Point(cast(Any, p.id), edge_vectors(p.vector), p.payload) for p in asked.points
        ]
        return update(shard, qe.UpdateOperation.upsert_points(points))

    def post_points(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = models.PointRequest.model_validate_json(body)
        found = shard.retrieve(
            cast(Any, asked.ids), cast(Any, asked.with_payload), bool(asked.with_vector)
        )
        return [record(r) for r in found]

    def post_points_delete(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = SELECTOR.validate_json(body)
        if isinstance(asked, models.FilterSelector):
            found = edge_filter(asked.filter)
            assert found is not None
            return update(shard, qe.UpdateOperation.delete_points_by_filter(found))
        return update(shard, qe.UpdateOperation.delete_points(asked.points))

    def post_points_payload(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = models.SetPayload.model_validate_json(body)
        return update(shard, qe.UpdateOperation.set_payload(cast(Any, asked.points), asked.payload))

    def post_points_scroll(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = models.ScrollRequest.model_validate_json(body)
        order: Any = asked.order_by
        if order is not None:
            down = order.direction == models.Direction.DESC
            order = qe.OrderBy(order.key, qe.Direction.Desc if down else qe.Direction.Asc)
        found, next_id = shard.scroll(
            qe.ScrollRequest(
                cast(Any, asked.offset),
                asked.limit,
                edge_filter(asked.filter),
                True,
                bool(asked.with_vector),
                order,
            )
        )
        following = None if next_id is None else str(next_id)
        return {"points": [record(r) for r in found], "next_page_offset": following}

    def post_points_count(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = models.CountRequest.model_validate_json(body)
        return {"count": shard.count(qe.CountRequest(True, edge_filter(asked.filter)))}

    def post_facet(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        asked = models.FacetRequest.model_validate_json(body)
        request = qe.FacetRequest(asked.key, asked.limit or 10, True, edge_filter(asked.filter))
        return {"hits": [{"value": h.value, "count": h.count} for h in shard.facet(request).hits]}

    def post_points_query(self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes) -> Any:
        return nearest(shard, models.QueryRequest.model_validate_json(body))

    def post_points_query_batch(
        self, shard: qe.EdgeShard, config: dict[str, Any], body: bytes
    ) -> Any:
        asked = models.QueryRequestBatch.model_validate_json(body)
        return [nearest(shard, one) for one in asked.searches]


def update(shard: qe.EdgeShard, operation: qe.UpdateOperation) -> Any:
    shard.update(operation)
    return {"operation_id": 0, "status": "completed"}


def nearest(shard: qe.EdgeShard, asked: models.QueryRequest) -> Any:
    vector: Any = asked.query
    vector = getattr(vector, "nearest", vector)
    found = shard.query(
        qe.QueryRequest(
            limit=asked.limit or 10,
            offset=asked.offset,
            query=qe.Query.Nearest(edge_vector(vector), using=asked.using),
            filter=edge_filter(asked.filter),
            with_vector=bool(asked.with_vector),
            with_payload=bool(asked.with_payload),
        )
    )
    return {"points": [{**record(r), "score": r.score, "version": r.version} for r in found]}


def record(found: qe.Record | qe.ScoredPoint) -> dict[str, Any]:
    vectors = found.vector
    if isinstance(vectors, dict):
        vectors = {n: rest_vector(v) for n, v in vectors.items()}
    return {"id": str(found.id), "payload": found.payload, "vector": vectors}


def rest_vector(vector: Any) -> Any:
    if isinstance(vector, qe.SparseVector):
        return {"indices": vector.indices, "values": vector.values}
    return vector


def edge_dense(asked: models.VectorParams) -> qe.EdgeVectorParams:
    assert asked.distance is models.Distance.COSINE
    return qe.EdgeVectorParams(asked.size, qe.Distance.Cosine, datatype=DATATYPE)


def edge_vectors(vectors: Any) -> Any:
    return {name: edge_vector(vector) for name, vector in vectors.items()}


def edge_vector(vector: Any) -> Any:
    if isinstance(vector, models.SparseVector):
        return qe.SparseVector(vector.indices, vector.values)
    return vector


def edge_filter(asked: models.Filter | None) -> qe.Filter | None:
    if asked is None:
        return None
    return qe.Filter(_listed(asked.must), _listed(asked.should), _listed(asked.must_not))


def edge_condition(asked: models.Condition) -> Any:
    match asked:
        case models.Filter():
            return edge_filter(asked)
        case models.HasIdCondition():
            return qe.HasIdCondition(set(cast(Any, asked.has_id)))
        case models.IsEmptyCondition():
            return qe.IsEmptyCondition(asked.is_empty.key)
        case models.FieldCondition(match=models.MatchValue(value=value)):
            return qe.FieldCondition(asked.key, match=qe.MatchValue(value))
        case models.FieldCondition(match=models.MatchAny(any=values)):
            return qe.FieldCondition(asked.key, match=qe.MatchAny(cast(Any, values)))
        case models.FieldCondition(range=models.Range() as r):
            return qe.FieldCondition(asked.key, range=qe.RangeFloat(r.gte, r.gt, r.lte, r.lt))
        case _:
            raise NotImplementedError(f"the double knows no {asked!r}")


def _listed(clause: list[models.Condition] | models.Condition | None) -> list[Any] | None:
    """Give the conditions of a clause; one alone may stand without a list."""
    if clause is None:
        return None
    return [edge_condition(c) for c in (clause if isinstance(clause, list) else [clause])]
