"""Joint images: one JPEG file per joint, extracted from a radiograph."""

from expectations import check, shared
from expectations.rule import Rule, Suite
from scoring.clinical import joints

NUMBERS = ("width", "height", "contrast", "dark_share", "bright_share")
REQUIRED = ("file_name", "sha256", "sop_iuid", "joint", "decodes", "color_space", *NUMBERS)

COLOR_SPACES = ("Gray", "YCbCr", "RGB")

# Standard deviation of the grey levels: 20 or more for a joint, 1 to 3 (noise of the radiograph) for an empty field.
MIN_CONTRAST = 4.0
# Even a collimated cut of a finger tip is rarely half black.
MAX_DARK_SHARE = 0.8
# Bone is not white in a radiograph that shows its surface.
MAX_BRIGHT_SHARE = 0.5

FILE = (
    Rule(
        "images.name_matches",
        check.is_true("name_matches"),
        reason="The file name is not <sop_iuid>_<joint>.jpg, so the radiograph and the joint are unknown.",
        remedy="Have the extractor name the file <sop_iuid>_<joint>.jpg and deliver it again.",
    ),
    Rule(
        "images.joint_known",
        check.one_of("joint", joints.COLUMNS),
        reason="The joint in the file name is not a joint of the landing contract.",
        remedy="Have the extractor use a joint of the contract, such as hand_left_1, and deliver the file again.",
    ),
    Rule(
        "images.radiograph_known",
        check.is_true("radiograph_known"),
        reason="No accepted consultation in this run or an earlier one names this radiograph.",
        remedy="Deliver or correct the consultation; the next nightly run then accepts the image.",
    ),
    Rule(
        "images.decodes",
        check.is_true("decodes"),
        reason="The file is empty, damaged or not a JPEG image.",
        remedy="Extract the joint again and deliver the file again.",
    ),
    Rule(
        "images.color_space",
        check.one_of("color_space", COLOR_SPACES),
        reason="The image is neither grey nor RGB.",
        remedy="Have the extractor write 8-bit grey JPEG files and deliver the file again.",
    ),
)

CONTENT = (
    Rule(
        "images.not_blank",
        check.at_least("contrast", MIN_CONTRAST),
        reason=f"The image is blank: the standard deviation of its grey levels is below {MIN_CONTRAST:g} of 255.",
        remedy="Check the radiograph; extract the joint again, or omit it if the radiograph does not show it.",
    ),
    Rule(
        "images.not_too_dark",
        check.at_most("dark_share", MAX_DARK_SHARE),
        reason=f"More than {MAX_DARK_SHARE * 100:g} percent of the image is black.",
        remedy="Check the position of the crop and the window setting, and extract the joint again.",
    ),
    Rule(
        "images.not_saturated",
        check.at_most("bright_share", MAX_BRIGHT_SHARE),
        reason=f"More than {MAX_BRIGHT_SHARE * 100:g} percent of the image is saturated (pure white).",
        remedy="Check for a wrong window setting or a metal implant, and extract the joint again.",
    ),
)

ONE_IMAGE_PER_JOINT = (
    Rule(
        "images.one_file_per_joint",
        check.at_most("other_images", 0),
        reason="Another image of the same joint on the same radiograph was delivered or is in the warehouse.",
        remedy="Decide which image is correct; deliver it with a new radiograph id, or have the other one removed.",
    ),
    Rule(
        "images.bytes_of_one_joint",
        check.at_most("joints_of_file", 1),
        reason="The same file was delivered for different joints or radiographs.",
        remedy="Extract these joints again; the extractor wrote one image under several names.",
    ),
    Rule(
        "images.exact_copy",
        check.is_false("exact_copy"),
        reason="The same image of the same joint is in an earlier file of this run; the earlier file is used.",
        remedy="No action is needed; no data is lost.",
        counts_as_bad=False,
    ),
)


def images_suite(*, min_side: int, max_side: int) -> Suite:
    """Return the rules for the joint images of a batch; the limits of width and height are in pixels."""
    rules = (
        *shared.columns("images", REQUIRED, NUMBERS),
        *FILE,
        *(
            Rule(
                f"images.{side}_in_range",
                check.between(side, min_side, max_side),
                reason=f"The {side} of the image is outside {min_side} to {max_side} pixels.",
                remedy="Check that the file shows one joint and not a whole radiograph, and extract it again.",
            )
            for side in ("width", "height")
        ),
        *CONTENT,
        *ONE_IMAGE_PER_JOINT,
    )
    return Suite("images", rules)
