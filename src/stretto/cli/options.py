"""Options that several commands share."""

from typing import Annotated, Literal

import typer

from stretto.cli.guard import set_debugging

Priority = Literal["critical", "high", "medium", "low", "background"]
Home = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Where runs are kept; default STRETTO_HOME or .stretto."),
]
Agents = Annotated[
    list[str] | None,
    typer.Option(
        "--agents",
        metavar="MODULE|FILE.py",
        help="Your own agents; may be repeated. A file agents.py next to the workflow's file is "
        "loaded by itself.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Chat model, such as openai:gpt-4.1-mini or offline."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout.")]
AsEvents = Annotated[bool, typer.Option("--events", help="Write one JSON line per event.")]
Debug = Annotated[
    bool,
    typer.Option("--debug", callback=set_debugging, is_eager=True, help="Show tracebacks."),
]
RunId = Annotated[str, typer.Argument(metavar="ID", help="The run, or the beginning of its id.")]
Source = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A shipped workflow, or a file.")]
