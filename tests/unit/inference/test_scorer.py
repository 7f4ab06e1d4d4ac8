"""The scorer, with an engine that takes no time: order, rejected images, files and memory."""

import hashlib
import tracemalloc
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from scoring.errors import StorageUnavailable
from scoring.imaging.loader import RejectedImage
from scoring.inference.scorer import PREDICTION_SCHEMA, score_images
from scoring.networks.readout import read_out


class BrightnessEngine:
    """Predicts more erosion for brighter images."""

    name = "brightness"
    precision = "float32"
    side = 128

    def __init__(self):
        self.batches = []

    def predict(self, batch):
        self.batches.append(len(batch))
        percent = 100 * batch.mean(axis=(1, 2, 3))
        return (np.arange(101) >= percent[:, None]).astype(np.float32)


def _jpeg(level, size=(40, 40)):
    buffer = BytesIO()
    Image.new("L", size, level).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def images(tmp_path):
    files = {}
    for i in range(10):
        path = tmp_path / f"1.2.{i}_hand_left_{i % 10 + 1}.jpg"
        path.write_bytes(_jpeg(25 * i))
        files[str(path)] = path.read_bytes()
    return files


def _rows(files):
    return [
        (hashlib.sha256(data).hexdigest(), f"1.2.{i}", f"hand_left_{i % 10 + 1}", uri)
        for i, (uri, data) in enumerate(files.items())
    ]


def test_score_images_scores_every_row_in_order(images, tmp_path):
    engine, progress, out = BrightnessEngine(), [], tmp_path / "staging" / "shard.parquet"
    result = score_images(_rows(images), engine, str(out), batch_size=4, progress=lambda *args: progress.append(args))
    table = pq.read_table(out)
    assert result.n_scored == table.num_rows == 10
    assert (result.path, result.rejected) == (str(out), ())
    assert table.schema.equals(PREDICTION_SCHEMA)
    assert table["uri"].to_pylist() == list(images)
    assert engine.batches == [4, 4, 2]
    assert progress == [("scoring joints", n, None) for n in (4, 8, 10)]
    expected = [np.ceil(100 * 25 * i / 255) for i in range(10)]
    assert table["predicted_percent"].to_pylist() == pytest.approx(expected, abs=1)
    assert sorted(table["predicted_grade"].to_pylist()) == table["predicted_grade"].to_pylist()


def test_score_images_stores_the_read_out_of_the_distribution(images, tmp_path):
    class Wavering(BrightnessEngine):
        def predict(self, batch):
            return np.random.default_rng(len(batch)).random((len(batch), 101), dtype=np.float32)

    out = tmp_path / "shard.parquet"
    score_images(_rows(images), Wavering(), str(out))
    frame = pq.read_table(out).to_pandas()
    cdf = np.stack(frame["cdf"])
    assert cdf.dtype == np.float32
    assert (np.diff(cdf, axis=1) >= 0).all()
    assert (cdf[:, -1] == 1).all()
    read = read_out(cdf)
    np.testing.assert_array_equal(frame["predicted_percent"], read.mean)
    np.testing.assert_array_equal(frame["predicted_q05"], read.q05)
    np.testing.assert_array_equal(frame["predicted_q95"], read.q95)
    np.testing.assert_array_equal(frame["predicted_grade"], read.grade)
    np.testing.assert_allclose(np.stack(frame["grade_probability"]).sum(axis=1), 1, atol=1e-6)


def test_score_images_writes_an_empty_file_without_rows(tmp_path):
    result = score_images([], BrightnessEngine(), str(tmp_path / "shard.parquet"))
    assert result.n_scored == 0
    assert pq.read_table(result.path).schema.equals(PREDICTION_SCHEMA)


def test_score_images_rejects_a_changed_file_and_scores_the_others(images, tmp_path):
    rows = _rows(images)
    engine, out = BrightnessEngine(), tmp_path / "shard.parquet"
    uri = rows[6][3]
    result = score_images(rows, engine, str(out), batch_size=4, read=lambda u: _jpeg(1) if u == uri else images[u])
    (rejected,) = result.rejected
    assert (rejected.image_sha256, rejected.uri) == (rows[6][0], uri)
    assert rejected.reason.startswith("changed since validation")
    assert hashlib.sha256(_jpeg(1)).hexdigest()[:12] in rejected.reason
    assert result.n_scored == 9
    assert pq.read_table(out)["uri"].to_pylist() == [row[3] for row in rows if row[3] != uri]
    assert engine.batches == [4, 4, 1]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError("x"), "missing since validation"),
        (NotADirectoryError("x"), "missing since validation"),
        (IsADirectoryError("x"), "missing since validation"),
        (PermissionError("x"), "no permission"),
    ],
)
def test_score_images_rejects_missing_or_unreadable_files_in_order(images, tmp_path, error, reason):
    rows = _rows(images)
    missing = {rows[0][3], rows[9][3]}

    def read(uri):
        if uri in missing:
            raise error
        return images[uri]

    result = score_images(rows, BrightnessEngine(), str(tmp_path / "a"), batch_size=3, read=read)
    assert [rejected.uri for rejected in result.rejected] == [rows[0][3], rows[9][3]]
    assert all(rejected.reason.startswith(reason) for rejected in result.rejected)
    assert result.n_scored == 8


