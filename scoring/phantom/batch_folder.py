"""The landing folder of one synthetic batch, and the radiographs and joints that its faults have already changed."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from upath import UPath

from scoring.errors import InvalidRequest
from scoring.phantom.registry import JOINT_COLUMNS
from scoring.phantom.seeds import stream
from scoring.storage import atomic_write

CONSULTATIONS = "consultations.csv"
DISEASE_ACTIVITY = "disease_activity.csv"

Row = dict[str, str]


@dataclass
class Batch:
    """One written batch; `seed` is that of its faults, and `..._taken` is what faults have changed already."""

    folder: UPath
    batch_date: date
    seed: int
    radiographs_taken: set[str] = field(default_factory=set)
    joints_taken: set[tuple[str, str]] = field(default_factory=set)

    def rng(self, fault: str) -> np.random.Generator:
        """Return the generator of one fault."""
        return stream(self.seed, "fault", fault, self.batch_date.isoformat())

    def rows(self, file_name: str) -> list[Row]:
        """Return the data rows of one of the CSV files."""
        return list(csv.DictReader(io.StringIO((self.folder / file_name).read_text(encoding="utf-8"))))

    @contextmanager
    def consultation(self, radiograph: str) -> Iterator[tuple[list[Row], Row]]:
        """Give all consultations and that of one radiograph to a block, and write them back after it."""
        rows = self.rows(CONSULTATIONS)
        yield rows, next(row for row in rows if row["sop_iuid"] == radiograph)
        write(self.folder / CONSULTATIONS, csv_bytes(rows, list(rows[0])))

    def take_radiograph(self) -> str:
        """Return a read radiograph (sop_iuid) with all its images, for a fault that changes its whole row."""
        busy = self.radiographs_taken | {radiograph for radiograph, _ in self.joints_taken}
        for row in self.rows(CONSULTATIONS):
            radiograph = row["sop_iuid"]
            if radiograph not in busy and n_read(row) and self._has_images(radiograph):
                self.radiographs_taken.add(radiograph)
                return radiograph
        raise self._too_small()

    def take_joint(self) -> tuple[str, str]:
        """Return a read joint with an image as (sop_iuid, joint), for a fault that changes nothing else."""
        for row in reversed(self.rows(CONSULTATIONS)):
            radiograph = row["sop_iuid"]
            if radiograph in self.radiographs_taken or not self._has_images(radiograph):
                continue
            for joint in JOINT_COLUMNS:
                if row[joint] and (radiograph, joint) not in self.joints_taken:
                    self.joints_taken.add((radiograph, joint))
                    return radiograph, joint
        raise self._too_small()

    def image(self, radiograph: str, joint: str) -> UPath:
        """Return the path of one joint image."""
        return self.folder / "joints" / f"{radiograph}_{joint}.jpg"

    def _has_images(self, radiograph: str) -> bool:
        return all(self.image(radiograph, joint).exists() for joint in JOINT_COLUMNS)

    def _too_small(self) -> InvalidRequest:
        return InvalidRequest(
            f"The batch {self.batch_date} has no read radiograph left for another fault. "
            "Use more patients or fewer faults."
        )


def write(path: UPath, data: bytes) -> None:
    """Write a file atomically."""
    with atomic_write(path) as file:
        file.write(data)


def csv_bytes(
    rows: list[Row], columns: list[str], *, delimiter: str = ",", newline: str = "\n", encoding: str = "utf-8"
) -> bytes:
    """Return rows as CSV with a header. Keys that are not columns are left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator=newline, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def n_read(row: Row) -> int:
    """Return the number of joints read in a consultation."""
    return sum(bool(row[joint]) for joint in JOINT_COLUMNS)
