import hashlib
import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from scoring.imaging.decode import MAX_SIDE
from scoring.imaging.inspect import inspect_image
from scoring.settings import Settings


def jpeg(grey: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=100)
    return buffer.getvalue()


def test_inspect_image_measures_a_good_image() -> None:
    grey = np.full((64, 80), 100, np.uint8)
    grey[:, :40] = 0
    grey[:32, 40:] = 255
    data = jpeg(grey)
    facts = inspect_image(data)
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert facts.size_bytes == len(data)
    assert (facts.decodes, facts.decode_error) == (True, None)
    assert (facts.color_space, facts.width, facts.height) == ("Gray", 80, 64)
    assert facts.brightness == pytest.approx(grey.mean(), abs=1)
    assert facts.contrast == pytest.approx(grey.std(), abs=1)
    assert facts.dark_share == pytest.approx(0.5, abs=0.02)
    assert facts.bright_share == pytest.approx(0.25, abs=0.02)


def test_inspect_image_reads_the_header_of_a_truncated_image() -> None:
    facts = inspect_image(jpeg(np.zeros((64, 80), np.uint8))[:-10])
    assert not facts.decodes
    assert facts.decode_error is not None
    assert "truncated" in facts.decode_error
    assert (facts.width, facts.height, facts.brightness) == (80, 64, None)


def test_inspect_image_of_an_empty_file_has_no_size() -> None:
    facts = inspect_image(b"")
    assert (facts.decodes, facts.size_bytes, facts.width) == (False, 0, None)


def test_inspect_image_measures_an_image_larger_than_a_joint() -> None:
    facts = inspect_image(jpeg(np.full((40, 1500), 90, np.uint8)))
    assert facts.decodes
    assert facts.width == 1500


def test_inspect_image_does_not_decode_a_decompression_bomb() -> None:
    data = jpeg(np.zeros((16, 16), np.uint8))
    at = data.index(b"\xff\xc0") + 5
    facts = inspect_image(data[:at] + b"\xff\xdc\xff\xdc" + data[at + 4 :])
    assert not facts.decodes
    assert facts.width == 65500


def test_settings_limit_image_sides_to_those_that_can_be_decoded() -> None:
    assert Settings(max_image_side=MAX_SIDE).max_image_side == MAX_SIDE
    with pytest.raises(ValidationError, match="max_image_side"):
        Settings(max_image_side=MAX_SIDE + 1)