def test_score_images_rejects_a_deleted_file(images, tmp_path):
    rows = _rows(images)
    (tmp_path / "1.2.4_hand_left_5.jpg").unlink()
    result = score_images(rows, BrightnessEngine(), str(tmp_path / "a"))
    assert [rejected.image_sha256 for rejected in result.rejected] == [rows[4][0]]
    assert pq.read_table(result.path).num_rows == 9


def test_score_images_rejects_a_file_that_does_not_decode(tmp_path):
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(buffer, "JPEG")
    data = buffer.getvalue()[:-40]
    sha256 = hashlib.sha256(data).hexdigest()
    rows = [(sha256, "1.2.3", "hand_left_1", "memory/broken.jpg")]
    result = score_images(rows, BrightnessEngine(), str(tmp_path / "a"), read=lambda _: data)
    (rejected,) = result.rejected
    assert (rejected.image_sha256, rejected.uri) == (sha256, "memory/broken.jpg")
    assert "truncated or damaged" in rejected.reason


def test_score_images_writes_an_empty_file_if_all_images_are_rejected(tmp_path):
    rows = [("0" * 64, "1", f"hand_left_{i}", f"nowhere/{i}.jpg") for i in range(1, 10)]
    result = score_images(rows, BrightnessEngine(), str(tmp_path / "a"), batch_size=2)
    assert (result.n_scored, len(result.rejected)) == (0, 9)
    assert isinstance(result.rejected[0], RejectedImage)
    assert pq.read_table(result.path).schema.equals(PREDICTION_SCHEMA)


def test_score_images_raises_if_the_storage_fails(images, tmp_path):
    rows = _rows(images)
    out = tmp_path / "shard.parquet"

    def read(uri):
        if uri == rows[6][3]:
            raise TimeoutError("share timed out")
        return images[uri]

    with pytest.raises(StorageUnavailable, match=r"1.2.6_hand_left_7.jpg could not be read \(share timed out\)"):
        score_images(rows, BrightnessEngine(), str(out), batch_size=2, read=read)
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))


def test_score_images_keeps_an_existing_file_if_scoring_fails(images, tmp_path):
    def fail(_uri):
        raise ConnectionResetError("storage went away")

    out = tmp_path / "shard.parquet"
    score_images(_rows(images)[:3], BrightnessEngine(), str(out))
    before = out.read_bytes()
    with pytest.raises(StorageUnavailable):
        score_images(_rows(images)[:1], BrightnessEngine(), str(out), read=fail)
    assert out.read_bytes() == before
    score_images(_rows(images)[:1], BrightnessEngine(), str(out))
    assert pq.read_table(out).num_rows == 1


def test_score_images_writes_to_another_file_system(images):
    result = score_images(_rows(images), BrightnessEngine(), "memory://staging/shard.parquet")
    from upath import UPath

    with UPath(result.path).open("rb") as file:
        assert pq.read_table(file).num_rows == 10


def test_score_images_reads_at_most_two_batches_ahead():
    """Images read but not yet scored: at most two batches ahead, and the current batch."""
    data = _jpeg(100, (130, 130))
    sha256 = hashlib.sha256(data).hexdigest()
    state = {"read": 0, "scored": 0, "most": 0}

    class Slow(BrightnessEngine):
        def predict(self, batch):
            state["most"] = max(state["most"], state["read"] - state["scored"])
            state["scored"] += len(batch)
            return super().predict(batch)

    def read(_uri):
        state["read"] += 1
        return data

    rows = ((sha256, "1.2.3", "hand_left_1", f"{i}.jpg") for i in range(300))
    score_images(rows, Slow(), "memory://ahead/shard.parquet", batch_size=10, read=read)
    assert state["scored"] == 300
    assert state["most"] <= 30


def test_score_images_uses_constant_memory(tmp_path):
    data = _jpeg(100, (130, 130))
    sha256 = hashlib.sha256(data).hexdigest()

    def peak(n):
        rows = ((sha256, "1.2.3", "hand_left_1", f"{i}.jpg") for i in range(n))
        tracemalloc.start()
        score_images(rows, BrightnessEngine(), str(tmp_path / "shard.parquet"), batch_size=32, read=lambda _: data)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(200)
    small, large = peak(300), peak(3000)
    # 2700 more images have 44 MB as pixels and 177 MB as floats.
    assert large < small + 3e6
