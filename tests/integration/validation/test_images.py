"""Rules about joint images, each with images that break it and images that pass."""

import numpy as np

UNDECODED = {
    "decodes": False,
    "color_space": None,
    "width": np.nan,
    "height": np.nan,
    "brightness": np.nan,
    "contrast": np.nan,
    "dark_share": np.nan,
    "bright_share": np.nan,
}

BAD_IMAGES = {
    "decodes": UNDECODED,
    "color_space": {"color_space": "CMYK"},
    "width_in_range": {"width": 47},
    "height_in_range": {"height": 1025},
    "not_blank": {"contrast": 1.0},
    "not_too_dark": {"dark_share": 0.9},
    "not_saturated": {"bright_share": 0.6},
    "radiograph_known": {"sop_iuid": "9.9"},
    "joint_known": {"joint": "hand_left_11"},
    "name_matches": {"sop_iuid": None, "joint": None, "sha256": "s", "file_name": "..%2Fx.jpg"},
}

GOOD_IMAGES = [
    {"color_space": "YCbCr"},
    {"color_space": "RGB"},
    {"width": 48, "height": 1024},
    {"contrast": 4.0},
    {"dark_share": 0.8, "bright_share": 0.5},
]


def test_images_suite_excludes_only_the_image_that_breaks_a_rule(build):
    bad = [{"joint": f"hand_left_{n}", **row} for n, row in enumerate(BAD_IMAGES.values(), start=1)]
    good = [{"joint": f"hand_right_{n}", **row} for n, row in enumerate(GOOD_IMAGES, start=1)]
    images = build.images(*bad, *good)
    verdict = build.judge(images=images).images
    expected = zip(images["file_name"], BAD_IMAGES, strict=False)
    assert build.broken_rules(verdict) == set(expected)
    assert len(verdict.accepted) == len(good)


def test_validate_batch_knows_radiographs_of_accepted_and_earlier_consultations_only(build):
    rows = build.consultations({"id_x": None})
    images = build.images({})
    assert build.validate_batch(consultations=rows, images=images).images.counts == {"images.radiograph_known": 1}
    known = build.known_radiographs(**{"1_2_1": "00123"})
    assert not build.validate_batch(consultations=rows, images=images, radiographs=known).images.counts


def test_images_suite_quarantines_both_of_two_images_of_a_joint(build):
    images = build.images(
        {"sha256": "a"}, {"sha256": "b", "file_name": "1.2.1_hand_left_1.jpeg"}, {"joint": "hand_left_2"}
    )
    verdict = build.judge(images=images).images
    assert verdict.counts == {"images.one_file_per_joint": 2}
    assert list(verdict.accepted["joint"]) == ["hand_left_2"]


def test_images_suite_accepts_the_known_image_and_quarantines_a_different_one(build):
    images = build.images({"sha256": "old", "batch_date": build.earlier}, {"sha256": "new"})
    known = build.known_images(("1.2.1", "hand_left_1", "old"))
    verdict = build.judge(images=images, known_images=known).images
    assert list(verdict.accepted["sha256"]) == ["old"]
    assert verdict.counts == {"images.one_file_per_joint": 1}
    alone = build.judge(images=build.images({"sha256": "new"}), known_images=known).images
    assert alone.counts == {"images.one_file_per_joint": 1}


def test_images_suite_accepts_an_image_that_replaces_a_damaged_file(build):
    images = build.images({"sha256": "cut", "batch_date": build.earlier, **UNDECODED}, {"sha256": "whole"})
    verdict = build.judge(images=images).images
    assert list(verdict.accepted["sha256"]) == ["whole"]
    assert verdict.counts == {"images.decodes": 1}


def test_images_suite_quarantines_a_file_delivered_for_two_joints(build):
    images = build.images({"sha256": "a"}, {"sha256": "a", "joint": "hand_left_2"}, {"joint": "hand_left_3"})
    verdict = build.judge(images=images).images
    assert verdict.counts == {"images.bytes_of_one_joint": 2}
    known = build.known_images(("7.7", "hand_left_9", "a"))
    newcomer = build.judge(images=build.images({"sha256": "a"}), known_images=known).images
    assert newcomer.counts == {"images.bytes_of_one_joint": 1}


def test_images_suite_counts_a_redelivered_image_as_a_copy_and_not_as_bad(build):
    images = build.images({}, {"batch_date": build.earlier})
    verdict = build.judge(images=images).images
    assert list(verdict.accepted["batch_date"]) == [build.earlier]
    assert verdict.counts == {"images.exact_copy": 1}
    assert not verdict.bad
