"""What can be done to a step's output before others see it."""

from typing import Any, Literal

from pydantic import Field

from stretto.graphs.spec.base import Model


class FilterTransform(Model):
    """Keep the items for which criteria or a CEL condition on ``item`` hold."""

    filter: str | dict[str, Any]


class MapTransform(Model):
    """Rename keys, or replace each item by a CEL expression on ``item``."""

    map: str | dict[str, str]


class AggregateTransform(Model):
    """Reduce a list to one value."""

    aggregate: Literal["sum", "count", "min", "max", "avg", "list", "first", "last", "group_by"]
    of: str | None = Field(
        default=None, description="CEL text on `item` that gives what is aggregated."
    )


Transform = FilterTransform | MapTransform | AggregateTransform
