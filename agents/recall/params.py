"""What a step may ask of the memory agent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stretto.errors import StepFailed
from stretto.memory.item import Kind

P = TypeVar("P", bound="Params")


def _in_utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A date or time in ISO form, UTC where it names no zone, or seconds since the epoch."""
Texts = Annotated[list[str], BeforeValidator(_listed)]
Share = Annotated[float, Field(ge=0, le=1)]


class Params(BaseModel):
    """What every action takes: fields of a scope, which narrow whose memory is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Any = None
    user: Any = None
    agent: Any = None
    workflow: Any = None
    thread: Any = None

    def given(self, *names: str) -> dict[str, Any]:
        """Give those of some params that the step sets."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class RecallParams(Params):
    """What ``recall`` takes; see ``Memory.recall``."""

    query: str | None = None
    k: int = Field(default=8, ge=1, le=200)
    budget_tokens: int | None = Field(default=None, ge=1)
    neighbours: int = Field(default=1, ge=0, le=10)
    kinds: Annotated[list[Kind], BeforeValidator(_listed)] | None = None
    subject: str | None = None
    key: str | None = None
    as_of: Moment | None = None
    since: Moment | None = None
    until: Moment | None = None
    recency: Share = 0.0
    diversity: Share = 0.0
    min_score: Share = 0.0
    explain: bool = False
    """Whether each item says how its score came about, as ``why``."""

    def arguments(self) -> dict[str, Any]:
        """Give the arguments of ``Memory.recall`` beside the query and the scope."""
        own = RecallParams.model_fields.keys() - Params.model_fields.keys()
        return self.given(*(own - {"query", "explain"}))


class Fact(BaseModel):
    """Something to remember."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1)
    kind: Kind = Kind.FACT
    key: str | None = None
    subject: str | None = None
    data: dict[str, Any] | None = None
    importance: Share = 0.5
    at: Moment | None = None
    ttl: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds until it expires."""
    pinned: bool = False


class Turn(BaseModel):
    """One thing that somebody said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: str = "user"
    text: str
    at: Moment | None = None
    message_id: str | None = None


class RememberParams(Params):
    """What ``remember`` takes: ``text``, ``facts`` or ``turns``, and what holds for all of it."""

    text: str | None = None
    facts: list[Fact | str] | None = None
    turns: list[Turn] | None = None
    id: str | None = None
    """The name of a conversation; turns that it has already are not added again."""
    kind: Kind | None = None
    key: str | None = None
    subject: str | None = None
    data: dict[str, Any] | None = None
    importance: Share | None = None
    at: Moment | None = None
    ttl: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    pinned: bool | None = None


_INNER: dict[int | str, type[BaseModel]] = {"facts": Fact, "turns": Turn}


class ForgetParams(Params):
    """What ``forget`` takes: at least one of what is to go."""

    ids: Texts | None = None
    subject: str | None = None
    run: str | None = None
    purge: bool = False
    """Whether not a byte of it may stay on disk."""


def read_params(kind: type[P], given: Mapping[str, Any]) -> P:
    """Check the params of a step.

    Args:
        kind: what they have to be.
        given: what the step says.

    Raises:
        StepFailed: one is unknown or does not fit (``memory_params``).

    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        place = [part for part in fault["loc"] if part != Fact.__name__]
        where = ".".join(str(part) for part in place)
        if fault["type"] == "extra_forbidden":
            inner = _INNER.get(place[0]) if len(place) > 1 else None
            known = ", ".join((inner or kind).model_fields)
            message = f"the memory agent knows no param '{where}'; there are {known}"
        else:
            what = fault["msg"][:1].lower() + fault["msg"][1:]
            message = f"param '{where}' of the memory agent: {what}"
        raise StepFailed(message, code="memory_params") from None
