"""``stretto memory``: what is known from earlier runs and conversations."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stretto.cli.deployment import read_settings
from stretto.cli.guard import FAILED, guarded, say
from stretto.cli.memories import (
    ItemId,
    Tenant,
    User,
    find_id,
    has_memory,
    moment,
    scope_of,
    show_recalled,
    with_memory,
)
from stretto.cli.options import AsJson, Home
from stretto.cli.terminal import as_json, write
from stretto.errors import InputInvalid
from stretto.memory.item import Kind

if TYPE_CHECKING:
    from stretto.memory.recollection import Memory

Words = Annotated[str, typer.Argument(metavar="TEXT", help="What to remember.")]
Query = Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")]
Subject = Annotated[str | None, typer.Option(metavar="ID", help="Whom or what it is about.")]
Key = Annotated[str | None, typer.Option(help="What it tells; a later one takes its place.")]
Day = typer.Option(metavar="DATE", help="A date or time in ISO form.")
OfRun = Annotated[str | None, typer.Option("--run", metavar="RUN", help="What came of this run.")]


@guarded
def remember(
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to remember.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="A run that has ended.")
    ] = None,
    kind: Kind = Kind.FACT,
    key: Key = None,
    subject: Subject = None,
    at: Annotated[str | None, Day] = None,
    ttl: Annotated[float | None, typer.Option(metavar="SECONDS", help="Until it expires.")] = None,
    importance: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
    pinned: Annotated[bool, typer.Option("--pin", help="Keep it whatever is swept.")] = False,
    tenant: Tenant = None,
    user: User = None,
    json_form: AsJson = False,
    home: Home = None,
) -> None:
    """Remember a text, or with --run what happened in a run."""
    if (text is None) == (run is None):
        raise InputInvalid("give a text, or --run and a run")
    given: dict[str, Any] = {"key": key, "subject": subject, "ttl": ttl, "at": moment(at)}
    if run is not None:
        if any(value is not None for value in (*given.values(), tenant, user)):
            told = "what is remembered of a run, and whose it is, the run says; give --run alone"
            raise InputInvalid(told)
        from stretto.cli.episodes import remember_ended_run

        _tell(remember_ended_run(run, home), json_form)
        return
    given |= {"kind": kind, "importance": importance, "pinned": pinned}

    async def keep(memory: "Memory") -> str:
        return (await memory.remember(text or "", scope=scope_of(tenant, user), **given)).id

    _tell(with_memory(home, keep), json_form)


@guarded
def recall(
    query: Query,
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="At most so many.")] = 8,
    kind: Annotated[list[Kind] | None, typer.Option(help="Only these kinds.")] = None,
    subject: Subject = None,
    key: Key = None,
    as_of: Annotated[str | None, Day] = None,
    since: Annotated[str | None, Day] = None,
    until: Annotated[str | None, Day] = None,
    neighbours: Annotated[int, typer.Option(min=0, help="Turns around each hit.")] = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Show how scores came about.")] = False,
    tenant: Tenant = None,
    user: User = None,
    json_form: AsJson = False,
    home: Home = None,
) -> None:
    """Look up what is known, the best first."""
    given: dict[str, Any] = {"k": k, "kinds": kind or None, "subject": subject, "key": key}
    given |= {"as_of": moment(as_of), "since": moment(since), "until": moment(until)}
    given |= {"scope": scope_of(tenant, user), "neighbours": neighbours}

    async def look(memory: "Memory") -> Any:
        return await memory.recall(query, **given)

    found = with_memory(home, look) if has_memory(read_settings(home)) else None
    if json_form:
        from stretto.agents.recall.forms import recollection_form

        form = recollection_form(query, found, explain=explain)
        write(sys.stdout, as_json(form, sys.stdout, indent=2))
        return
    if found is not None and found.items:
        show_recalled(found.items, explain)
    else:
        say("nothing is known about that")


@guarded
def forget(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    subject: Subject = None,
    run: OfRun = None,
    tenant: Tenant = None,
    user: User = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Leave no byte of it on disk; asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: Home = None,
) -> None:
    """Forget what is named, and write the receipt: what, how many, when."""
    if not (ids or subject or run or tenant or user):
        raise InputInvalid("say what to forget: ids, --subject, --run, --tenant or --user")
    if not has_memory(read_settings(home)):
        raise InputInvalid("there is no memory here to forget anything of")
    if purge and not yes and not _confirmed():
        say("nothing was forgotten")
        raise typer.Exit(FAILED)
    scope = scope_of(tenant, user) if tenant or user else None

    async def drop(memory: "Memory") -> dict[str, Any]:
        named = [await find_id(memory, one) for one in ids] if ids else None
        receipt = await memory.forget(ids=named, scope=scope, subject=subject, run=run, purge=purge)
        return receipt.to_dict()

    write(sys.stdout, as_json(with_memory(home, drop), sys.stdout, indent=2))


def _confirmed() -> bool:
    question = "forget it for good? It cannot be brought back."
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise InputInvalid("nobody answered, so nothing was forgotten; give --yes") from None


@guarded
def pin(
    item: ItemId,
    off: Annotated[bool, typer.Option("--off", help="Take the pin out.")] = False,
    home: Home = None,
) -> None:
    """Keep a memory from expiring and from being swept."""

    async def set_pin(memory: "Memory") -> str:
        return (await memory.pin(await find_id(memory, item), not off)).id

    _tell(with_memory(home, set_pin), False)


@guarded
def supersede(item: ItemId, text: Words, home: Home = None) -> None:
    """Put a new text in the place of a memory; the old one stays as history."""

    async def replace(memory: "Memory") -> str:
        return (await memory.supersede(await find_id(memory, item), text)).id

    _tell(with_memory(home, replace), False)


def _tell(item: str, json_form: bool) -> None:
    write(sys.stdout, as_json({"id": item}, sys.stdout) if json_form else item)
