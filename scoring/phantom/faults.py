"""Faults that real exports have, each done to one clean synthetic night, with what the books must say afterwards.

A fault takes radiographs and joints that no other fault of the night has touched, so several can be done to one night and
their expected counts add up. The counts hold for a night whose radiographs the warehouse does not know yet.
"""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import simplejpeg
from PIL import Image
from upath import UPath

from scoring.contract import SUCCESS_MARKER
from scoring.errors import BadInput, InvalidRequest, LandingNotReady, ScoringError
from scoring.imaging.decode import UndecodableImage, decode_grey
from scoring.phantom.registry import JOINT_COLUMNS
from scoring.phantom.seeds import stream
from scoring.storage import atomic_write

CONSULTATIONS = "consultations.csv"
DISEASE_ACTIVITY = "disease_activity.csv"

_Row = dict[str, str]


@dataclass(frozen=True)
class FaultEffect:
    """What a fault must lead to.

    Attributes:
        name: Name of the fault.
        dataset: Where it sits: consultations, readings, disease_activity, images or night.
        rule: The rule that names it, such as `images.decodes`; "" if nothing is quarantined.
        quarantined: Rows set apart by dataset, the readings and images that fall with their consultation included.
        stops_night: The night must stop, and nothing of it may be published.
        error: The error (and so the exit code) of a stopped night.
    """

    name: str
    dataset: str
    rule: str = ""
    quarantined: dict[str, int] = field(default_factory=dict)
    error: type[ScoringError] | None = None

    @property
    def stops_night(self) -> bool:
        """Whether the night must stop instead of quarantining rows."""
        return self.error is not None


@dataclass
class Night:
    """One written night, and what the faults done so far have touched.

    Attributes:
        folder: The night's folder.
        batch_date: Its date.
        seed: Seed from which faults draw.
    """

    folder: UPath
    batch_date: date
    seed: int
    radiographs_taken: set[str] = field(default_factory=set)
    joints_taken: set[tuple[str, str]] = field(default_factory=set)

    def rng(self, name: str) -> np.random.Generator:
        """The generator of one fault in this night."""
        return stream(self.seed, "fault", name, self.batch_date.isoformat())

    def rows(self, file_name: str) -> list[_Row]:
        """The data rows of one of the night's CSV files."""
        with io.StringIO((self.folder / file_name).read_text(encoding="utf-8")) as text:
            return list(csv.DictReader(text))

    def write_rows(self, file_name: str, rows: list[_Row], columns: list[str] | None = None) -> None:
        """Replace one of the night's CSV files; `columns` is needed if there may be no row."""
        put(self.folder / file_name, csv_bytes(rows, columns or list(rows[0])))

    def take_radiograph(self) -> str:
        """A read radiograph (sop_iuid) with all its images for a fault that touches its whole row."""
        busy = self.radiographs_taken | {radiograph for radiograph, _ in self.joints_taken}
        for row in self.rows(CONSULTATIONS):
            radiograph = row["sop_iuid"]
            if radiograph not in busy and _n_read(row) and self._has_images(radiograph):
                self.radiographs_taken.add(radiograph)
                return radiograph
        raise self._too_small()

    def take_joint(self) -> tuple[str, str]:
        """A read joint with an image, as (sop_iuid, joint), for a fault that touches nothing else."""
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
        """The file of one joint image."""
        return self.folder / "joints" / f"{radiograph}_{joint}.jpg"

    def _has_images(self, radiograph: str) -> bool:
        return all(self.image(radiograph, joint).exists() for joint in JOINT_COLUMNS)

    def _too_small(self) -> InvalidRequest:
        return InvalidRequest(
            f"The night {self.batch_date} has no read radiograph left for another fault; use more patients or fewer faults."
        )


Fault = Callable[[Night], FaultEffect]


def put(path: UPath, data: bytes) -> None:
    """Write a file; no reader sees half of it."""
    with atomic_write(path) as file:
        file.write(data)


