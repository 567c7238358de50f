"""Makes rental-like data, one CSV a location, for the walkthrough of the bike-rental franchise (context 4.5).

The columns are those of the public bike-sharing data that the walkthrough uses. Every row is an hour of 2011 or 2012,
drawn evenly. The number of rentals is Poisson distributed about a mean that is made of

* the location's size, log-normal over the locations (median 120 an hour, sigma 0.5),
* the hour: commuters' peaks at 8 and 17 on working days, one broad afternoon peak on others, in a mixture of the two
  that each location has of its own (uniform from 0.2 to 0.9: an office quarter, or a park),
* the temperature: linear, with a slope of the location's own (normal, 1.2 and 0.4), from a yearly cosine with noise,
* the weather: clear, misty or rain (0.65, 0.26, 0.09), which takes 0, 15 or 55 % off, and
* growth from the first year to the second, 10 to 60 % by location.

So locations differ in level and in shape, and a model that was trained on one is wrong for another. All is drawn from
a generator seeded with the location's number and the seed: the same call gives the same bytes.

    python tests/end_to_end/sets/rental_data.py DIRECTORY --locations 100
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import random
from pathlib import Path

COLUMNS = (
    "season", "yr", "mnth", "hr", "holiday", "weekday", "workingday", "weathersit", "temp", "atemp", "hum",
    "windspeed", "cnt",
)  # fmt: skip
ROWS = 60
SEED = 4052


def location_csv(number: int, *, rows: int = ROWS, seed: int = SEED) -> str:
    """The data of one location as CSV with a header, ``rows`` rows."""
    drawn = random.Random(seed * 100_003 + number)  # noqa: S311 - made-up data
    size = 120 * math.exp(drawn.gauss(0, 0.5))
    commuters = drawn.uniform(0.2, 0.9)
    warmth = drawn.gauss(1.2, 0.4)
    growth = drawn.uniform(0.1, 0.6)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for _ in range(rows):
        writer.writerow(_hour(drawn, size, commuters, warmth, growth))
    return text.getvalue()


def _hour(drawn: random.Random, size: float, commuters: float, warmth: float, growth: float) -> list[object]:
    year, day, hour, weekday = drawn.randint(0, 1), drawn.randint(0, 364), drawn.randint(0, 23), drawn.randint(0, 6)
    holiday = int(drawn.random() < 0.03)
    working = int(1 <= weekday <= 5 and not holiday)
    weather = drawn.choices((1, 2, 3), (0.65, 0.26, 0.09))[0]
    temperature = min(1.0, max(0.02, 0.5 - 0.28 * math.cos(2 * math.pi * (day - 15) / 365) + drawn.gauss(0, 0.07)))
    peaks = math.exp(-(((hour - 8) / 1.6) ** 2)) + 1.2 * math.exp(-(((hour - 17) / 2.1) ** 2))
    leisure = math.exp(-(((hour - 14) / 4.5) ** 2))
    shape = commuters * (peaks if working else 0.5 * leisure) + (1 - commuters) * leisure
    mean = size * (0.08 + shape) * max(0.1, 0.4 + warmth * temperature) * (1 + growth * year)
    mean *= {1: 1.0, 2: 0.85, 3: 0.45}[weather]
    rentals = max(0, round(drawn.gauss(mean, math.sqrt(mean))))  # Poisson, near enough at these means
    return [
        1 + (day // 91) % 4, year, 1 + day // 31, hour, holiday, weekday, working, weather, f"{temperature:.2f}",
        f"{0.94 * temperature + 0.02:.4f}", f"{drawn.uniform(0.3, 0.95):.2f}", f"{drawn.uniform(0, 0.5):.4f}", rentals,
    ]  # fmt: skip


def write(directory: Path, locations: int, *, rows: int = ROWS) -> None:
    """Write ``BikeRental001.csv`` and so on, and ``BikeRental.csv`` with rows of them all."""
    directory.mkdir(parents=True, exist_ok=True)
    pooled: list[str] = []
    for number in range(1, locations + 1):
        header, *lines = location_csv(number, rows=rows).splitlines(keepends=True)
        (directory / f"BikeRental{number:03}.csv").write_text("".join([header, *lines]))
        pooled += lines[:20] if number <= 20 else []
    (directory / "BikeRental.csv").write_text("".join([header, *pooled]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Makes rental-like data, one CSV a location.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--locations", type=int, default=100)
    chosen = parser.parse_args()
    write(chosen.directory, chosen.locations)
