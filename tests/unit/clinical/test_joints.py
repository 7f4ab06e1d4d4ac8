from collections import Counter

import pytest

from scoring.clinical.joints import COLUMNS, LEFT_HAND, RATINGEN_JOINTS, REGISTRY_JOINTS, joint_by_column


def test_left_hand_columns_name_the_joints_that_the_registry_means():
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


def test_feet_and_wrists():
    assert [joint.name for joint in REGISTRY_JOINTS if joint.column.startswith("foot_right")] == [
        "MTP5",
        "MTP4",
        "MTP3",
        "MTP2",
        "IP1",
    ]
    wrist = joint_by_column("wrist_left")
    assert (wrist.side, wrist.limb, wrist.kind) == ("left", "hand", "wrist")


def test_registry_has_16_joints_a_side_each_with_its_own_column():
    assert len(REGISTRY_JOINTS) == len(set(COLUMNS)) == 32
    assert Counter((joint.side, joint.kind) for joint in REGISTRY_JOINTS) == {
        (side, kind): n
        for side in ("left", "right")
        for kind, n in (("PIP", 4), ("MCP", 5), ("IP", 2), ("MTP", 4), ("wrist", 1))
    }


def test_original_score_has_38_joints_that_differ_from_the_registry_only_at_the_wrist():
    assert len(set(RATINGEN_JOINTS)) == 38
    assert {joint.column for joint in RATINGEN_JOINTS} == set(COLUMNS)
    beyond_the_registry = set(RATINGEN_JOINTS) - set(REGISTRY_JOINTS)
    assert {joint.name for joint in beyond_the_registry} == {"scaphoid", "lunate", "distal radius", "distal ulna"}
    assert len(beyond_the_registry) == 8


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_finds_its_joint(column):
    assert joint_by_column(column).column == column


@pytest.mark.parametrize("column", ["hand_left_11", "HAND_LEFT_1", "wrist", ""])
def test_unknown_column_is_refused_and_the_known_ones_are_named(column):
    with pytest.raises(ValueError, match=r"is not a joint column; .*hand_left_1, .*wrist_right"):
        joint_by_column(column)
