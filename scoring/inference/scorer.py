"""Score a shard: stream joint images through the network into one Parquet file, in bounded memory."""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from upath import UPath

from scoring.errors import StorageUnavailable
from scoring.imaging.decode import UndecodableImage, decode_grey
from scoring.imaging.preprocess import as_batch, to_network_input
from scoring.inference.engines import DEFAULT_BATCH_SIZE, Engine
from scoring.networks.readout import N_POINTS, USUAL_RULE, ReadOutRule, make_monotone, read_out

logger = logging.getLogger(__name__)

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("sop_iuid", pa.string(), nullable=False),
        pa.field("joint", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("cdf", pa.list_(pa.float32(), N_POINTS), nullable=False),
        pa.field("erosion_mean", pa.float64(), nullable=False),
        pa.field("erosion_median", pa.float64(), nullable=False),
        pa.field("erosion_q05", pa.float64(), nullable=False),
        pa.field("erosion_q95", pa.float64(), nullable=False),
        pa.field("ratingen_grade", pa.int16(), nullable=False),
        pa.field("grade_probability", pa.list_(pa.float32(), 6), nullable=False),
    ]
)

# Decoding one crop takes a fraction of a millisecond; threads are for the waiting, on a network share or an object
# store, and libjpeg lets go of the interpreter's lock.
_READERS = 4
# Row groups of a few thousand joints: small enough to hold, large enough to compress and to scan.
_ROW_GROUP = 2048

Row = tuple[str, str, str, str]
"""image_sha256, sop_iuid, joint, uri."""
RefusalKind = Literal["gone", "forbidden", "changed", "damaged"]

# What a storage says of one file that is no more; any other failure to read says something about the storage itself.
_GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


@dataclass(frozen=True, slots=True)
class Refused:
    """An accepted image that cannot be used any more, because its file is not what validation saw.

    Attributes:
        image_sha256: Hash of the content that was accepted.
        uri: Where it was.
        kind: The reason in one word, to count by.
        reason: What is the matter and what to do, as a sentence that begins in lower case and repeats no value.
    """

    image_sha256: str
    uri: str
    kind: RefusalKind
    reason: str


@dataclass(frozen=True)
class ShardResult:
    """What became of one shard.

    Attributes:
        n_scored: How many joints were scored.
        path: The Parquet file with their predictions.
        refused: The images that were not scored, in the order given.
    """

    n_scored: int
    path: str
    refused: tuple[Refused, ...] = ()


def read_bytes(uri: str) -> bytes:
    """The whole file behind any fsspec URL."""
    data: bytes = UPath(uri).read_bytes()
    return data


def score_images(
    rows: Iterable[Row],
    engine: Engine,
    out_path: str,
    *,
    rule: ReadOutRule = USUAL_RULE,
    batch_size: int = DEFAULT_BATCH_SIZE,
    read: Callable[[str], bytes] = read_bytes,
    on_scored: Callable[[int], None] | None = None,
) -> ShardResult:
    """Read, decode and score joint images, in the order given.

    Threads read and decode ahead while the network computes, at most two batches, so memory does not grow with the
    number of rows; `rows` may be a generator. The file appears under its name only when it is complete.

    A file that was taken away or changed since it was validated is refused, and the others are scored: one touched
    file must not cost a night.

    Args:
        rows: `(image_sha256, sop_iuid, joint, uri)` of images that validation accepted.
        engine: The loaded model.
        out_path: Parquet file to write, any fsspec URL; an older one is replaced.
        rule: How the model's grades and intervals are read.
        batch_size: Images handed to the engine at once.
        read: Returns the bytes behind a uri.
        on_scored: Called after each batch with the number of joints in it, for a progress bar.

    Returns:
        Count, path and refused images. The file has the columns of `PREDICTION_SCHEMA`; `cdf` is monotone and ends
        at 1.

    Raises:
        StorageUnavailable: The storage of an image failed otherwise than by not having it, as a share that timed out.
    """
    n_scored = 0
    refused: list[Refused] = []
    with _atomic_writer(out_path) as writer:
        pending: list[pa.Table] = []
        loaded = load_images(rows, engine.side, ahead=2 * batch_size, read=read)
        for batch in _batched(_without_refused(loaded, refused), batch_size):
            pending.append(_score_batch(batch, engine, rule))
            n_scored += len(batch)
            if on_scored is not None:
                on_scored(len(batch))
            if sum(table.num_rows for table in pending) >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(pending))
                pending.clear()
        if pending:
            writer.write_table(pa.concat_tables(pending))
    logger.info(
        "shard_scored n=%d refused=%d engine=%s precision=%s", n_scored, len(refused), engine.name, engine.precision
    )
    return ShardResult(n_scored, out_path, tuple(refused))


