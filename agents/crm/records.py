"""The CRM records of one folder of CSV files, cleaned."""

import csv
import re
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import date, datetime
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from stretto.errors import ConfigurationError

Row = dict[str, Any]
"""One record in JSON types: dates as ISO text, missing values as None."""
COLUMNS = {
    "accounts": "account_id name industry country plan seats active_seats arr arr_previous "
    "invoice_days_overdue owner created renewal_date",
    "deals": "deal_id account_id name type stage amount created close_date lost_reason",
    "tickets": "ticket_id account_id opened resolved priority status subject csat",
    "notes": "note_id account_id date kind author text",
}
"""The columns that each file must have; others are kept as text."""
COUNTRIES = {
    "deutschland": "Germany",
    "de": "Germany",
    "germany": "Germany",
    "usa": "United States",
    "u.s.": "United States",
    "us": "United States",
    "uk": "United Kingdom",
    "gb": "United Kingdom",
    "great britain": "United Kingdom",
}
_NUMBERS = frozenset("seats active_seats arr arr_previous invoice_days_overdue amount csat".split())
_DATES = frozenset("created renewal_date close_date opened resolved date".split())
_LOWER = frozenset("priority status stage type kind".split())
_HAPPENED = (
    ("deals", "created"),
    ("tickets", "opened"),
    ("tickets", "resolved"),
    ("notes", "date"),
)
_SHARES = {"deals": "created", "tickets": "opened", "notes": "date"}


class CrmRecords:
    """Everything one folder knows, by account."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        """Index cleaned ``tables``; a row that repeats the id of another is dropped."""
        self.accounts = {row["account_id"]: row for row in tables["accounts"]}
        self._parts: dict[str, dict[str, list[Row]]] = {}
        for table, day in _SHARES.items():
            self._parts[table] = _by_account(_distinct(tables[table]), day)
        days = [row[column] for table, column in _HAPPENED for row in tables[table] if row[column]]
        self.as_of: str = max(days, default="")

    def account(self, account_id: str) -> Row | None:
        """Give the account with its deals, tickets and notes (oldest first), or None."""
        if account_id not in self.accounts:
            return None
        parts = {table: self._parts[table].get(account_id, []) for table in _SHARES}
        return deepcopy({"as_of": self.as_of, "account": self.accounts[account_id], **parts})

    def nearest(self, account_id: str, count: int = 3) -> list[str]:
        """List the known ids most like ``account_id``, the best first."""
        return get_close_matches(account_id.strip().upper(), self.accounts, count, 0.5)


def _distinct(rows: Iterable[Row]) -> Iterator[Row]:
    """Leave out rows whose id, the first column, was there before."""
    seen: set[str] = set()
    for row in rows:
        key = next(iter(row.values()))
        if key not in seen:
            seen.add(key)
            yield row


def _by_account(rows: Iterable[Row], day: str) -> dict[str, list[Row]]:
    grouped: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row[day] or ""):
        grouped[row["account_id"]].append(row)
    return dict(grouped)


def open_records(folder: Path | None = None) -> CrmRecords:
    """Read the CSV files of a folder once; later calls give the same records.

    Args:
        folder: where accounts.csv, deals.csv, tickets.csv and notes.csv are; the shipped sample
            data if None.

    Raises:
        ConfigurationError: a file is missing, or a value in it cannot be read.

    """
    return _read(folder.resolve() if folder else None)


@lru_cache(maxsize=8)
def _read(folder: Path | None) -> CrmRecords:
    with _located(folder) as place:
        return CrmRecords({table: _read_table(place, table) for table in COLUMNS})


@contextmanager
def _located(folder: Path | None) -> Generator[Path]:
    if folder is not None:
        yield folder
        return
    with as_file(files("stretto.agents.crm") / "data") as shipped:
        yield shipped


def _read_table(folder: Path, table: str) -> list[Row]:
    path = folder / f"{table}.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="more", strict=True)
            missing = sorted(set(COLUMNS[table].split()) - set(reader.fieldnames or ()))
            if missing:
                raise ConfigurationError(f"CRM file {path} has no column {', '.join(missing)}")
            return [_clean(row, path, reader.line_num) for row in reader]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"CRM file {path} cannot be read: {error}") from error


def _clean(row: dict[str, str], path: Path, line: int) -> Row:
    cleaned: Row = {}
    for column, text in row.items():
        if column == "more":
            raise ConfigurationError(f"{path.name}, line {line}: more cells than columns")
        try:
            cleaned[column] = clean_value(column, text)
        except ValueError as error:
            message = f"{path.name}, line {line}: {column} has {text!r}: {error}"
            raise ConfigurationError(message) from error
    return cleaned


def clean_value(column: str, text: str | None) -> str | int | float | None:
    """Read one cell.

    Args:
        column: its column, which decides the type.
        text: what stands in the file; spaces around it do not count.

    Returns:
        A number, an ISO date, a text, or None when the cell says nothing.

    Raises:
        ValueError: it is not what the column holds.

    """
    text = " ".join((text or "").split())
    if text.lower() in {"", "n/a", "na", "-", "null", "none"}:
        return None
    if column in _NUMBERS:
        return _number(text)
    if column in _DATES:
        return _day(text).isoformat()
    if column == "country":
        return COUNTRIES.get(text.lower(), text)
    return text.lower() if column in _LOWER else text


def _number(text: str) -> int | float:
    number = float(re.sub(r"[€$£,\s]", "", text))
    return int(number) if number.is_integer() else number


def _day(text: str) -> date:
    form = "%d.%m.%Y" if re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{4}", text) else "%Y-%m-%d"
    return datetime.strptime(text, form).date()
