"""One account of the sample CRM and what happens to it in two years.

Only ``random.Random.random`` is drawn from, because it is the one generator that Python promises to
keep; so every supported Python tells the same story for the same seed.
"""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from math import exp
from string import Template
from typing import Any, TypeVar

AS_OF = date(2026, 6, 30)
START = date(2024, 7, 1)
DAYS = (AS_OF - START).days
QUARTER = (DAYS + 1) / 8
SEED = 20260630
ROUTINE = (
    "Sent the release notes to $champion, no questions.",
    "$champion asked for the slides of the last review, sent them.",
    "Short call on $area with $champion, answered a question on user rights.",
    "Left $champion a message about the new $area guide.",
)
Row = dict[str, Any]
T = TypeVar("T")


class Dice:
    """Draws for one account, from ``random()`` alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self._random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """Take one of the items."""
        return items[int(self._random() * len(items))]

    def between(self, bounds: Sequence[float]) -> int:
        """Take a whole number from low to high, both included."""
        low, high = bounds
        return int(low + self._random() * (high - low + 1))

    def around(self, middle: float) -> float:
        """Take a number near the middle, at most 1.5 away."""
        return middle + (self._random() + self._random() + self._random() - 1.5)

    def poisson(self, mean: float) -> int:
        """Count events of a given mean, by Knuth's method."""
        limit, count, product = exp(-mean), 0, self._random()
        while product > limit:
            count, product = count + 1, product * self._random()
        return count


