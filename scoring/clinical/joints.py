"""The joints that are scored for erosion, and the registry's column names for them.

There are two sets of joints. The original Ratingen score (Rau, Wassenberg, Herborn, Stucki, Gebler: "A new method of
scoring radiographic change in rheumatoid arthritis", J Rheumatol 1998;25:2094-107) uses 38 joints: on each side PIP
2-5, the IP of the thumb, MCP 1-5, four sites of the wrist, MTP 2-5 and the IP of the great toe. The registry reads the
wrist as one joint, which leaves 32.

Hand columns are numbered from the little finger to the thumb. The registry numbers PIP before MCP for the little, ring
and middle finger, and MCP before PIP for the index finger and thumb. The thumb has no PIP: its "PIP1" is the IP joint.
"""

from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right"]
Limb = Literal["hand", "foot"]
Kind = Literal["PIP", "MCP", "IP", "MTP", "wrist"]


@dataclass(frozen=True)
class Joint:
    """One joint (or site of the wrist) of one side of the body.

    Attributes:
        column: Registry column of its reading, and key of the joint in every table. The four sites of a wrist share
            one column.
        name: Anatomical name within the limb: PIP2-5, MCP1-5, IP1, MTP2-5, wrist, or a site of the wrist.
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


SIDES: tuple[Side, ...] = ("left", "right")
HAND_NAMES = ("PIP5", "MCP5", "PIP4", "MCP4", "PIP3", "MCP3", "MCP2", "PIP2", "MCP1", "IP1")
FOOT_NAMES = ("MTP5", "MTP4", "MTP3", "MTP2", "IP1")
WRIST_SITES = ("scaphoid", "lunate", "distal radius", "distal ulna")

_KINDS: dict[str, Kind] = {"PIP": "PIP", "MCP": "MCP", "IP": "IP", "MTP": "MTP"}


def _limb_joints(limb: Limb, side: Side, names: tuple[str, ...]) -> tuple[Joint, ...]:
    return tuple(
        Joint(f"{limb}_{side}_{number}", name, side, limb, _KINDS[name[:-1]])
        for number, name in enumerate(names, start=1)
    )


def _wrist(side: Side, name: str) -> Joint:
    return Joint(f"wrist_{side}", name, side, "hand", "wrist")


LEFT_HAND: tuple[Joint, ...] = _limb_joints("hand", "left", HAND_NAMES)
"""The ten finger joints of a left hand, in the order of their columns."""

_FINGERS_AND_TOES: tuple[Joint, ...] = (
    *LEFT_HAND,
    *_limb_joints("hand", "right", HAND_NAMES),
    *_limb_joints("foot", "left", FOOT_NAMES),
    *_limb_joints("foot", "right", FOOT_NAMES),
)

REGISTRY_JOINTS: tuple[Joint, ...] = (*_FINGERS_AND_TOES, *(_wrist(side, "wrist") for side in SIDES))
"""The 32 joints of the registry, in the order of their columns."""

RATINGEN_JOINTS: tuple[Joint, ...] = (
    *_FINGERS_AND_TOES,
    *(_wrist(side, site) for side in SIDES for site in WRIST_SITES),
)
"""The 38 joints of the original score."""

COLUMNS: tuple[str, ...] = tuple(joint.column for joint in REGISTRY_JOINTS)
"""Column names of the registry's joints, which are their keys."""

_BY_COLUMN = {joint.column: joint for joint in REGISTRY_JOINTS}


def joint_by_column(column: str) -> Joint:
    """Return the registry joint with a column name.

    Raises:
        ValueError: The column is not a joint column.
    """
    try:
        return _BY_COLUMN[column]
    except KeyError:
        raise ValueError(f"{column!r} is not a joint column. Use one of {', '.join(COLUMNS)}.") from None
