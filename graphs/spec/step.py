"""One unit of work, of any kind, and the containers that hold steps."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from stretto.graphs.durations import Duration
from stretto.graphs.spec.base import Called, Model, StepId
from stretto.graphs.spec.policy import Policy
from stretto.graphs.spec.transform import Transform

Join = Literal["all", "any", "done"]
Kind = Literal["agent", "loop", "branch", "map", "workflow", "approval", "http", "transform"]


class SelectRule(Model):
    """One rule of a dynamic choice: the agent to take when the condition holds."""

    when: str
    agent: Called


class Select(Model):
    """Dynamic choice of an agent: the first rule that holds, else the least loaded of the list."""

    rules: tuple[SelectRule, ...] = ()
    agents: tuple[Called, ...] = ()


class Compensate(Model):
    """What undoes a step when the run fails later."""

    agent: Called
    action: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)


class Case(Model):
    """The steps of one case of a branch."""

    steps: tuple["Step", ...] = Field(min_length=1)


class Branch(Model):
    """Choose one case by the value of an expression."""

    on: str
    cases: dict[str, Case] = Field(min_length=1)
    default: Case | None = None


class Loop(Model):
    """Repeat steps until a condition holds, at most so many times."""

    steps: tuple["Step", ...] = Field(min_length=1)
    until: str
    max_iterations: int = Field(ge=1, le=1000)


class Map(Policy):
    """Do the same for every item of a list; the output is a list in the same order."""

    over: str
    as_: str = Field(default="item", alias="as", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    max_parallel: int | None = Field(default=None, ge=1)
    steps: tuple["Step", ...] = ()
    agent: Called | None = None
    capability: Called | None = None
    action: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)

    model_config = ConfigDict(populate_by_name=True)


class Approval(Model):
    """Ask a person; the run waits until the answer is there."""

    message: str = Field(description="What is asked; `${...}` is replaced.")
    options: tuple[str, ...] = Field(
        default=("approve", "reject"), description="What may be chosen."
    )
    edit: Any = Field(default=None, description="The value that the person may change.")
    edit_schema: dict[str, Any] | None = Field(
        default=None, description="The JSON Schema that a changed value has to fit."
    )
    comment: Literal["optional", "required"] | None = Field(
        default=None, description="Whether the answer may or must say why."
    )
    deadline: Duration | None = Field(default=None, description="How long the answer may take.")
    on_deadline: str | None = Field(
        default=None, description="The option taken at the deadline; without it the step fails."
    )
    remind_after: Duration | None = Field(
        default=None, description="When the first reminder is given."
    )
    remind_every: Duration | None = Field(
        default=None, description="How long after each reminder the next one follows."
    )


class Http(Model):
    """One HTTP request; the output has ``status``, ``headers`` and ``body``, or is selected."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str = Field(description="http or https, without a user name; `${...}` is replaced.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="`secret://NAME` is filled in when the request is sent."
    )
    query: dict[str, Any] = Field(
        default_factory=dict, description="Added to the query of the URL."
    )
    json_: Any = Field(default=None, alias="json", description="Sent as a JSON body.")
    body: str | None = Field(default=None, description="Sent as it is.")
    expect: tuple[Annotated[int, Field(ge=100, le=599)], ...] | None = Field(
        default=None,
        min_length=1,
        description="The statuses that are no failure; below 400 if not given.",
    )
    select: str | None = Field(
        default=None, description="A CEL expression over status, headers and body: the output."
    )
    max_bytes: int = Field(
        default=10_000_000, ge=1, le=100_000_000, description="The longest body accepted."
    )
    allow_private: bool = Field(
        default=False, description="Let the request reach private addresses."
    )

    model_config = ConfigDict(populate_by_name=True)


class Step(Policy):
    """One unit of work; exactly one of its kinds is set, an agent call being the usual one."""

    id: StepId
    description: str | None = None
    depends_on: tuple[str, ...] = ()
    input_from: str | tuple[str, ...] | None = None
    output_to: StepId | None = None
    join: Join = "all"
    when: str | dict[str, Any] | None = None

    agent: Called | None = None
    capability: Called | None = None
    select: Select | None = None
    action: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    stream: Literal["answer", "progress", "none"] = "progress"
    estimated_duration: Duration | None = None
    transform: tuple[Transform, ...] = ()
    compensate: Compensate | None = None

    loop: Loop | None = None
    branch: Branch | None = None
    map: Map | None = None
    workflow: Called | None = None
    approval: Approval | None = None
    http: Http | None = None
    input: Any = None

    @property
    def kind(self) -> Kind:
        """What sort of step this is."""
        for kind in ("loop", "branch", "map", "workflow", "approval", "http"):
            if getattr(self, kind) is not None:
                return kind
        called = self.agent or self.capability or self.select
        return "agent" if called or not self.transform else "transform"

    @property
    def inputs_from(self) -> tuple[str, ...]:
        """The names in ``input_from`` as a tuple."""
        named = self.input_from
        return (named,) if isinstance(named, str) else named or ()

    @property
    def bodies(self) -> Iterator[tuple[str, tuple["Step", ...]]]:
        """The scopes inside this container: a path below the step, and the steps there."""
        if self.loop:
            yield "loop.steps", self.loop.steps
        if self.map and self.map.steps:
            yield "map.steps", self.map.steps
        if self.branch:
            for name, case in self.branch.cases.items():
                yield f"branch.cases.{name}.steps", case.steps
            if self.branch.default:
                yield "branch.default.steps", self.branch.default.steps
