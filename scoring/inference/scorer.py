"""Score a shard: stream joint images through the network into one Parquet file, in bounded memory."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from upath import UPath

from scoring.imaging.loader import RejectedImage, Row, load_images, read_bytes
from scoring.imaging.preprocess import as_batch
from scoring.inference.engine import DEFAULT_BATCH_SIZE, Engine
from scoring.networks.readout import N_POINTS, USUAL_RULE, ReadOutRule, make_monotone, read_out
from scoring.progress import Progress, no_progress
from scoring.storage import atomic_write

logger = logging.getLogger(__name__)

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("sop_iuid", pa.string(), nullable=False),
        pa.field("joint", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("cdf", pa.list_(pa.float32(), N_POINTS), nullable=False),
        pa.field("predicted_percent", pa.float64(), nullable=False),
        pa.field("predicted_median", pa.float64(), nullable=False),
        pa.field("predicted_q05", pa.float64(), nullable=False),
        pa.field("predicted_q95", pa.float64(), nullable=False),
        pa.field("predicted_grade", pa.int16(), nullable=False),
        pa.field("grade_probability", pa.list_(pa.float32(), 6), nullable=False),
    ]
)

# Row groups of a few thousand joints: small enough to hold, large enough to compress and to scan.
_ROW_GROUP = 2048


@dataclass(frozen=True)
class ShardResult:
    """What became of one shard.

    Attributes:
        n_scored: How many joints were scored.
        path: The Parquet file with their predictions.
        rejected: The images that were not scored, in the order given.
    """

    n_scored: int
    path: str
    rejected: tuple[RejectedImage, ...] = ()


def score_images(
    rows: Iterable[Row],
    engine: Engine,
    out_path: str,
    *,
    rule: ReadOutRule = USUAL_RULE,
    batch_size: int = DEFAULT_BATCH_SIZE,
    read: Callable[[str], bytes] = read_bytes,
    progress: Progress = no_progress,
) -> ShardResult:
    """Read, decode and score joint images, in the order given.

    Threads read and decode ahead while the network computes, at most two batches, so memory does not grow with the
    number of rows; `rows` may be a generator. The file appears under its name only when it is complete.

    A file that was taken away or changed since it was validated is rejected, and the others are scored: one touched
    file must not cost a night.

    Args:
        rows: `(image_sha256, sop_iuid, joint, uri)` of images that validation accepted.
        engine: The loaded model.
        out_path: Parquet file to write, any fsspec URL; an older one is replaced.
        rule: How the model's grades and intervals are read.
        batch_size: Images handed to the engine at once.
        read: Returns the bytes behind a uri.
        progress: Called after each batch.

    Returns:
        Count, path and rejected images. The file has the columns of `PREDICTION_SCHEMA`; `cdf` is monotone and ends
        at 1.

    Raises:
        StorageUnavailable: The storage of an image failed otherwise than by not having it, as a share that timed out.
    """
    n_scored = 0
    rejected: list[RejectedImage] = []
    with atomic_write(UPath(out_path)) as file, pq.ParquetWriter(file, PREDICTION_SCHEMA) as writer:
        pending: list[pa.Table] = []
        loaded = load_images(rows, engine.side, ahead=2 * batch_size, read=read)
        for batch in _batched(_without_rejected(loaded, rejected), batch_size):
            pending.append(_score_batch(batch, engine, rule))
            n_scored += len(batch)
            progress("scoring joints", n_scored, None)
            if sum(table.num_rows for table in pending) >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(pending))
                pending.clear()
        if pending:
            writer.write_table(pa.concat_tables(pending))
    logger.info(
        "shard_scored n=%d rejected=%d engine=%s precision=%s", n_scored, len(rejected), engine.name, engine.precision
    )
    return ShardResult(n_scored, out_path, tuple(rejected))


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


def _without_rejected(
    loaded: Iterator[tuple[Row, NDArray[np.uint8] | RejectedImage]], rejected: list[RejectedImage]
) -> Iterator[tuple[Row, NDArray[np.uint8]]]:
    """Pass the images on, and put what is none into `rejected`."""
    for row, image in loaded:
        if isinstance(image, RejectedImage):
            logger.warning("image_rejected uri=%s reason=%s", image.uri, image.reason)
            rejected.append(image)
        else:
            yield row, image


def _batched(
    images: Iterator[tuple[Row, NDArray[np.uint8]]], size: int
) -> Iterator[list[tuple[Row, NDArray[np.uint8]]]]:
    while batch := list(islice(images, size)):
        yield batch
