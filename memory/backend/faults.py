"""Naming what went wrong below the seam: exceptions of engine and disk become memory faults."""

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stretto.errors import MemoryFault, StrettoError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
ENGINE_WORDS = (
    ("memory_full", ("StorageFull", "No space left", "FileTooLarge", "QuotaExceeded")),
    ("memory_denied", ("PermissionDenied", "Permission denied", "ReadOnlyFilesystem")),
    ("memory_locked", ("WouldBlock",)),
)
"""The engine's exceptions have no types; these words are in their messages."""
PANIC = "PanicException"
"""What the engine raises where a file of it makes no sense; it is no ``Exception``, and its type
cannot be imported."""
SPARE_BYTES = 64 * 1024 * 1024
"""Free space below which nothing is written: the engine writes to mapped files, and a disk that is
full when they are touched would kill the process (SIGBUS)."""
REMEDIES = {
    "memory_full": "There is no room left for memory in {where}; make room and try again.",
    "memory_denied": "Memory may not be used in {where}; give this user the right to read and "
    "write there, or set STRETTO_HOME to another folder.",
    "memory_locked": "Memory in {where} is in use by another process; use the process that has "
    "it, set QDRANT_URL to share one server, or set STRETTO_HOME to another folder.",
    "memory_corrupt": "Memory in {where} cannot be opened; restore it from a backup, or move it "
    "away to begin anew. Nothing was changed.",
    "memory_foreign": "{where} is not a folder that memory can use; choose another one.",
    "memory_failed": "Memory in {where} could not do this.",
}


@contextmanager
def named(where: Path, otherwise: str = "memory_failed") -> Generator[None]:
    """Turn what the engine or the disk raises into a ``MemoryFault``.

    Args:
        where: the folder to name.
        otherwise: the code for what is not recognised.

    """
    try:
        yield
    except StrettoError:
        raise
    except OSError as error:
        raise fault(_code_of(error, otherwise), where, str(error)) from error
    except Exception as error:  # The engine raises nothing more precise.
        found = (code for code, words in ENGINE_WORDS if any(w in str(error) for w in words))
        raise fault(next(found, otherwise), where, str(error)) from error
    except BaseException as error:
        if type(error).__name__ != PANIC:
            raise
        raise fault("memory_corrupt", where, str(error)) from error


def fault(code: str, where: Path, detail: str) -> MemoryFault:
    """Give the fault with this code, what to do about it, and what the layer below said."""
    return MemoryFault(f"{REMEDIES[code].format(where=where)} ({detail})", code=code)


def check_room(where: Path) -> None:
    """Refuse to write when the disk is nearly full.

    Raises:
        MemoryFault: fewer than ``SPARE_BYTES`` are free.

    """
    free = shutil.disk_usage(where).free
    if free < SPARE_BYTES:
        raise fault("memory_full", where, f"{free >> 20} MB are free, {SPARE_BYTES >> 20} needed")


def _code_of(error: OSError, otherwise: str) -> str:
    if error.errno in FULL:
        return "memory_full"
    if error.errno in DENIED:
        return "memory_denied"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "memory_foreign"
    return otherwise
