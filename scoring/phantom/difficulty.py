"""How hard a phantom is to read: what disturbs the pictures, how readers err, how many joints were operated on.

A difficulty changes neither the patients nor their true erosions. Everything it adds is drawn from random streams of
its own, so turning one knob leaves all else as it was (but for `notches`, which reshape the bone that the rest sits
on), and `plain` draws what was drawn before difficulties existed.
"""

from dataclasses import dataclass

from scoring.errors import InvalidRequest


@dataclass(frozen=True)
class Difficulty:
    """The knobs of a phantom; `Difficulty("mine")` is as easy as `plain`.

    Probabilities are 0 to 1 for each joint of a patient and hold on all his radiographs, unless something else is said.

    Attributes:
        name: What it is called where figures appear.
        osteophytes: Probability of bony spurs at the margins.
        cysts: Probability of each of up to three holes that look like erosions and do not reach the articular outline.
        notches: Probability of a natural dent in the outline, which is no erosion, at each margin of a finger or toe.
        sclerosis: Probability of dense bone below the surface.
        growth_plates: Probability, for a patient, of open growth plates.
        narrowing: Mean loss of joint space that has nothing to do with erosion, as a share of the space.
        malalignment: Spread of slips and deviations that have nothing to do with erosion, in joint units.
        overlaps: Probability, for a joint on a radiograph, that a neighbour's soft tissue or bone lies over it.
        rings: Probability, for a patient, of a ring on the ring finger.
        coupling: Least to greatest share of the usual loss of space, slip and collapse that a severe erosion brings.
        bite_contrast: Least to greatest contrast of a small bite, relative to `plain`: bites seen face-on have bone
            before and behind them. The larger the erosion, the closer to 1.
        bite_depth: Least to greatest depth of small bites, relative to `plain`.
        bite_softness: How much softer the border of a bite is, in units of its radius.
        bite_hiding: Greatest share by which a place within a bite is less visible than the rest.
        exposure: Spread of exposure and contrast between radiographs; 0 is the spread of `plain`, 1 is wide.
        blur: Greatest additional blur of a radiograph, pixels.
        noise: Mean additional noise of a radiograph, grey values.
        reader_error: Standard deviation of a reading of an intact or a destroyed joint, percentage points.
        reader_error_middle: What each unit of sqrt(t (100 - t)) adds to it, t being the true percentage.
        reader_bias: Spread between readers, percentage points halfway between the ends.
        halo: Share of the way from a joint's erosion to the mean of its radiograph that a reading goes.
        copied: Probability that a reading is that of another joint of the radiograph: the halo effect at its strongest, which
            tells on radiographs with both destroyed and intact joints.
        blunders: Probability that a reading has nothing to do with the joint: the wrong line, the wrong radiograph.
        overlooked: Erosion in percent at which 1 in e erosions is overlooked and read as 0.
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
"""Clean drawings, careful readers."""

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
"""Radiographs as a clinic has them, readers as they are; set by hand, see docs/phantom.md."""

DIFFICULTIES = {difficulty.name: difficulty for difficulty in (PLAIN, LIFELIKE)}


def difficulty_named(name: str) -> Difficulty:
    """The preset of that name.

    Raises:
        InvalidRequest: There is none.
    """
    try:
        return DIFFICULTIES[name]
    except KeyError:
        raise InvalidRequest(f"There is no difficulty named {name!r}; there are {', '.join(DIFFICULTIES)}.") from None
