"""Lets ``python -m stretto`` be the command ``stretto``."""

from stretto.cli import main

if __name__ == "__main__":
    main()
