"""Write the sample CRM as CSV files, the same bytes for the same seed."""

import argparse
import csv
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from crm_accounts import SEED, AccountStory, Dice, Row

HERE = Path(__file__).parent
TARGET = HERE.parent / "agents" / "crm" / "data"
COLUMNS = {
    "accounts": "account_id name industry country plan seats active_seats arr arr_previous "
    "invoice_days_overdue owner created renewal_date",
    "deals": "deal_id account_id name type stage amount created close_date lost_reason",
    "tickets": "ticket_id account_id opened resolved priority status subject csat",
    "notes": "note_id account_id date kind author text",
}
PREFIXES = {
    "deals": ("deal_id", "DL-"),
    "tickets": ("ticket_id", "TCK-"),
    "notes": ("note_id", "N-"),
}


def generate() -> dict[str, list[Row]]:
    """Make the rows of every table, with the flaws that real CRM exports have."""
    words = tomllib.loads((HERE / "crm_words.toml").read_text(encoding="utf-8"))
    stories = tomllib.loads((HERE / "crm_stories.toml").read_text(encoding="utf-8"))
    tables: dict[str, list[Row]] = {name: [] for name in COLUMNS}
    names: set[str] = set()
    for number, story in enumerate(_mixed(stories), start=1):
        account = AccountStory(number, story, words, names)
        tables["accounts"].append(account.account())
        tables["deals"] += account.deals()
        tables["tickets"] += account.tickets()
        tables["notes"] += account.notes()
    for table, (key, prefix) in PREFIXES.items():
        for number, row in enumerate(tables[table], start=1001):
            row[key] = f"{prefix}{number}"
    _roughen(tables, words)
    return tables


def _mixed(stories: Row) -> Iterator[Row]:
    """Deal the stories out in a random order, each as often as it says."""
    dice = Dice(SEED)
    left = [story for story in stories.values() for _ in range(story["count"])]
    while left:
        yield left.pop(int(dice.between((0, len(left) - 1))))


def _roughen(tables: dict[str, list[Row]], words: Row) -> None:
    """Add missing values, spellings, number and date forms, and duplicate rows."""
    dice = Dice(SEED + 1)
    for row in tables["accounts"]:
        row["country"] = _misspelt(row["country"], words["country_spellings"], dice)
        _roughen_account(row, dice)
    for row in tables["tickets"]:
        if dice.chance(0.03):
            row["priority"] = row["priority"].capitalize() + dice.pick(("", " "))
        if row["csat"] == "" and dice.chance(0.08):
            row["csat"] = "n/a"
    tables["notes"] += [dict(row) for row in tables["notes"] if dice.chance(0.008)]


def _roughen_account(row: Row, dice: Dice) -> None:
    for column, rate in {"industry": 0.05, "owner": 0.03, "active_seats": 0.06}.items():
        if dice.chance(rate):
            row[column] = ""
    if dice.chance(0.06):
        row["arr"] = f"€{row['arr']:,}"
    if dice.chance(0.05):
        row["renewal_date"] = f"{row['renewal_date']:%d.%m.%Y}"
    if dice.chance(0.04):
        row["name"] = f" {row['name']}  "


def _misspelt(country: str, spellings: dict[str, list[str]], dice: Dice) -> str:
    return dice.pick(spellings[country]) if country in spellings and dice.chance(0.15) else country


def write(tables: dict[str, list[Row]], folder: Path) -> None:
    """Write one CSV file per table into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, columns in COLUMNS.items():
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns.split(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(
                {key: _text(value) for key, value in row.items()} for row in tables[table]
            )


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TARGET, help="folder to write the files into")
    write(generate(), parser.parse_args().out)
