"""The landing folder of one synthetic batch, and the radiographs and joints that its faults have already changed."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd
from upath import UPath

from scoring.errors import InvalidRequest
from scoring.phantom.registry import JOINT_COLUMNS
from scoring.phantom.seeds import Rng, stream
from scoring.storage import atomic_write

CONSULTATIONS = "consultations.csv"
DISEASE_ACTIVITY = "disease_activity.csv"

Row = dict[Hashable, str]


@dataclass
class Batch:
    """One written batch; `seed` is that of its faults, and `..._taken` is what faults have changed already."""

    folder: UPath
    batch_date: date
    seed: int
    radiographs_taken: set[str] = field(default_factory=set)
    joints_taken: set[tuple[str, str]] = field(default_factory=set)

    def rng(self, fault: str) -> Rng:
        """Return the generator of one fault."""
        return stream(self.seed, "fault", fault, self.batch_date.isoformat())

    def read_table(self, file_name: str) -> pd.DataFrame:
        """Return one of the CSV files as text."""
        with (self.folder / file_name).open("rb") as file:
            return pd.read_csv(file, dtype=str, keep_default_na=False)

    def write_table(self, file_name: str, table: pd.DataFrame, encoding: str = "utf-8", **dialect: Any) -> None:
        """Write one of the CSV files; `dialect` are arguments of `DataFrame.to_csv`."""
        text = str(table.to_csv(index=False, **{"lineterminator": "\n"} | dialect))
        write(self.folder / file_name, text.encode(encoding))

    def consultations(self) -> list[Row]:
        """Return the rows of consultations.csv as text by column."""
        return self.read_table(CONSULTATIONS).to_dict("records")

    @contextmanager
    def consultation(self, radiograph: str) -> Iterator[tuple[list[Row], Row]]:
        """Give all consultations and that of one radiograph to a block, and write them back after it."""
        rows = self.consultations()
        yield rows, next(row for row in rows if row["sop_iuid"] == radiograph)
        self.write_table(CONSULTATIONS, pd.DataFrame(rows))

    def take_radiograph(self) -> str:
        """Return a read radiograph (sop_iuid) with all its images, for a fault that changes its whole row."""
        busy = self.radiographs_taken | {radiograph for radiograph, _ in self.joints_taken}
        for row in self.consultations():
            radiograph = row["sop_iuid"]
            if radiograph not in busy and n_read(row) and self._has_images(radiograph):
                self.radiographs_taken.add(radiograph)
                return radiograph
        raise self._too_small()

    def take_joint(self) -> tuple[str, str]:
        """Return a read joint with an image as (sop_iuid, joint), for a fault that changes nothing else."""
        for row in reversed(self.consultations()):
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
            f"Batch {self.batch_date} has no read radiograph left for another fault. Use more patients or fewer faults."
        )


def write(path: UPath, data: bytes) -> None:
    """Write a file atomically."""
    with atomic_write(path) as file:
        file.write(data)


def n_read(row: Row) -> int:
    """Return the number of joints read in a consultation."""
    return sum(bool(row[joint]) for joint in JOINT_COLUMNS)
