"""Makes ``benchmarks`` importable by its own name, and nothing else beside it."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks"

# With the whole repository on sys.path the rooms would import under a second name, too.
if "benchmarks" not in sys.modules:
    found = spec_from_file_location(
        "benchmarks", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert found is not None
    assert found.loader is not None
    package = module_from_spec(found)
    sys.modules["benchmarks"] = package
    found.loader.exec_module(package)
