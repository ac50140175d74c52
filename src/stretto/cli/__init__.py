"""The command `stretto`: workflows run, checked, drawn and looked after from a terminal."""

import os
import signal
from types import FrameType


def main() -> None:
    """Carry out the command line of this process."""
    # Until a run is there to be cancelled, nothing is lost by ending at once and quietly.
    signal.signal(signal.SIGINT, _leave)
    from stretto.cli.app import app
    from stretto.cli.guard import tolerate_any_text
    from stretto.cli.stragglers import leave

    tolerate_any_text()
    try:
        app()
    except SystemExit as end:
        leave(end.code)
        raise


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
