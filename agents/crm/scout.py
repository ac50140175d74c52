"""The agent that looks an account up in the CRM."""

from pathlib import Path
from typing import Any

from stretto.agents.agent import Agent, Task
from stretto.agents.crm.records import open_records
from stretto.errors import StepFailed


class CrmScout(Agent):
    """Fetches an account with its deals, tickets and notes."""

    name = "crm_scout"
    capabilities = frozenset({"data_fetch"})
    max_concurrent_tasks = 8

    def __init__(self, data_dir: Path | None = None) -> None:
        """Read from ``data_dir``, or from the shipped sample data if None."""
        self._data_dir = data_dir

    def fetch_account(self, task: Task) -> dict[str, Any]:
        """Give everything that is known about one account.

        Args:
            task: ``params.account_id`` names the account.

        Returns:
            ``as_of`` (the date of the newest record), ``account``, ``deals``, ``tickets`` and
            ``notes``, oldest first.

        Raises:
            StepFailed: no account has this id (``unknown_account``).

        """
        account_id = str(task.params.get("account_id") or "").strip().upper()
        records = open_records(self._data_dir)
        found = records.account(account_id)
        if found is None:
            near = records.nearest(account_id)
            hint = f"; the nearest are {', '.join(near)}" if near else ""
            message = f"No account has the id '{account_id}'{hint}."
            raise StepFailed(message, code="unknown_account", retryable=False)
        return found

    run = fetch_account
