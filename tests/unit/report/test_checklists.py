import re

import pytest

from scoring.report import checklists


@pytest.mark.parametrize("items", [checklists.TRIPOD_AI, checklists.CLAIM])
@pytest.mark.parametrize("synthetic", [True, False])
def test_answer_has_a_section_exactly_if_the_item_is_reported(
    items: tuple[checklists.Item, ...], synthetic: bool
) -> None:
    shown = set(checklists.SECTIONS)
    assert len({item.number for item in items}) == len(items)
    for item in items:
        status, section, remark = item.answer(synthetic=synthetic, shown=shown)
        assert status in {"reported", "not applicable", "not done"}
        assert (section in checklists.SECTIONS) == (status == "reported"), item
        assert not remark.startswith(("not done", "not applicable", ":")), item
        without = item.answer(synthetic=synthetic, shown=shown - {item.section})
        assert without[0] != "reported"


def test_tripod_ai_has_all_27_items() -> None:
    assert {re.sub("[a-z]", "", item.number) for item in checklists.TRIPOD_AI} == {str(i) for i in range(1, 28)}
