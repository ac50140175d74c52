"""The command `stretto`: workflows run, checked, drawn and looked after from a terminal."""


def main() -> None:
    """Carry out the command line of this process."""
    from stretto.cli.app import app
    from stretto.cli.guard import tolerate_any_text

    tolerate_any_text()
    app()
