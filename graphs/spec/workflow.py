"""A declared workflow, and the doors that lead from it to everything else."""
# Checked by its place at the top of the repository, this class is not the one of the same name that
# the modules below import as stretto.graphs.spec; only there does pyright see the two as one.
# pyright: reportReturnType=false, reportArgumentType=false

import hashlib
import json
import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from stretto.graphs.durations import Duration
from stretto.graphs.spec.base import Called, Model, Version
from stretto.graphs.spec.policy import Budget, Policy
from stretto.graphs.spec.step import Step
from stretto.graphs.spec.trigger import Trigger

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.store.base import BaseStore

    from stretto.agents.registry import AgentRegistry
    from stretto.errors import Fault
    from stretto.graphs.limits import Limits
    from stretto.memory.recollection import Memory

Priority = Literal["critical", "high", "medium", "low", "background"]
Mode = Literal["sequential", "parallel", "adaptive", "pipeline"]


class Workflow(Model):
    """A declared workflow: steps, how they depend on each other, and how they are carried out."""

    name: str = Field(min_length=1, max_length=100)
    version: Version = "1.0.0"
    description: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] = Field(default_factory=dict)
    priority: Priority = "medium"
    mode: Mode = "adaptive"
    max_parallel_steps: int | None = Field(default=None, ge=1)
    timeout: Duration | None = None
    budget: Budget | None = None
    max_total_retries: int | None = Field(default=None, ge=0)
    defaults: Policy = Policy()
    steps: tuple[Step, ...] = Field(min_length=1)
    output: Any = None
    save_output: str | None = None
    on_failure: tuple[Step, ...] = ()
    fallback_workflow: Called | None = None
    triggers: tuple[Trigger, ...] = ()

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.id:
            raise ValueError("the name needs at least one letter or digit")
        return self

    @property
    def id(self) -> str:
        """The slug of the name, used in commands, URLs and references."""
        return _slug(self.name)

    @property
    def digest(self) -> str:
        """SHA-256 of everything declared, in hex; a run is pinned to it."""
        declared = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        text = json.dumps(declared, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()

    @classmethod
    def from_file(cls, path: str | Path) -> "Workflow":
        """Read a workflow from a YAML, JSON or TOML file.

        Args:
            path: the file; its suffix names the format.

        Raises:
            WorkflowInvalid: the file cannot be read, or what it declares is wrong.

        """
        from stretto.graphs.loading import load_file

        return load_file(path)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Workflow":
        """Read a workflow from plain data; every documented alias is accepted.

        Raises:
            WorkflowInvalid: what it declares is wrong.

        """
        from stretto.graphs.loading import load_document

        return load_document(document)

    @classmethod
    def get(cls, name: str) -> "Workflow":
        """Get a shipped workflow by ``name`` or ``name@version``.

        Raises:
            WorkflowInvalid: there is none of this name; the message lists those there are.

        """
        from stretto.graphs.library import shipped

        return shipped().get(name)

    def faults(self, agents: "AgentRegistry | None" = None) -> "list[Fault]":
        """List everything that is wrong with this workflow; empty when it is valid.

        Args:
            agents: when given, agents and capabilities that nobody offers are faults too.

        """
        from stretto.graphs.validation import find_faults

        return find_faults(self, agents)

    def critical_path(self) -> tuple[Step, ...]:
        """Give the longest chain of steps by estimated duration, in order."""
        from stretto.graphs.topology import critical_path

        return critical_path(self.steps)

    def to_mermaid(self) -> str:
        """Draw the declared topology as Mermaid text."""
        from stretto.graphs.drawing import to_mermaid

        return to_mermaid(self)

    def compile(
        self,
        agents: "AgentRegistry | list[Any] | None" = None,
        checkpointer: "BaseCheckpointSaver[Any] | None" = None,
        limits: "Limits | None" = None,
        store: "BaseStore | None" = None,
        memory: "Memory | None" = None,
    ) -> "CompiledStateGraph[Any, Any, Any, Any]":
        """Turn this workflow into a LangGraph graph that any LangGraph host can run.

        Args:
            agents: a registry, or a list of agents and functions; the shipped agents if None.
            checkpointer: where steps are saved; leave it out for hosts that bring their own.
            limits: how large the workflow may be; the usual limits if None.
            store: what nodes find as ``runtime.store``; that of ``memory`` if None.
            memory: what agents find as ``task.memory``; it stays yours to close.

        Raises:
            WorkflowInvalid: the workflow has faults.

        """
        from stretto.graphs.compile import compile_workflow

        kept: Any = {"checkpointer": checkpointer, "store": store, "memory": memory}
        return compile_workflow(self, agents, limits=limits, **kept)


@lru_cache(maxsize=256)  # every step of a run asks for it
def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).lower()
    return re.sub(r"[\W_]+", "_", plain).strip("_")
