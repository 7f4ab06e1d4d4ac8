"""Difficulty of a phantom: confounders in the images, errors of the readers, and operated joints.

A difficulty changes neither patients nor their true erosions. Each parameter has its own random streams, so changing
one does not affect the others, except for `notches`, which reshapes the bones.
"""

from dataclasses import dataclass

from scoring.errors import InvalidRequest


@dataclass(frozen=True)
class Difficulty:
    """The parameters of a phantom; by default those of `plain`.

    Unless stated otherwise, a probability (0 to 1) applies to one joint of a patient on all its radiographs.

    Attributes:
        name: Label of the figures.
        osteophytes: Probability of a bony spur at each margin.
        cysts: Probability of each of up to three cysts that resemble erosions and do not reach the articular outline.
        notches: Probability of a natural dent at each margin of a finger or toe; it is no erosion.
        sclerosis: Probability of dense bone below the surface.
        growth_plates: Probability per patient of open growth plates.
        narrowing: Mean loss of joint space unrelated to erosion, as a share of the space.
        malalignment: Spread of slips and deviations unrelated to erosion, joint units.
        overlaps: Probability per joint and radiograph that soft tissue or bone of a neighbour covers the joint.
        rings: Probability per patient of a ring on the ring finger.
        coupling: Range of the share of the usual narrowing, slip and collapse that a severe erosion causes.
        bite_contrast: Range of the contrast of a small bite, relative to `plain`: a bite seen face-on has bone in front
            and behind. It approaches 1 as the erosion grows.
        bite_depth: Range of the depth of small bites, relative to `plain`.
        bite_softness: Additional softness of the border of a bite, in units of its radius.
        bite_hiding: Largest share by which parts of a bite are less visible than the rest.
        exposure: Spread of exposure and contrast between radiographs: 0 is that of `plain`, 1 is wide.
        blur: Largest additional blur of a radiograph, pixels.
        noise: Mean additional noise of a radiograph, grey values.
        reader_error: Standard deviation of the reading of an intact or a destroyed joint, percentage points.
        reader_error_middle: Increase of that SD per unit of sqrt(t (100 - t)), where t is the true percentage.
        reader_bias: Standard deviation of the readers' biases at 50 percent, percentage points.
        halo: Share of the distance from a joint's erosion to the mean of its radiograph by which a reading is shifted.
        copied: Probability that a reading is that of another joint of the radiograph. This strongest form of the halo
            effect shows on radiographs with both destroyed and intact joints.
        blunders: Probability that a reading is unrelated to the joint, as after a slip of the line or the radiograph.
        overlooked: Erosion in percent at which a share of 1/e of erosions is overlooked and read as 0.
        operated: Probability that a badly damaged joint is replaced or fused.
    """

    name: str
    osteophytes: float = 0.0
    cysts: float = 0.0
    notches: float = 0.0
    sclerosis: float = 0.0
    growth_plates: float = 0.0
    narrowing: float = 0.0
    malalignment: float = 0.0
    overlaps: float = 0.0
    rings: float = 0.0
    coupling: tuple[float, float] = (1.0, 1.0)
    bite_contrast: tuple[float, float] = (1.0, 1.0)
    bite_depth: tuple[float, float] = (1.0, 1.0)
    bite_softness: float = 0.0
    bite_hiding: float = 0.0
    exposure: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    reader_error: float = 1.15
    reader_error_middle: float = 0.11
    reader_bias: float = 0.0
    halo: float = 0.0
    copied: float = 0.0
    blunders: float = 0.0
    overlooked: float = 0.0
    operated: float = 0.0


PLAIN = Difficulty("plain")
"""Clean images, careful readers."""

LIFELIKE = Difficulty(
    "lifelike",
    osteophytes=0.22,
    cysts=0.13,
    notches=0.25,
    sclerosis=0.25,
    growth_plates=0.02,
    narrowing=0.16,
    malalignment=0.025,
    overlaps=0.14,
    rings=0.10,
    coupling=(0.2, 1.0),
    bite_contrast=(0.40, 0.95),
    bite_depth=(0.4, 1.1),
    bite_softness=0.25,
    bite_hiding=0.5,
    exposure=0.75,
    blur=0.8,
    noise=1.4,
    reader_error=2.0,
    reader_error_middle=0.20,
    reader_bias=2.5,
    halo=0.2,
    copied=0.08,
    blunders=0.002,
    overlooked=1.5,
    operated=0.25,
)
"""Resembles the radiographs and readers of a clinic; set by hand, see docs/explanation/phantoms.md."""

DIFFICULTIES = {difficulty.name: difficulty for difficulty in (PLAIN, LIFELIKE)}


def difficulty_named(name: str) -> Difficulty:
    """Return a preset, or raise InvalidRequest if the name is unknown."""
    if name not in DIFFICULTIES:
        raise InvalidRequest(f"Unknown difficulty: {name}. Use one of: {', '.join(DIFFICULTIES)}.")
    return DIFFICULTIES[name]
