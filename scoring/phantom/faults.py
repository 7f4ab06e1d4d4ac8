"""Catalogue of faults that occur in real exports. Each damages one clean synthetic batch and has an expected outcome.

A fault uses radiographs and joints that no other fault of the batch has changed, so the counts of several faults add
up. The counts apply to a batch with radiographs that the warehouse does not know yet.

The docstring of a fault is its description in `scoring phantom --list-faults`, its name the seed of its random stream.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import wraps

import numpy as np
from PIL import Image

from scoring.errors import BadInput, InvalidRequest, LandingNotReady, ScoringError
from scoring.imaging.decode import UndecodableImage, decode_grey
from scoring.phantom.batch_folder import CONSULTATIONS, DISEASE_ACTIVITY, Batch, Row, n_read, write
from scoring.phantom.raster import encode_jpeg
from scoring.phantom.registry import JOINT_COLUMNS
from scoring.phantom.seeds import Rng
from scoring.settings import SUCCESS_MARKER


@dataclass(frozen=True)
class FaultEffect:
    """Expected outcome of a fault.

    Attributes:
        rule: Rule that reports it, such as `images.decodes`; empty if nothing is quarantined.
        quarantined: Quarantined rows by dataset, with the readings and images of a quarantined consultation.
        error: Error that stops the batch before anything is published; None if the batch is scored.
    """

    name: str
    rule: str
    quarantined: dict[str, int]
    error: type[ScoringError] | None


FAULTS: dict[str, Callable[[Batch], FaultEffect]] = {}
"""Faults by name. Those that change whole files come last, because the others need a clean batch."""

_Counts = dict[str, int] | None
_Damage = Callable[[Batch], _Counts]


def damage_batch(batch: Batch, names: tuple[str, ...]) -> tuple[FaultEffect, ...]:
    """Apply faults to a clean batch, in the order of the catalogue; raise InvalidRequest if the batch is too small."""
    return tuple(fault(batch) for name, fault in FAULTS.items() if name in names)


def check_fault_names(names: tuple[str, ...]) -> None:
    """Raise InvalidRequest if a name is not in the catalogue."""
    unknown = sorted(set(names) - set(FAULTS))
    if unknown:
        raise InvalidRequest(f"Unknown fault: {', '.join(unknown)}. `scoring phantom --list-faults` lists all faults.")


def _fault(rule: str = "", error: type[ScoringError] | None = None) -> Callable[[_Damage], None]:
    """Add the decorated function, which damages a batch and returns the expected quarantined rows by dataset."""

    def add(damage: _Damage) -> None:
        @wraps(damage)
        def fault(batch: Batch) -> FaultEffect:
            return FaultEffect(damage.__name__, rule, damage(batch) or {}, error)

        FAULTS[damage.__name__] = fault

    return add


def _image_fault(rule: str) -> Callable[[Callable[[bytes, Rng], bytes]], None]:
    """Add the decorated function, which damages the bytes of one joint image, as a fault."""

    def add(change: Callable[[bytes, Rng], bytes]) -> None:
        @_fault(rule)
        @wraps(change)
        def damage(batch: Batch) -> _Counts:
            path = batch.image(*batch.take_joint())
            write(path, change(path.read_bytes(), batch.rng(change.__name__)))
            return {"images": 1}

    return add


def _row_fault(rule: str) -> Callable[[Callable[[Row, date], None]], None]:
    """Add the decorated function, which makes one consultation unacceptable, as a fault."""

    def add(change: Callable[[Row, date], None]) -> None:
        @_fault(rule)
        @wraps(change)
        def damage(batch: Batch) -> _Counts:
            with batch.consultation(batch.take_radiograph()) as (_, row):
                change(row, batch.batch_date)
            return {"consultations": 1, "readings": n_read(row), "images": len(JOINT_COLUMNS)}

    return add


@_image_fault("images.decodes")
def zero_byte(_: bytes, __: Rng) -> bytes:
    """A joint image has 0 bytes: 1 image is quarantined."""
    return b""


@_image_fault("images.decodes")
def truncated(data: bytes, rng: Rng) -> bytes:
    """A joint image is cut off in the middle: 1 image is quarantined."""
    return data[: int(len(data) * rng.uniform(0.4, 0.8))]


@_image_fault("images.decodes")
def bit_flipped(data: bytes, rng: Rng) -> bytes:
    """Bits of a joint image are flipped until a strict decoder fails: 1 image is quarantined."""
    damaged = bytearray(data)
    # A decoder accepts most single flipped bits.
    while True:
        damaged[int(rng.integers(len(data) // 2, len(data) - 2))] ^= 1 << int(rng.integers(8))
        try:
            decode_grey(bytes(damaged))
        except UndecodableImage:
            return bytes(damaged)


@_image_fault("images.decodes")
def sixteen_bit(data: bytes, _: Rng) -> bytes:
    """A joint image is a 16-bit PNG with the suffix .jpg: 1 image is quarantined."""
    buffer = io.BytesIO()
    Image.fromarray(decode_grey(data).astype(np.uint16) * 257).save(buffer, format="PNG")
    return buffer.getvalue()


@_image_fault("images.color_space")
def cmyk(data: bytes, _: Rng) -> bytes:
    """A joint image has the colour space CMYK: 1 image is quarantined."""
    buffer = io.BytesIO()
    Image.fromarray(decode_grey(data)).convert("CMYK").save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


@_image_fault("images.decodes")
def bomb(data: bytes, _: Rng) -> bytes:
    """The header of a small JPEG states 30000 x 30000 pixels (900 MB decoded): 1 image is quarantined."""
    sides = 2 * (30_000).to_bytes(2)
    return re.sub(rb"(\xff[\xc0-\xc2]\x00.\x08)....", rb"\g<1>" + sides, data, count=1, flags=re.DOTALL)


@_image_fault("images.decodes")
def not_an_image(_: bytes, __: Rng) -> bytes:
    """A text file has the suffix .jpg: 1 image is quarantined."""
    return b"The image is no longer available. Please contact the archive.\n"


@_fault("images.radiograph_known")
def image_without_record(batch: Batch) -> _Counts:
    """An image belongs to a radiograph without a consultation: 1 image is quarantined."""
    radiograph, joint = batch.take_joint()
    unknown = f"2.25.{int.from_bytes(batch.rng('image_without_record').bytes(16))}"
    grey = decode_grey(batch.image(radiograph, joint).read_bytes())
    write(batch.image(unknown, joint), encode_jpeg(grey[::-1], 90))
    return {"images": 1}


@_fault()
def record_without_images(batch: Batch) -> None:
    """All 10 images of a radiograph are missing: nothing is quarantined, and 10 fewer images are scored."""
    radiograph = batch.take_radiograph()
    for joint in JOINT_COLUMNS:
        batch.image(radiograph, joint).unlink()


@_fault("images.one_file_per_joint")
def two_images_for_one_joint(batch: Batch) -> _Counts:
    """A joint has a .jpg and a .jpeg with different pixels: 2 images are quarantined."""
    path = batch.image(*batch.take_joint())
    write(path.with_suffix(".jpeg"), encode_jpeg(decode_grey(path.read_bytes())[:, ::-1], 90))
    return {"images": 2}


@_fault("images.name_matches")
def escaping_name(batch: Batch) -> _Counts:
    """A file name and a sop_iuid contain ../: 1 image and 1 consultation with its readings are quarantined."""
    radiograph, joint = batch.take_joint()
    grey = decode_grey(batch.image(radiograph, joint).read_bytes())
    write(batch.folder / "joints" / "..%2F..%2Fevil_hand_left_1.jpg", encode_jpeg(grey[::-1, ::-1], 90))
    with batch.consultation(radiograph) as (rows, row):
        rows.append({**row, "id_x": "999999001", "sop_iuid": "../../x"})
    return {"images": 1, "consultations": 1, "readings": n_read(row)}


def _reading_fault(name: str, text: str, rule: str) -> None:
    def damage(batch: Batch) -> _Counts:
        radiograph, joint = batch.take_joint()
        with batch.consultation(radiograph) as (_, row):
            row[joint] = text
        return {"readings": 1}

    damage.__name__, damage.__doc__ = name, f"A reading is {text}: 1 reading is quarantined."
    _fault(rule)(damage)


_reading_fault("percent_120", "120", "readings.percent_in_range")
_reading_fault("percent_negative", "-5", "readings.percent_in_range")
_reading_fault("percent_text", "n/a", "readings.percent_readable")


@_row_fault("consultations.date_x_not_future")
def date_in_future(row: Row, batch_date: date) -> None:
    """A radiograph is dated 400 days ahead: 1 consultation, its readings and its 10 images are quarantined."""
    row["date_x"] = row["date_y"] = (batch_date + timedelta(days=400)).isoformat()


@_row_fault("consultations.date_y_not_before_date_x")
def date_y_before_date_x(row: Row, _: date) -> None:
    """A reading is older than its radiograph: 1 consultation, its readings and its 10 images are quarantined."""
    row["date_y"] = (date.fromisoformat(row["date_x"]) - timedelta(days=30)).isoformat()


@_row_fault("consultations.date_x_readable")
def day_first_dates(row: Row, _: date) -> None:
    """Dates have the form 31.12.2025: 1 consultation, its readings and its 10 images are quarantined."""
    for column in ("date_x", "date_y"):
        row[column] = f"{date.fromisoformat(row[column]):%d.%m.%Y}"


@_fault("consultations.id_unique")
def duplicate_id_x(batch: Batch) -> _Counts:
    """Two different rows have the same id_x: 2 consultations, their readings and 10 images are quarantined."""
    with batch.consultation(batch.take_radiograph()) as (rows, row):
        joint = next(joint for joint in JOINT_COLUMNS if row[joint])
        rows.append({**row, joint: "10" if row[joint] != "10" else "15"})
    return {"consultations": 2, "readings": 2 * n_read(row), "images": len(JOINT_COLUMNS)}


@_fault("consultations.exact_copy")
def row_twice(batch: Batch) -> _Counts:
    """A consultation is delivered twice: the copy (1 consultation) and its readings are quarantined."""
    with batch.consultation(batch.take_radiograph()) as (rows, row):
        rows.append(row)
    return {"consultations": 1, "readings": n_read(row)}


@_fault()
def zero_padded_patient(batch: Batch) -> None:
    """A patient_id has leading zeros (00123): nothing is quarantined, and the zeros are kept."""
    with batch.consultation(batch.take_radiograph()) as (_, row):
        row["patient_id"] = "00123"


@_fault(error=BadInput)
def missing_column(batch: Batch) -> None:
    """The column patient_id is missing from consultations.csv: the run stops (exit code 3) and publishes 0 rows."""
    batch.write_table(CONSULTATIONS, batch.read_table(CONSULTATIONS).drop(columns="patient_id"))


@_fault(error=BadInput)
def no_header(batch: Batch) -> None:
    """The header is missing from consultations.csv: the run stops (exit code 3) and publishes 0 rows."""
    path = batch.folder / CONSULTATIONS
    write(path, path.read_bytes().partition(b"\n")[2])


@_fault(error=BadInput)
def empty_file(batch: Batch) -> None:
    """consultations.csv has 0 bytes: the run stops (exit code 3) and publishes 0 rows."""
    write(batch.folder / CONSULTATIONS, b"")


@_fault()
def empty_batch(batch: Batch) -> None:
    """Both tables have only a header, and there are no images: the run succeeds with 0 rows and 0 images."""
    for file_name in (CONSULTATIONS, DISEASE_ACTIVITY):
        batch.write_table(file_name, batch.read_table(file_name).head(0))
    for path in list((batch.folder / "joints").iterdir()):
        path.unlink()


@_fault(error=LandingNotReady)
def no_success(batch: Batch) -> None:
    """The file _SUCCESS is missing: the run stops (exit code 4) and publishes 0 rows."""
    (batch.folder / SUCCESS_MARKER).unlink()


@_fault()
def dialects(batch: Batch) -> None:
    """CSV files use semicolons, decimal commas, CRLF, a BOM or Latin-1, and an extra column: 0 rows are lost."""
    for file_name, encoding in ((CONSULTATIONS, "utf-8-sig"), (DISEASE_ACTIVITY, "latin-1")):
        table = batch.read_table(file_name).replace(r"^(\d+)\.(\d+)$", r"\1,\2", regex=True)
        table = table.assign(bemerkung="früh geprüft")
        batch.write_table(file_name, table, encoding, sep=";", lineterminator="\r\n")
