"""What every declared thing is: a frozen model, and the texts that ids may be."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

StepId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Called = Annotated[str, StringConstraints(min_length=1)]
"""The name of an agent, of what one can do, or of a workflow."""
Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.-]+)?$")]


class Model(BaseModel):
    """The base of everything declared: frozen, and a key that nobody knows is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
