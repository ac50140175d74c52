"""Specialists for customer accounts, on CRM records in CSV files."""

from pathlib import Path
from typing import TYPE_CHECKING

from stretto.agents.agent import Agent

if TYPE_CHECKING:
    from stretto.agents.llm import ModelSource


def crm_agents(model: "ModelSource" = None, data_dir: Path | None = None) -> list[Agent]:
    """Make the agents of the workflow ``account_analysis``.

    Args:
        model: the model that words the advice; see ``open_model``.
        data_dir: the folder of the CRM's CSV files; the shipped sample data if None.

    """
    from stretto.agents.crm.advisor import AccountAdvisor
    from stretto.agents.crm.history import AccountHistorian
    from stretto.agents.crm.risk import RiskAnalyzer
    from stretto.agents.crm.scout import CrmScout

    return [CrmScout(data_dir), RiskAnalyzer(), AccountHistorian(), AccountAdvisor(model)]
