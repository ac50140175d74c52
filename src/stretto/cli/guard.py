"""How commands end when something is wrong: one clear message and an exit code, no traceback."""

import functools
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

import typer

from stretto.errors import Fault, InputInvalid, StrettoError, WorkflowInvalid

P = ParamSpec("P")
R = TypeVar("R")
DONE, FAILED, INVALID, WAITING, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 3, 130, 141
"""Exit codes; the last two are what a shell reports for SIGINT and SIGPIPE."""
MOST_FAULTS = 20
_debugging: ContextVar[bool] = ContextVar("debugging", default=False)


def set_debugging(wanted: bool) -> bool:
    """Let errors show their traceback from now on, if ``wanted``."""
    if wanted:
        _debugging.set(True)
    return wanted


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """End ``command`` with a message and an exit code whatever it raises."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BrokenPipeError:
            _silence_stdout()
            raise typer.Exit(PIPE_CLOSED) from None
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except StrettoError as error:
            code = FAILED if getattr(error, "degrades", False) else INVALID
            raise _ended(error, f"error: {explain(error)}", code) from None
        except Exception as error:
            message = f"internal error: {type(error).__name__}: {error}; --debug shows where"
            raise _ended(error, message, FAILED) from None

    return run


def _ended(error: Exception, message: str, code: int) -> typer.Exit:
    if _debugging.get():
        import traceback

        traceback.print_exception(error)
    else:
        say(message)
    return typer.Exit(code)


def say(message: str) -> None:
    """Write a message for the person at the terminal to stderr."""
    from stretto.cli.terminal import clean

    print(clean(message), file=sys.stderr, flush=True)


def explain(error: StrettoError) -> str:
    """Put an error into words; the faults of a workflow stand on a line each."""
    if isinstance(error, WorkflowInvalid):
        return _listed(
            f"{error.source} has {len(error.faults)} faults",
            [fault_line(error.source, fault) for fault in error.faults],
        )
    if isinstance(error, InputInvalid) and len(error.faults) > 1:
        return _listed(error.message.partition(":")[0], [str(fault) for fault in error.faults])
    return error.message


def _listed(title: str, lines: list[str]) -> str:
    if len(lines) == 1:
        return lines[0]
    shown = [f"  {line}" for line in lines[:MOST_FAULTS]]
    if len(lines) > MOST_FAULTS:
        shown.append(f"  and {len(lines) - MOST_FAULTS} more; 'stretto validate' lists them all")
    return "\n".join([title, *shown])


def fault_line(source: str, fault: Fault) -> str:
    """Give a fault as ``source:line:column: path: message``."""
    place = source if fault.line is None else f"{source}:{fault.line}:{fault.column or 1}"
    path = f"{fault.path}: " if fault.path else ""
    hint = f" Did you mean '{fault.nearest}'?" if fault.nearest else ""
    return f"{place}: {path}{fault.message}{hint}"


def tolerate_any_text() -> None:
    """Escape what the terminal's encoding has no form for instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    # The interpreter flushes stdout once more at its end; there is nobody left to read it.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.__stdout__.fileno() if sys.__stdout__ else 1)
