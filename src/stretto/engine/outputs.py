"""The output of a run as a JSON file, below one folder and nowhere else."""

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from stretto.errors import StepError
from stretto.graphs.expressions import ExpressionError
from stretto.graphs.outcome import output_of, outputs_of
from stretto.graphs.spec import Workflow
from stretto.graphs.state import RunState

STEP = "save_output"


async def save_output(
    folder: Path, workflow: Workflow, state: RunState, roots: Mapping[str, Any], output: Any
) -> StepError | None:
    """Write a run's output where its workflow says; None when it was, or need not be, written.

    Args:
        folder: what the file has to be below.
        workflow: what was run; its ``save_output`` names the file.
        state: the state the run ended in.
        roots: what expressions see as ``input``, ``context`` and ``run``.
        output: what is written.

    """
    if workflow.save_output is None:
        return None
    try:
        named = workflow.model_copy(update={"output": workflow.save_output})
        name = output_of(named, state, outputs_of(workflow, state), roots)
        path = path_below(folder, str(name))
        await asyncio.to_thread(write_json, path, output)
    except ExpressionError as error:
        return StepError(STEP, "expression_failed", error.message)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return StepError(STEP, "output_not_saved", f"the output was not saved: {reason}")
    return None


def path_below(folder: Path, name: str) -> Path:
    """Give the file of this name below a folder, following links.

    Raises:
        ValueError: the name is empty, absolute, or leads out of the folder.

    """
    parts = name.replace("\\", "/").split("/")
    absolute = PurePosixPath(name).is_absolute() or bool(PureWindowsPath(name).anchor)
    if absolute or ".." in parts or "\0" in name or not parts[-1].strip(". "):
        raise ValueError(f"'{name}' is no file below the output folder")
    root = folder.resolve()
    path = root.joinpath(*parts).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"'{name}' is no file below the output folder")
    return path


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON; whoever reads the file sees all of it or what was there before.

    Raises:
        OSError: it cannot be written.
        ValueError: the value is no JSON.

    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
