"""What a model's answer has to be, as a schema, and whether an answer is that."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from stretto.agents.llm.schemas import MOST_FAULTS, check_schema, schema_faults
from stretto.errors import ConfigurationError

LONGEST_NAME = 64
"""Characters of a tool's name that providers take."""


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The schema of an answer."""

    name: str
    """What the tool is called that the model answers through."""
    json_schema: dict[str, Any]
    model: type[BaseModel] | None = None

    @classmethod
    def of(cls, declared: Any, agent: str) -> "OutputSchema":
        """Read what an agent declares as its output.

        Args:
            declared: a pydantic model, or a JSON Schema of an object.
            agent: the agent's name.

        Raises:
            ConfigurationError: it is neither.

        """
        if inspect.isclass(declared) and issubclass(declared, BaseModel):
            return cls(declared.__name__, declared.model_json_schema(), declared)
        if not isinstance(declared, Mapping):
            raise ConfigurationError(
                f"agent '{agent}': output is a pydantic model or a JSON Schema, not {declared!r}"
            )
        schema = dict(cast(Mapping[str, Any], declared))
        check_schema(schema, f"agent '{agent}': output")
        if schema.get("type") != "object":
            raise ConfigurationError(
                f"agent '{agent}': output has to be the schema of an object; wrap the value in one"
            )
        name = re.sub(r"[^A-Za-z0-9_]", "_", str(schema.get("title") or "answer"))[:LONGEST_NAME]
        described = {"description": "The answer, in the form that is asked for."}
        return cls(name, {**described, **schema, "title": name})

    def read(self, found: Any) -> tuple[dict[str, Any] | None, str]:
        """Read an answer.

        Args:
            found: what the model gave: an instance of the pydantic model, data, or None.

        Returns:
            The data and nothing, or None and what is wrong with it, in words for the model.

        """
        if found is None:
            return None, f"there is no call of '{self.name}'"
        if self.model is not None:
            return self._read_model(found)
        faults = schema_faults(self.json_schema, found)
        return (None, faults) if faults else (found, "")

    def _read_model(self, found: Any) -> tuple[dict[str, Any] | None, str]:
        assert self.model is not None
        try:
            checked = self.model.model_validate(found)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False)[:MOST_FAULTS]
            where = [(".".join(map(str, f["loc"])) or "the whole", f["msg"]) for f in faults]
            return None, "; ".join(f"{place}: {what}" for place, what in where)
        return checked.model_dump(mode="json"), ""
