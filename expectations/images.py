"""Joint images: one JPEG a joint, cut from a radiograph by the extractor."""

from collections.abc import Collection

import great_expectations as gx
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet

from expectations.rule import CRITICAL, about, columns_are_numbers, columns_exist

REQUIRED = ("file_name", "sha256", "sop_iuid", "joint", "decodes", "color_space", "width", "height", "contrast")

COLOR_SPACES = ("Gray", "YCbCr", "RGB")


def images(
    *,
    joints: Collection[str],
    min_side: int,
    max_side: int,
    min_contrast: float,
    max_dark_share: float,
    max_bright_share: float,
) -> gx.ExpectationSuite:
    """The suite for one night's joint images.

    Args:
        joints: The registry's column names of joints.
        min_side: Smallest width and height, in pixels.
        max_side: Largest width and height, in pixels.
        min_contrast: Smallest standard deviation of the grey levels (0-255).
        max_dark_share: Largest share (0-1) of pixels that are black.
        max_bright_share: Largest share (0-1) of pixels that are white.
    """
    return gx.ExpectationSuite(
        name="images",
        expectations=[
            *columns_exist("images", [*REQUIRED, "dark_share", "bright_share"]),
            *columns_are_numbers("images", ["width", "height", "contrast", "dark_share", "bright_share"]),
            # ---- which joint of which radiograph
            ExpectColumnValuesToBeInSet(
                column="name_matches",
                value_set=[True],
                severity=CRITICAL,
                description="The file's name is <sop_iuid>_<joint>.jpg.",
                meta=about(
                    "images.name_matches",
                    reason="The file's name does not say which joint of which radiograph it shows.",
                    remedy="Have the extractor name the file <sop_iuid>_<joint>.jpg and deliver it again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="joint",
                value_set=list(joints),
                severity=CRITICAL,
                description="The joint in the file's name is in the catalogue.",
                meta=about(
                    "images.joint_known",
                    reason="The joint in the file's name is not in the catalogue.",
                    remedy="Have the extractor use the catalogue's names, such as hand_left_1, and deliver it again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="radiograph_known",
                value_set=[True],
                severity=CRITICAL,
                description="The radiograph belongs to a consultation that was accepted, tonight or before.",
                meta=about(
                    "images.radiograph_known",
                    reason="No accepted consultation, of this night or an earlier one, has this radiograph.",
                    remedy="Deliver or correct the radiograph's consultation; the image comes in with the next night.",
                ),
            ),
            # ---- can it be read
            ExpectColumnValuesToBeInSet(
                column="decodes",
                value_set=[True],
                severity=CRITICAL,
                description="The file is a JPEG image and decodes to its last line.",
                meta=about(
                    "images.decodes",
                    reason="The file is empty, damaged or no JPEG image.",
                    remedy="Extract the joint again and deliver the file again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="color_space",
                value_set=list(COLOR_SPACES),
                severity=CRITICAL,
                description="The image is grey, or RGB.",
                meta=about(
                    "images.color_space",
                    reason="The image is neither grey nor RGB.",
                    remedy="Have the extractor write 8-bit grey JPEG files and deliver it again.",
                ),
            ),
            *(
                ExpectColumnValuesToBeBetween(
                    column=side,
                    min_value=min_side,
                    max_value=max_side,
                    severity=CRITICAL,
                    description=f"The image's {side} is {min_side} to {max_side} pixels.",
                    meta=about(
                        f"images.{side}_in_range",
                        reason=f"The image's {side} is not within {min_side} to {max_side} pixels.",
                        remedy="Check that the file shows one joint, not a whole radiograph, and extract it again.",
                    ),
                )
                for side in ("width", "height")
            ),
            # ---- is there a joint to see
            ExpectColumnValuesToBeBetween(
                column="contrast",
                min_value=min_contrast,
                severity=CRITICAL,
                description=f"The image is not blank: its grey levels vary by {min_contrast:g} or more (SD, of 255).",
                meta=about(
                    "images.not_blank",
                    reason="The image is blank.",
                    remedy="Look at the radiograph: extract the joint again, or leave it out if the radiograph does not show it.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="dark_share",
                max_value=max_dark_share,
                severity=CRITICAL,
                description=f"At most {max_dark_share:.0%} of the image is black.",
                meta=about(
                    "images.not_too_dark",
                    reason="Most of the image is black.",
                    remedy="Check where the radiograph was cut and its window, and extract the joint again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="bright_share",
                max_value=max_bright_share,
                severity=CRITICAL,
                description=f"At most {max_bright_share:.0%} of the image is white.",
                meta=about(
                    "images.not_saturated",
                    reason="Much of the image is saturated: pure white, without any detail.",
                    remedy="Check the radiograph's window (or a metal implant in the joint) and extract the joint again.",
                ),
            ),
            # ---- one joint, one image
            ExpectColumnValuesToBeBetween(
                column="rival_files",
                max_value=0,
                severity=CRITICAL,
                description="There is one image of a joint of a radiograph.",
                meta=about(
                    "images.one_file_per_joint",
                    reason="There is a different image of the same joint of the same radiograph.",
                    remedy="Decide which image is right; deliver that one under a radiograph id of its own or have the "
                    "other removed.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="same_bytes_joints",
                max_value=1,
                severity=CRITICAL,
                description="An image shows one joint of one radiograph.",
                meta=about(
                    "images.bytes_of_one_joint",
                    reason="The very same file was delivered under the names of different joints or radiographs.",
                    remedy="Extract these joints again: the extractor wrote one cut under several names.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="exact_copy",
                value_set=[False],
                severity=CRITICAL,
                description="An image is delivered once.",
                meta=about(
                    "images.exact_copy",
                    reason="The same image of the same joint came before in these folders; the earlier file is used.",
                    remedy="Nothing is lost and nothing needs doing.",
                    in_bad_share=False,
                ),
            ),
        ],
    )