def csv_bytes(rows: list[_Row], columns: list[str]) -> bytes:
    """Rows as the CSV of a clean export: comma, UTF-8, LF, header first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _n_read(row: _Row) -> int:
    return sum(bool(row[joint]) for joint in JOINT_COLUMNS)


def _row_of(rows: list[_Row], radiograph: str) -> _Row:
    return next(row for row in rows if row["sop_iuid"] == radiograph)


# ---- images


def _bad_image(name: str, rule: str, what: str, damage: Callable[[bytes, np.random.Generator], bytes]) -> Fault:
    def fault(night: Night) -> FaultEffect:
        path = night.image(*night.take_joint())
        put(path, damage(path.read_bytes(), night.rng(name)))
        return FaultEffect(name, "images", rule, {"images": 1})

    fault.__doc__ = what
    return fault


def _empty(_: bytes, __: np.random.Generator) -> bytes:
    return b""


def _truncate(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(len(data) * rng.uniform(0.4, 0.8))]


def _flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits of the compressed pixels, one more at a time, until a strict decoder sees it: most single ones pass."""
    damaged = bytearray(data)
    while True:
        damaged[int(rng.integers(len(data) // 2, len(data) - 2))] ^= 1 << int(rng.integers(8))
        try:
            decode_grey(bytes(damaged))
        except UndecodableImage:
            return bytes(damaged)


def _as_sixteen_bit(data: bytes, _: np.random.Generator) -> bytes:
    deep = Image.fromarray(decode_grey(data).astype(np.uint16) * 257)
    buffer = io.BytesIO()
    deep.save(buffer, format="PNG")
    return buffer.getvalue()


def _as_cmyk(data: bytes, _: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(decode_grey(data)).convert("CMYK").save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def _as_bomb(data: bytes, _: np.random.Generator) -> bytes:
    """The header of the first frame claims 30000 x 30000 pixels, 900 MB once decoded."""
    frame = re.search(rb"\xff[\xc0-\xc2]\x00.\x08", data, re.DOTALL)
    if frame is None:
        raise InvalidRequest("The image has no JPEG frame to change; this fault needs a clean night.")
    side = (30_000).to_bytes(2)
    return data[: frame.end()] + side + side + data[frame.end() + 4 :]


def _as_text(_: bytes, __: np.random.Generator) -> bytes:
    return b"The image is no longer available. Please contact the archive.\n"


def _image_without_record(night: Night) -> FaultEffect:
    """An image belongs to a radiograph that no consultation names."""
    radiograph, joint = night.take_joint()
    stranger = f"2.25.{int.from_bytes(night.rng('image_without_record').bytes(16))}"
    grey = decode_grey(night.image(radiograph, joint).read_bytes())
    put(night.image(stranger, joint), _encode(grey[::-1]))
    return FaultEffect("image_without_record", "images", "images.radiograph_known", {"images": 1})


def _record_without_images(night: Night) -> FaultEffect:
    """All images of a radiograph are missing."""
    radiograph = night.take_radiograph()
    for joint in JOINT_COLUMNS:
        night.image(radiograph, joint).unlink()
    return FaultEffect("record_without_images", "images")


def _two_images_for_one_joint(night: Night) -> FaultEffect:
    """A .jpeg with other pixels lies beside the .jpg of a joint."""
    radiograph, joint = night.take_joint()
    path = night.image(radiograph, joint)
    put(path.with_suffix(".jpeg"), _encode(decode_grey(path.read_bytes())[:, ::-1]))
    return FaultEffect("two_images_for_one_joint", "images", "images.one_file_per_joint", {"images": 2})


def _encode(grey: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(grey)[:, :, None], quality=90, colorspace="GRAY")
    return encoded


def _escaping_name(night: Night) -> FaultEffect:
    """A file name and the sop_iuid of a consultation try to leave the folder."""
    radiograph, joint = night.take_joint()
    grey = decode_grey(night.image(radiograph, joint).read_bytes())
    put(night.folder / "joints" / "..%2F..%2Fevil_hand_left_1.jpg", _encode(grey[::-1, ::-1]))
    rows = night.rows(CONSULTATIONS)
    rows.append({**_row_of(rows, radiograph), "id_x": "999999001", "sop_iuid": "../../x"})
    night.write_rows(CONSULTATIONS, rows)
    fallen = {"images": 1, "consultations": 1, "readings": _n_read(rows[-1])}
    return FaultEffect("escaping_name", "images", "images.name_matches", fallen)


# ---- readings and consultations


def _bad_percent(name: str, text: str, rule: str) -> Fault:
    """A reading that is not a percentage of 0 to 100."""

    def fault(night: Night) -> FaultEffect:
        radiograph, joint = night.take_joint()
        rows = night.rows(CONSULTATIONS)
        _row_of(rows, radiograph)[joint] = text
        night.write_rows(CONSULTATIONS, rows)
        return FaultEffect(name, "readings", rule, {"readings": 1})

    fault.__doc__ = f"One reading is {text}."
    return fault


def _bad_row(name: str, rule: str, what: str, change: Callable[[_Row, date], None]) -> Fault:
    """A consultation that cannot be accepted; its readings and, without a known radiograph, its images fall with it."""

    def fault(night: Night) -> FaultEffect:
        radiograph = night.take_radiograph()
        rows = night.rows(CONSULTATIONS)
        row = _row_of(rows, radiograph)
        change(row, night.batch_date)
        night.write_rows(CONSULTATIONS, rows)
        fallen = {"consultations": 1, "readings": _n_read(row), "images": len(JOINT_COLUMNS)}
        return FaultEffect(name, "consultations", rule, fallen)

    fault.__doc__ = what
    return fault


def _to_future(row: _Row, batch_date: date) -> None:
    row["date_x"] = row["date_y"] = (batch_date + timedelta(days=400)).isoformat()


def _read_before_taken(row: _Row, _: date) -> None:
    row["date_y"] = (date.fromisoformat(row["date_x"]) - timedelta(days=30)).isoformat()


def _to_day_first(row: _Row, _: date) -> None:
    for column in ("date_x", "date_y"):
        row[column] = f"{date.fromisoformat(row[column]):%d.%m.%Y}"


def _duplicate_id_x(night: Night) -> FaultEffect:
    """Two different consultations have the same id_x."""
    radiograph = night.take_radiograph()
    rows = night.rows(CONSULTATIONS)
    row = _row_of(rows, radiograph)
    other = dict(row)
    joint = next(joint for joint in JOINT_COLUMNS if row[joint])
    other[joint] = "10" if row[joint] != "10" else "15"
    rows.append(other)
    night.write_rows(CONSULTATIONS, rows)
    fallen = {"consultations": 2, "readings": 2 * _n_read(row), "images": len(JOINT_COLUMNS)}
    return FaultEffect("duplicate_id_x", "consultations", "consultations.id_unique", fallen)


def _row_twice(night: Night) -> FaultEffect:
    """A consultation is delivered twice, word for word."""
    radiograph = night.take_radiograph()
    rows = night.rows(CONSULTATIONS)
    row = _row_of(rows, radiograph)
    night.write_rows(CONSULTATIONS, [*rows, row])
    fallen = {"consultations": 1, "readings": _n_read(row)}
    return FaultEffect("row_twice", "consultations", "consultations.exact_copy", fallen)


def _zero_padded_patient(night: Night) -> FaultEffect:
    """A patient is called 00123; the zeros must survive."""
    radiograph = night.take_radiograph()
    rows = night.rows(CONSULTATIONS)
    _row_of(rows, radiograph)["patient_id"] = "00123"
    night.write_rows(CONSULTATIONS, rows)
    return FaultEffect("zero_padded_patient", "consultations")


# ---- whole files and nights


def _missing_column(night: Night) -> FaultEffect:
    """consultations.csv has no patient_id."""
    rows = night.rows(CONSULTATIONS)
    night.write_rows(CONSULTATIONS, rows, [column for column in rows[0] if column != "patient_id"])
    return FaultEffect("missing_column", "consultations", error=BadInput)


def _no_header(night: Night) -> FaultEffect:
    """consultations.csv begins with its first row; the line of column names is missing."""
    path = night.folder / CONSULTATIONS
    put(path, path.read_bytes().partition(b"\n")[2])
    return FaultEffect("no_header", "consultations", error=BadInput)


def _empty_file(night: Night) -> FaultEffect:
    """consultations.csv has 0 bytes."""
    put(night.folder / CONSULTATIONS, b"")
    return FaultEffect("empty_file", "consultations", error=BadInput)


def _empty_night(night: Night) -> FaultEffect:
    """Both tables have nothing but their header, and there is no image."""
    for file_name in (CONSULTATIONS, DISEASE_ACTIVITY):
        rows = night.rows(file_name)
        night.write_rows(file_name, [], list(rows[0]))
    for path in list((night.folder / "joints").iterdir()):
        path.unlink()
    return FaultEffect("empty_night", "night")


def _no_success(night: Night) -> FaultEffect:
    """The night is never closed by _SUCCESS."""
    (night.folder / SUCCESS_MARKER).unlink()
    return FaultEffect("no_success", "night", error=LandingNotReady)


def _dialects(night: Night) -> FaultEffect:
    """Semicolon, decimal comma and CRLF in both files; a BOM in one, Latin-1 with umlauts in the other."""
    for file_name, encoding in ((CONSULTATIONS, "utf-8-sig"), (DISEASE_ACTIVITY, "latin-1")):
        rows = night.rows(file_name)
        local = [{**{k: _decimal_comma(v) for k, v in row.items()}, "bemerkung": "früh geprüft"} for row in rows]
        text = io.StringIO()
        writer = csv.DictWriter(text, [*rows[0], "bemerkung"], delimiter=";", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(local)
        put(night.folder / file_name, text.getvalue().encode(encoding))
    return FaultEffect("dialects", "night")


def _decimal_comma(text: str) -> str:
    return text.replace(".", ",") if re.fullmatch(r"\d+\.\d+", text) else text


FAULTS: dict[str, Fault] = {
    "zero_byte": _bad_image("zero_byte", "images.decodes", "A joint image has 0 bytes.", _empty),
    "truncated": _bad_image("truncated", "images.decodes", "A joint image ends in the middle.", _truncate),
    "bit_flipped": _bad_image(
        "bit_flipped", "images.decodes", "Bits of a joint image are flipped until a strict decoder sees it.", _flip_bits
    ),
    "sixteen_bit": _bad_image("sixteen_bit", "images.decodes", "A 16-bit PNG is named .jpg.", _as_sixteen_bit),
    "cmyk": _bad_image("cmyk", "images.color_space", "A joint image is in the colour space of printers.", _as_cmyk),
    "bomb": _bad_image("bomb", "images.decodes", "A small JPEG claims 30000 x 30000 pixels.", _as_bomb),
    "not_an_image": _bad_image("not_an_image", "images.decodes", "A text is named .jpg.", _as_text),
    "image_without_record": _image_without_record,
    "record_without_images": _record_without_images,
    "two_images_for_one_joint": _two_images_for_one_joint,
    "escaping_name": _escaping_name,
    "percent_120": _bad_percent("percent_120", "120", "readings.percent_in_range"),
    "percent_negative": _bad_percent("percent_negative", "-5", "readings.percent_in_range"),
    "percent_text": _bad_percent("percent_text", "n/a", "readings.percent_readable"),
    "date_in_future": _bad_row(
        "date_in_future",
        "consultations.date_x_not_future",
        "A radiograph and its reading are dated 400 days ahead.",
        _to_future,
    ),
    "date_y_before_date_x": _bad_row(
        "date_y_before_date_x",
        "consultations.date_y_not_before_date_x",
        "A radiograph was read a month before it was taken.",
        _read_before_taken,
    ),
    "day_first_dates": _bad_row(
        "day_first_dates",
        "consultations.date_x_readable",
        "The dates of a radiograph are written 31.12.2025.",
        _to_day_first,
    ),
    "duplicate_id_x": _duplicate_id_x,
    "row_twice": _row_twice,
    "zero_padded_patient": _zero_padded_patient,
    "missing_column": _missing_column,
    "no_header": _no_header,
    "empty_file": _empty_file,
    "empty_night": _empty_night,
    "no_success": _no_success,
    "dialects": _dialects,
}
"""The catalogue: name -> function that damages a clean night and says what must come of it.

Those that rewrite or remove a whole file (`missing_column` and below) come last: the others need a clean night.
"""


def damage_batch(night: Night, names: tuple[str, ...]) -> tuple[FaultEffect, ...]:
    """Do several faults to one night, in the order of the catalogue.

    Args:
        night: A clean, written night.
        names: Names of `FAULTS`.

    Returns:
        What each fault must lead to.

    Raises:
        InvalidRequest: A name is unknown, or the night is too small for so many faults.
    """
    refuse_unknown(names)
    return tuple(fault(night) for name, fault in FAULTS.items() if name in names)


def refuse_unknown(names: tuple[str, ...]) -> None:
    """Raise InvalidRequest if a name is not in the catalogue."""
    unknown = sorted(set(names) - set(FAULTS))
    if unknown:
        raise InvalidRequest(f"There is no fault named {', '.join(unknown)}; known are {', '.join(FAULTS)}.")
