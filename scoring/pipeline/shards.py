"""Shards: the ranges of images that one scoring task takes, and how one is scored."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scoring.errors import StorageUnavailable
from scoring.pipeline import models
from scoring.progress import Progress
from scoring.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from scoring.inference.scorer import ShardResult
    from scoring.networks.readout import ReadOutRule

# In a smaller shard all images may be missing without the storage being at fault.
_MIN_IMAGES_TO_JUDGE_STORAGE = 20


@dataclass(frozen=True)
class Shard:
    """A range of planned images that one scoring task takes."""

    first: int
    count: int


@dataclass(frozen=True)
class ScoredShard:
    """The result of a shard, the engine ("openvino/float32") that scored it, and the read-out rule of the model."""

    result: "ShardResult"
    engine: str
    rule: "ReadOutRule"


def shards_of(n_images: int, shard_size: int) -> list[Shard]:
    """Divide `n_images` planned images into shards of at most `shard_size`."""
    return [Shard(first, min(shard_size, n_images - first)) for first in range(0, n_images, shard_size)]


def shard_progress(progress: Progress, shard: Shard, n_images: int) -> Progress:
    """Return a callback that reports the progress of one shard as the progress of all planned images."""
    return lambda doing, done, _: progress(doing, shard.first + done, n_images)


def score_shard(
    settings: Settings,
    model_version: str,
    planned: "pd.DataFrame",
    out_path: str,
    *,
    accept_missing: bool,
    progress: Progress,
) -> ScoredShard:
    """Score the images of a shard into a Parquet file.

    Args:
        settings: Settings of the installation.
        model_version: The model to score with.
        planned: image_sha256, sop_iuid, joint and uri of the images.
        out_path: The Parquet file, any fsspec URL.
        accept_missing: Accept any number of images whose files are missing or were changed.
        progress: Called after each batch of images.

    Raises:
        ModelRejected: A file of the model was changed.
        StorageUnavailable: The storage failed; the shard can be tried again.
    """
    from scoring.inference.engines import choose_engine
    from scoring.inference.scorer import score_images

    model = models.load(settings, model_version)
    engine = choose_engine(settings.engine, model, settings.batch_size)
    result = score_images(
        planned[["image_sha256", "sop_iuid", "joint", "uri"]].itertuples(index=False, name=None),
        engine,
        out_path,
        rule=model.rule,
        batch_size=settings.batch_size,
        progress=progress,
    )
    if storage_unavailable(settings, len(result.rejected), len(planned)) and not accept_missing:
        raise StorageUnavailable(
            f"{len(result.rejected)} of {len(planned)} images are missing or were changed, such as "
            f"{result.rejected[0].uri}; SCORING_MAX_BAD_SHARE allows {settings.max_bad_share:.0%}. Check that the "
            "landing folder is mounted. To rescore without these images, use --accept-missing (in Airflow: the "
            "parameter accept_missing)."
        )
    return ScoredShard(result, f"{engine.name}/{engine.precision}", model.rule)


def storage_unavailable(settings: Settings, n_rejected: int, n_planned: int) -> bool:
    """True if so many images are missing that the storage, not single files, must have failed."""
    return n_planned >= _MIN_IMAGES_TO_JUDGE_STORAGE and n_rejected > settings.max_bad_share * n_planned
