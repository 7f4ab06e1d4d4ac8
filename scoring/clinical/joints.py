"""The joints that are scored for erosion, and the registry's column names for them.

The original Ratingen score (Rau, Wassenberg, Herborn, Stucki, Gebler: "A new method of scoring radiographic change in
rheumatoid arthritis", J Rheumatol 1998;25:2094-107) uses 38 joints: on each side PIP 2-5, the IP of the thumb, MCP 1-5,
four sites of the wrist, MTP 2-5 and the IP of the great toe. The registry reads the wrist as one joint: 32 joints.

Hand columns are numbered from the little finger to the thumb. The registry numbers PIP before MCP for the little, ring
and middle finger, and MCP before PIP for the index finger and thumb. The thumb has no PIP: its "PIP1" is the IP joint.
"""

from dataclasses import dataclass
from typing import Literal, cast

Side = Literal["left", "right"]
Limb = Literal["hand", "foot"]
Kind = Literal["PIP", "MCP", "IP", "MTP", "wrist"]


@dataclass(frozen=True)
class Joint:
    """One joint of one side of the body.

    Attributes:
        column: Registry column of its reading, and key of the joint in every table.
        name: Anatomical name within the limb: PIP2-5, MCP1-5, IP1, MTP2-5 or wrist.
        side: Side of the body, not of the image.
        limb: Type of radiograph that shows the joint; radiographs of the hand include the wrist.
        kind: PIP (proximal interphalangeal), MCP (metacarpophalangeal), IP (interphalangeal: thumb, great toe), MTP
            (metatarsophalangeal) or wrist.
    """

    column: str
    name: str
    side: Side
    limb: Limb
    kind: Kind


HAND_NAMES = ("PIP5", "MCP5", "PIP4", "MCP4", "PIP3", "MCP3", "MCP2", "PIP2", "MCP1", "IP1")
FOOT_NAMES = ("MTP5", "MTP4", "MTP3", "MTP2", "IP1")


def _limb_joints(limb: Limb, side: Side, names: tuple[str, ...]) -> tuple[Joint, ...]:
    return tuple(
        Joint(f"{limb}_{side}_{number}", name, side, limb, cast("Kind", name[:-1]))
        for number, name in enumerate(names, start=1)
    )


LEFT_HAND: tuple[Joint, ...] = _limb_joints("hand", "left", HAND_NAMES)
"""The ten finger joints of a left hand, in the order of their columns."""

REGISTRY_JOINTS: tuple[Joint, ...] = (
    *LEFT_HAND,
    *_limb_joints("hand", "right", HAND_NAMES),
    *_limb_joints("foot", "left", FOOT_NAMES),
    *_limb_joints("foot", "right", FOOT_NAMES),
    Joint("wrist_left", "wrist", "left", "hand", "wrist"),
    Joint("wrist_right", "wrist", "right", "hand", "wrist"),
)
"""The 32 joints of the registry, in the order of their columns."""

_BY_COLUMN = {joint.column: joint for joint in REGISTRY_JOINTS}

COLUMNS: tuple[str, ...] = tuple(_BY_COLUMN)
"""Column names of the registry's joints, which are their keys."""


def joint_by_column(column: str) -> Joint:
    """Return the registry joint with a column name.

    Raises:
        ValueError: The column is not a joint column.
    """
    try:
        return _BY_COLUMN[column]
    except KeyError:
        raise ValueError(f"{column!r} is not a joint column. Use one of {', '.join(COLUMNS)}.") from None
