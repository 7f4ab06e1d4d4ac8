"""The scorer: streams the joint images of a shard through the network into one Parquet file, in bounded memory."""

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

# Joints per row group of the Parquet file: few enough to hold in memory, enough to compress and scan well.
_ROW_GROUP = 2048

_Loaded = tuple[Row, NDArray[np.uint8]]


@dataclass(frozen=True)
class ShardResult:
    """Result of scoring one shard: number of scored joints, file of their predictions, rejected images in input order.

    The file has the columns of `PREDICTION_SCHEMA`; `cdf` is monotone and ends at 1.
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
    """Read, decode and score joint images, in input order.

    Threads read and decode at most two batches ahead of the network, so memory does not grow with the number of rows.
    The output file appears under its name only when it is complete. An image that was removed or changed after its
    validation is rejected, and the others are scored: one file must not fail the nightly run.

    `rows` are `(image_sha256, sop_iuid, joint, uri)` of accepted images and may come from a generator; `read` returns
    the bytes of a uri. `out_path` is any fsspec URL; an existing file is replaced. `progress` is called after each
    batch.

    Raises:
        StorageUnavailable: The storage of an image failed, such as a share that timed out.
    """
    n_scored = 0
    rejected: list[RejectedImage] = []
    images = _without_rejected(load_images(rows, engine.side, ahead=2 * batch_size, read=read), rejected)
    with atomic_write(UPath(out_path)) as file, pq.ParquetWriter(file, PREDICTION_SCHEMA) as writer:
        pending: list[pa.Table] = []
        while batch := list(islice(images, batch_size)):
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


def _score_batch(batch: list[_Loaded], engine: Engine, rule: ReadOutRule) -> pa.Table:
    cdf = make_monotone(engine.predict(as_batch([image for _, image in batch])))
    prediction = read_out(cdf, rule)
    keys = zip(*(row for row, _ in batch), strict=True)
    percentages = (prediction.mean, prediction.median, prediction.q05, prediction.q95)
    return pa.Table.from_arrays(
        [
            *(pa.array(column, pa.string()) for column in keys),
            _fixed_lists(cdf),
            *(pa.array(values.astype(np.float64)) for values in percentages),
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
) -> Iterator[_Loaded]:
    """Yield the loaded images and append the rejected ones to `rejected`."""
    for row, image in loaded:
        if isinstance(image, RejectedImage):
            logger.warning("image_rejected uri=%s reason=%s", image.uri, image.reason)
            rejected.append(image)
        else:
            yield row, image
