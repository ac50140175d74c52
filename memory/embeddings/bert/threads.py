"""Linear algebra on the caller's thread alone; import it after NumPy, whose libraries it finds."""

from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController


class OneThread:
    """A block in which NumPy starts no threads of its own.

    For texts of a few words these cost several times what they save: they wait for each other in
    busy loops. Blocks of several threads overlap, and the last to end puts back what was set.
    """

    def __init__(self) -> None:
        """Look at what NumPy calculates with."""
        self._libraries: Any = ThreadpoolController()
        self._lock = Lock()
        self._inside = 0

    def __enter__(self) -> None:
        """Begin a block."""
        with self._lock:
            if not self._inside:
                self._limits = self._libraries.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        """End a block."""
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limits.restore_original_limits()


ONE_THREAD = OneThread()
"""The libraries are the process's, so that all models share it."""
