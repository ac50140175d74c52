"""Draw the picture of a run in the README: the real command on a terminal, as SVG.

Call it with the file to write, ``docs/images/run.svg``.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COMMAND = ["stretto", "run", "account_analysis", "-i", "account_id=ACC-1188"]
COLUMNS, LINES = 92, 44
ERASED = "\x1b[2K\x1b[1A"
"""What the live display writes before it draws itself anew."""


def run_on_a_terminal() -> str:
    """Run the command as on a terminal and give everything it wrote."""
    reader, writer = pty.openpty()
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "stretto", *COMMAND[1:]],
            stdout=writer,
            stderr=writer,
            cwd=folder,
            env={**os.environ, **size},
        )
        os.close(writer)
        pieces: list[bytes] = []
        try:
            while piece := os.read(reader, 65536):
                pieces.append(piece)
        except OSError:  # the terminal is closed once the command has ended
            pass
        process.wait()
    return b"".join(pieces).decode()


def last_screen(written: str) -> str:
    """Keep what stays on the screen: the last drawing of the display and what follows."""
    return written.rsplit(ERASED, 1)[-1].replace("\r", "").removeprefix("\x1b[2K")


def main() -> None:
    """Write the picture to the file named on the command line."""
    target = Path(sys.argv[1])
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text(f"$ {' '.join(COMMAND)}\n", style="bold"))
        console.print(Text.from_ansi(last_screen(run_on_a_terminal())), soft_wrap=True)
        drawn = console.export_svg(title="stretto")
    # The fonts would come from the network; without them the reader's own monospace serves.
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("<svg ", '<svg xml:space="preserve" ', 1)
    target.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
