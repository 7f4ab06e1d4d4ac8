import pytest

from scoring.pipeline.shards import Shard, shard_progress, shards_of, storage_unavailable
from scoring.settings import Settings


@pytest.mark.parametrize(
    ("n_images", "size", "shards"),
    [(0, 5, []), (5, 5, [Shard(0, 5)]), (11, 5, [Shard(0, 5), Shard(5, 5), Shard(10, 1)])],
)
def test_shards_of_divides_images(n_images, size, shards):
    assert shards_of(n_images, size) == shards


def test_shard_progress_counts_over_all_shards():
    seen = []
    shard_progress(lambda *call: seen.append(call), Shard(5, 5), 11)("scoring joints", 3, None)
    assert seen == [("scoring joints", 8, 11)]


@pytest.mark.parametrize(
    ("n_rejected", "n_planned", "expected"), [(6, 20, True), (5, 20, False), (19, 19, False), (20, 20, True)]
)
def test_storage_unavailable_needs_many_missing_images(tmp_path, n_rejected, n_planned, expected):
    settings = Settings(_env_file=None, var_dir=tmp_path, max_bad_share=0.25)
    assert storage_unavailable(settings, n_rejected, n_planned) is expected