def _score_batch(batch: list[tuple[Row, NDArray[np.uint8]]], engine: Engine, rule: ReadOutRule) -> pa.Table:
    cdf = make_monotone(engine.predict(as_batch([image for _, image in batch])))
    prediction = read_out(cdf, rule)
    sha256, sop_iuid, joint, uri = zip(*(row for row, _ in batch), strict=True)
    return pa.Table.from_arrays(
        [
            pa.array(sha256, pa.string()),
            pa.array(sop_iuid, pa.string()),
            pa.array(joint, pa.string()),
            pa.array(uri, pa.string()),
            _fixed_lists(cdf),
            pa.array(prediction.mean, pa.float64()),
            pa.array(prediction.median.astype(np.float64)),
            pa.array(prediction.q05.astype(np.float64)),
            pa.array(prediction.q95.astype(np.float64)),
            pa.array(prediction.grade.astype(np.int16)),
            _fixed_lists(prediction.grade_probability),
        ],
        schema=PREDICTION_SCHEMA,
    )


def _fixed_lists(values: NDArray[Any]) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def load_images(
    rows: Iterable[Row], side: int, *, ahead: int, read: Callable[[str], bytes] = read_bytes
) -> Iterator[tuple[Row, NDArray[np.uint8] | Refused]]:
    """Read, check and decode accepted images by several threads: what the network sees, in scoring and in training.

    Args:
        rows: `(image_sha256, sop_iuid, joint, uri)`; may be a generator.
        side: Side of the network's input in pixels.
        ahead: How many images are at most loaded beyond what has been taken, so that memory stays flat.
        read: Returns the bytes behind a uri.

    Yields:
        Each row, in order, with its image, uint8 `(side, side)`, or with why it cannot be used.

    Raises:
        StorageUnavailable: The storage of an image failed otherwise than by not having it, as a share that timed out.
    """
    with ThreadPoolExecutor(_READERS, thread_name_prefix="read-joint") as pool:
        queue: deque[tuple[Row, Future[NDArray[np.uint8] | Refused]]] = deque()
        remaining = iter(rows)
        try:
            queue.extend((row, pool.submit(_load, row, read, side)) for row in islice(remaining, ahead))
            while queue:
                row, image = queue.popleft()
                yield row, image.result()
                queue.extend((row, pool.submit(_load, row, read, side)) for row in islice(remaining, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _load(row: Row, read: Callable[[str], bytes], side: int) -> NDArray[np.uint8] | Refused:
    expected, _, _, uri = row
    try:
        data = read(uri)
    except _GONE:
        return Refused(expected, uri, "gone", "gone since it was validated; restore the file and run again")
    except PermissionError:
        return Refused(expected, uri, "forbidden", "may not be read any more; give the job's user the right to read it")
    except OSError as error:
        raise StorageUnavailable(
            f"{uri} could not be read ({error}). Check the storage that holds the images and try again."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        return Refused(
            expected,
            uri,
            "changed",
            f"changed since it was validated (sha256 {expected[:12]} then, {found[:12]} now); restore it or run again",
        )
    try:
        return to_network_input(decode_grey(data), side)
    except UndecodableImage as error:
        return Refused(expected, uri, "damaged", str(error))


def _without_refused(
    loaded: Iterator[tuple[Row, NDArray[np.uint8] | Refused]], refused: list[Refused]
) -> Iterator[tuple[Row, NDArray[np.uint8]]]:
    """Pass the images on, and put what is none into `refused`."""
    for row, image in loaded:
        if isinstance(image, Refused):
            logger.warning("image_refused uri=%s reason=%s", image.uri, image.reason)
            refused.append(image)
        else:
            yield row, image


def _batched(
    images: Iterator[tuple[Row, NDArray[np.uint8]]], size: int
) -> Iterator[list[tuple[Row, NDArray[np.uint8]]]]:
    while batch := list(islice(images, size)):
        yield batch


@contextmanager
def _atomic_writer(out_path: str) -> Iterator[pq.ParquetWriter]:
    """A Parquet writer whose file gets its name only if the block succeeds."""
    target = UPath(out_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.part"
    try:
        with partial.fs.open(partial.path, "wb") as file, pq.ParquetWriter(file, PREDICTION_SCHEMA) as writer:
            yield writer
    except BaseException:
        if partial.exists():
            partial.unlink()
        raise
    target.fs.mv(partial.path, target.path)
