"""The keys that a mapping at some place of a workflow may have."""

from typing import Any, TypeGuard, get_args

from pydantic import BaseModel

from stretto.graphs.spec import Workflow

Place = tuple[str | int, ...]


def known_keys(place: Place) -> tuple[str, ...]:
    """List the keys that the mapping around a place may have."""
    model: Any = Workflow
    for part in place[:-1]:
        if isinstance(part, str) and isinstance(model, type) and issubclass(model, BaseModel):
            model = _model_below(model, part)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ()
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _model_below(model: type[BaseModel], key: str) -> Any:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return next(iter(_models(field.annotation)), None)
    return model


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if _is_model(annotation):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
