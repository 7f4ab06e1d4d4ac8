import hashlib
import io
import threading

import numpy as np
import pytest
from PIL import Image

from scoring.errors import StorageUnavailable
from scoring.imaging.decode import decode_grey
from scoring.imaging.loader import RejectedImage, load_grey, load_images
from scoring.imaging.preprocess import to_network_input


def jpeg(level: int = 100) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 60), level, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_load_grey_returns_the_decoded_image(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    np.testing.assert_array_equal(load_grey(sha256(jpeg()), str(tmp_path / "a.jpg")), decode_grey(jpeg()))


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (FileNotFoundError(), "gone", "missing since validation"),
        (NotADirectoryError(), "gone", "missing since validation"),
        (IsADirectoryError(), "gone", "missing since validation"),
        (PermissionError(), "forbidden", "no permission"),
    ],
)
def test_load_grey_rejects_a_file_that_cannot_be_read(error, kind, reason):
    def read(_uri):
        raise error

    rejected = load_grey("0" * 64, "memory://a.jpg", read)
    assert (rejected.image_sha256, rejected.uri, rejected.kind) == ("0" * 64, "memory://a.jpg", kind)
    assert rejected.reason.startswith(reason)


def test_load_grey_rejects_changed_content_with_both_hashes():
    rejected = load_grey(sha256(jpeg(1)), "a.jpg", lambda _: jpeg(2))
    assert rejected.kind == "changed"
    assert sha256(jpeg(1))[:12] in rejected.reason
    assert sha256(jpeg(2))[:12] in rejected.reason


def test_load_grey_rejects_accepted_content_that_does_not_decode():
    data = jpeg()[:-20]
    rejected = load_grey(sha256(data), "a.jpg", lambda _: data)
    assert rejected.kind == "damaged"
    assert "truncated or damaged" in rejected.reason


def test_load_grey_reports_a_failing_storage():
    def read(_uri):
        raise TimeoutError("share timed out")

    with pytest.raises(StorageUnavailable, match=r"a\.jpg could not be read \(share timed out\)"):
        load_grey("0" * 64, "a.jpg", read)


def test_load_images_yields_images_and_rejections_in_order():
    files = {f"{n}.jpg": jpeg(20 * n) for n in range(10)}
    rows = [(sha256(data), f"1.{uri}", "hand_left_1", uri) for uri, data in files.items()]
    files["3.jpg"] = b"changed"
    loaded = list(load_images(rows, 32, ahead=2, read=files.__getitem__))
    assert [row for row, _ in loaded] == rows
    assert [isinstance(image, RejectedImage) for _, image in loaded] == [n == 3 for n in range(10)]
    np.testing.assert_array_equal(loaded[4][1], to_network_input(decode_grey(files["4.jpg"]), 32))


def test_load_images_reads_at_most_the_given_number_ahead():
    data = jpeg()
    started, lock = [], threading.Lock()

    def read(uri):
        with lock:
            started.append(uri)
        return data

    rows = ((sha256(data), "1", "hand_left_1", f"{n}.jpg") for n in range(50))
    images = load_images(rows, 32, ahead=3, read=read)
    for n_taken in range(1, 6):
        next(images)
        assert len(started) <= n_taken + 3
    images.close()
    assert len(started) <= 9
