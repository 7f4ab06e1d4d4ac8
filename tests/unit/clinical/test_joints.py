from collections import Counter

import pytest

from scoring.clinical.joints import COLUMNS, LEFT_HAND, REGISTRY_JOINTS, joint_by_column


def test_left_hand_assigns_columns_as_the_registry_does():
    assert [(joint.column, joint.name) for joint in LEFT_HAND] == [
        ("hand_left_1", "PIP5"),
        ("hand_left_2", "MCP5"),
        ("hand_left_3", "PIP4"),
        ("hand_left_4", "MCP4"),
        ("hand_left_5", "PIP3"),
        ("hand_left_6", "MCP3"),
        ("hand_left_7", "MCP2"),
        ("hand_left_8", "PIP2"),
        ("hand_left_9", "MCP1"),
        ("hand_left_10", "IP1"),
    ]


def test_registry_joints_assign_columns_of_feet_and_wrists():
    assert [joint.name for joint in REGISTRY_JOINTS if joint.column.startswith("foot_right")] == [
        "MTP5",
        "MTP4",
        "MTP3",
        "MTP2",
        "IP1",
    ]
    wrist = joint_by_column("wrist_left")
    assert (wrist.side, wrist.limb, wrist.kind) == ("left", "hand", "wrist")


def test_registry_joints_are_16_per_side_with_one_column_each():
    assert len(REGISTRY_JOINTS) == len(set(COLUMNS)) == 32
    assert Counter((joint.side, joint.kind) for joint in REGISTRY_JOINTS) == {
        (side, kind): n
        for side in ("left", "right")
        for kind, n in (("PIP", 4), ("MCP", 5), ("IP", 2), ("MTP", 4), ("wrist", 1))
    }


@pytest.mark.parametrize("column", COLUMNS)
def test_joint_by_column_finds_every_joint(column):
    assert joint_by_column(column).column == column


@pytest.mark.parametrize("column", ["hand_left_11", "HAND_LEFT_1", "wrist", ""])
def test_joint_by_column_rejects_an_unknown_column_and_lists_the_known_ones(column):
    with pytest.raises(ValueError, match=r"is not a joint column. Use one of hand_left_1, .*wrist_right"):
        joint_by_column(column)
