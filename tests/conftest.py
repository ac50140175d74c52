"""Folders of tests are in memory where there is such a place: waiting for a disk proves nothing.

Whatever is killed here is a process and never the machine, so what was written is there either way.
"""

import os
import shutil
from pathlib import Path

from hypothesis import settings

IN_MEMORY = Path("/dev/shm")
ENOUGH = 4 * 2**30
"""Bytes that have to be free."""

if (
    IN_MEMORY.is_dir()
    and os.access(IN_MEMORY, os.W_OK)
    and shutil.disk_usage(IN_MEMORY).free > ENOUGH
):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# As whoever imports stretto before LangGraph has it: LangGraph reads this when it is imported.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")
