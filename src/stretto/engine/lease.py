"""Who works on a run: one process at a time, and the way another one can ask it to stop."""

import hashlib
import re
from pathlib import Path

from filelock import FileLock, Timeout

from stretto.errors import ConfigurationError, RunConflict


class Lease:
    """The right to work on one run, held through a lock on a file.

    The operating system gives the lock back when its process dies, however it dies, so a run that
    crashed can be taken over at once and one that still runs cannot.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        """Prepare a lease on ``run_id`` among the files in ``folder``."""
        name = _file_name(run_id)
        self._run_id = run_id
        self._lock = FileLock(folder / f"{name}.lock", timeout=0, thread_local=False)
        self._stop = folder / f"{name}.stop"

    def take(self) -> None:
        """Take the lease.

        Raises:
            RunConflict: somebody else works on the run.
            ConfigurationError: the lock cannot be written.

        """
        try:
            Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            message = f"run {self._run_id} is being worked on by another process; cancel it there"
            raise RunConflict(message) from error
        except OSError as error:
            raise ConfigurationError(
                f"cannot lock runs in {self._stop.parent}: {error.strerror or error}"
            ) from error
        self._stop.unlink(missing_ok=True)

    def give_back(self) -> None:
        """Let others work on the run."""
        self._stop.unlink(missing_ok=True)
        self._lock.release()

    def held_elsewhere(self) -> bool:
        """Tell whether somebody works on the run now."""
        try:
            self.take()
        except RunConflict:
            return True
        self.give_back()
        return False

    def ask_to_stop(self) -> None:
        """Ask whoever works on the run to cancel it."""
        self._stop.touch()

    @property
    def asked_to_stop(self) -> bool:
        """Whether somebody asked that the run be cancelled."""
        return self._stop.exists()


def _file_name(run_id: str) -> str:
    """Give every run a file name of its own, whatever characters its id is made of."""
    plain = re.sub(r"[^a-z0-9_-]", "_", run_id)
    if plain == run_id and len(run_id) <= 100:
        return plain
    # Some file systems hold capital and small letters for the same.
    return f"{plain[:100]}.{hashlib.sha256(run_id.encode()).hexdigest()[:16]}"