class AccountStory:
    """One account and everything that happens to it in the two years."""

    def __init__(self, number: int, story: Row, words: Row, names: set[str]) -> None:
        self.dice = Dice(SEED * 1_000 + number)
        self.story, self.words = story, words
        self.id = f"ACC-{1000 + number}"
        people = [f"{self.dice.pick(words['first'])} {self.dice.pick(words['last'])}" for _ in "ab"]
        self.champion, self.newcomer = people
        self.owner = self.dice.pick(words["owners"])
        self.area, self.rival = self.dice.pick(words["areas"]), self.dice.pick(words["rivals"])
        self.industry = self.dice.pick(list(words["industries"]))
        self.name = self._fresh_name(names)
        self.renewal = AS_OF + timedelta(days=self.dice.between(story["renewal"]))
        young = max(story["tickets"][:3]) == 0
        years = 1 if young else self.dice.between((3, 6))
        self.created = self.renewal.replace(year=self.renewal.year - years)
        self.seats = self.dice.pick((15, 20, 25, 40, 50, 60, 80, 120, 150, 250))
        self.seat_price = self.dice.pick((240, 300, 360, 480))
        self.arr_previous = self.seats * self.seat_price
        self.arr = round(self.arr_previous * (1 + self.dice.between(story["arr"]) / 100) / 10) * 10

    def _fresh_name(self, names: set[str]) -> str:
        while True:
            suffix = self.dice.pick(self.words["industries"][self.industry])
            name = f"{self.dice.pick(self.words['stems'])} {suffix}"
            if name not in names:
                names.add(name)
                return name

    def tell(self, template: str) -> str:
        """Fill a wording with the people and things of this account."""
        text = Template(template).substitute(
            champion=self.champion.split()[0] if self.dice.chance(0.5) else self.champion,
            newcomer=self.newcomer,
            name=self.name,
            area=self.area if self.dice.chance(0.8) else self.dice.pick(self.words["areas"]),
            rival=self.rival,
            industry=self.industry.lower(),
            n=self.dice.between((5, 24)),
            pct=self.dice.between((8, 32)),
            seats=self.dice.between(self.story["seats"]),
        )
        return text[0].upper() + text[1:]

    def account(self) -> Row:
        """Give the row of the account itself."""
        used = self.seats * self.dice.between(self.story["seats"]) // 100
        plan = "Starter" if self.seats < 30 else "Business" if self.seats < 120 else "Enterprise"
        return {
            "account_id": self.id,
            "name": self.name,
            "industry": self.industry,
            "country": self.dice.pick(self.words["countries"]),
            "plan": plan,
            "seats": self.seats,
            "active_seats": used,
            "arr": self.arr,
            "arr_previous": "" if self.created > START else self.arr_previous,
            "invoice_days_overdue": self.dice.between(self.story["late"]),
            "owner": self.owner,
            "created": self.created,
            "renewal_date": self.renewal,
        }

    def deals(self) -> list[Row]:
        """Give its renewals and expansions."""
        return [*self._renewals(), *self._expansions()]

    def _deal(self, name: str, kind: str, stage: str, amount: int, opened: date, end: date) -> Row:
        lost = stage == "closed_lost"
        reason = self.dice.pick(self.words["lost_reasons"]["values"]) if lost else ""
        first = max(opened, self.created)
        return {
            "account_id": self.id,
            "name": f"{self.name} – {name}",
            "type": kind,
            "stage": stage,
            "amount": amount,
            "created": first,
            "close_date": max(end, first),
            "lost_reason": reason,
        }

    def _renewals(self) -> list[Row]:
        rows: list[Row] = []
        for back in (2, 1):
            day = self.renewal.replace(year=self.renewal.year - back)
            if START <= day <= AS_OF and day > self.created:
                opened = day - timedelta(days=self.dice.between((60, 110)))
                label = f"renewal {day.year}"
                amount = self.arr_previous
                rows.append(self._deal(label, "renewal", "closed_won", amount, opened, day))
        opened = self.renewal - timedelta(days=self.dice.between((90, 150)))
        if opened < AS_OF:
            stage = self.dice.pick(("qualification", "proposal", "negotiation"))
            label = f"renewal {self.renewal.year}"
            rows.append(self._deal(label, "renewal", stage, self.arr, opened, self.renewal))
        return rows

    def _expansions(self) -> list[Row]:
        rows: list[Row] = []
        for outcome in ("won", "lost", "open"):
            for _ in range(self.dice.between(self.story[outcome])):
                ended = AS_OF - timedelta(days=self.dice.between((15, 640)))
                opened = ended - timedelta(days=self.dice.between((25, 120)))
                stage = f"closed_{outcome}"
                if outcome == "open":
                    opened = AS_OF - timedelta(days=self.dice.between((10, 140)))
                    ended = AS_OF + timedelta(days=self.dice.between((10, 120)))
                    stage = self.dice.pick(("qualification", "proposal", "negotiation"))
                seats = self.dice.pick((5, 10, 15, 20, 30))
                label = f"{seats} seats for {self.area}"
                amount = seats * self.seat_price
                rows.append(self._deal(label, "expansion", stage, amount, opened, ended))
        return rows

    def tickets(self) -> list[Row]:
        """Give its support tickets, the last ones possibly unsolved."""
        rows: list[Row] = []
        for quarter, mean in enumerate(self.story["tickets"]):
            for _ in range(self.dice.poisson(mean)):
                day = START + timedelta(
                    days=int((quarter + self.dice.between((0, 99)) / 100) * QUARTER)
                )
                if day >= self.created:
                    rows.append(self._ticket(day))
        rows.sort(key=lambda row: row["opened"])
        for row in rows[len(rows) - self.dice.between(self.story["unresolved"]) :]:
            if (AS_OF - row["opened"]).days < 75:
                row.update(resolved="", csat="", status=self.dice.pick(("open", "open", "pending")))
        return rows

    def _ticket(self, day: date) -> Row:
        share = (day - START).days / DAYS
        early, late = self.story["urgent"]
        urgent = early + (late - early) * share
        rest = ("high", "normal", "normal", "normal", "low")
        priority = "urgent" if self.dice.chance(urgent) else self.dice.pick(rest)
        early, late = self.story["csat"]
        wait = {"urgent": (0, 3), "high": (1, 6), "normal": (1, 10), "low": (2, 20)}[priority]
        solved = day + timedelta(days=self.dice.between(wait))
        score = max(1, min(5, round(self.dice.around(early + (late - early) * share))))
        pending = solved > AS_OF
        return {
            "account_id": self.id,
            "opened": day,
            "resolved": "" if pending else solved,
            "priority": priority,
            "status": "open" if pending else "solved",
            "subject": self.tell(self.dice.pick(self.words["subjects"][priority])),
            "csat": "" if pending or self.dice.chance(0.4) else score,
        }

    def notes(self) -> list[Row]:
        """Give what its owner wrote down, in order of time."""
        beats = self.story["beats"]
        rows = [self._note(at, self.dice.pick(wordings)) for at, *wordings in beats]
        for _ in range(self.dice.between((1, 4))):
            at = beats[0][0] + (beats[-1][0] - beats[0][0]) * self.dice.between((0, 100)) / 100
            rows.append(self._note(at, self.dice.pick(ROUTINE)))
        return sorted(rows, key=lambda row: row["date"])

    def _note(self, at: float, wording: str) -> Row:
        day = START + timedelta(days=int(at * DAYS) + self.dice.between((-12, 12)))
        return {
            "account_id": self.id,
            "date": max(min(day, AS_OF), self.created),
            "kind": self.dice.pick(("call", "call", "email", "meeting", "note")),
            "author": self.owner,
            "text": self.tell(wording),
        }
