import re
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from stretto.agents.crm.records import clean_value, open_records
from stretto.errors import ConfigurationError

REPO = Path(__file__).parents[2]
DATA = REPO / "agents" / "crm" / "data"
TABLES = ("accounts", "deals", "tickets", "notes")
RECORDS = open_records()


def record(account_id: str) -> dict[str, Any]:
    found = RECORDS.account(account_id)
    assert found is not None
    return found


def everything(table: str) -> list[dict[str, Any]]:
    return [row for account_id in RECORDS.accounts for row in record(account_id)[table]]


def test_the_script_writes_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    script = REPO / "scripts" / "generate_crm.py"
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True)
    for table in TABLES:
        assert (tmp_path / f"{table}.csv").read_bytes() == (DATA / f"{table}.csv").read_bytes()


def test_there_are_at_least_240_accounts_in_less_than_one_and_a_half_megabytes() -> None:
    assert len(RECORDS.accounts) >= 240
    assert min(RECORDS.accounts) == "ACC-1001"
    assert sum((DATA / f"{table}.csv").stat().st_size for table in TABLES) < 1_500_000


def test_the_records_span_two_years_and_end_on_the_reference_date() -> None:
    days = [row["date"] for row in everything("notes")]
    days += [row["opened"] for row in everything("tickets")]
    assert RECORDS.as_of == max(days) == "2026-06-30"
    assert min(days) < "2024-08-01"
    assert {day[:7] for day in days} >= {
        f"{year}-{month:02}" for year in (2025,) for month in range(1, 13)
    }


def test_every_row_belongs_to_an_account_and_keeps_its_dates_in_order() -> None:
    created = {key: row["created"] for key, row in RECORDS.accounts.items()}
    for row in everything("tickets"):
        assert created[row["account_id"]] <= row["opened"] <= (row["resolved"] or "9999")
        assert (row["resolved"] is None) == (row["status"] != "solved")
    for row in everything("deals"):
        assert row["created"] <= row["close_date"]
        assert row["stage"].startswith("closed_") == (row["close_date"] <= RECORDS.as_of)
        assert (row["lost_reason"] is None) == (row["stage"] != "closed_lost")
    for table in ("deals", "tickets", "notes"):
        raw = (DATA / f"{table}.csv").read_text(encoding="utf-8").splitlines()[1:]
        assert {line.split(",")[1] for line in raw} <= set(RECORDS.accounts)


def test_the_files_are_rough_and_the_records_are_not() -> None:
    raw = (DATA / "accounts.csv").read_text(encoding="utf-8")
    assert "€" in raw
    assert "Deutschland" in raw
    assert re.search(r"\d\d\.\d\d\.20\d\d", raw)
    accounts = list(RECORDS.accounts.values())
    assert all(isinstance(row["arr"], int) for row in accounts)
    assert all(date.fromisoformat(row["renewal_date"]) for row in accounts)
    assert not {"Deutschland", "USA", "UK"} & {row["country"] for row in accounts}
    assert any(row["owner"] is None for row in accounts)
    assert Counter(row["note_id"] for row in everything("notes")).most_common(1)[0][1] == 1
    assert {row["priority"] for row in everything("tickets")} == {"urgent", "high", "normal", "low"}


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("arr", "€48,000", 48000),
        ("arr", " 48 000.50 ", 48000.5),
        ("csat", "n/a", None),
        ("renewal_date", "14.03.2025", "2025-03-14"),
        ("priority", "Urgent ", "urgent"),
        ("country", "UK", "United Kingdom"),
        ("name", " Kestrel  Foods ", "Kestrel Foods"),
        ("owner", None, None),
    ],
)
def test_a_cell_is_read_as(column: str, text: str | None, value: object) -> None:
    assert clean_value(column, text) == value


def test_a_cell_that_cannot_be_read_is_named_with_file_and_line(tmp_path: Path) -> None:
    for table in TABLES:
        (tmp_path / f"{table}.csv").write_bytes((DATA / f"{table}.csv").read_bytes())
    file = tmp_path / "accounts.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].replace(lines[2].split(",")[-1], "soon")
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"accounts\.csv, line 3: renewal_date has 'soon'"):
        open_records(tmp_path)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"accounts\.csv cannot be read"):
        open_records(tmp_path)
