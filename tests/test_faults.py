"""The faults that the tests have to notice can still be put in: the list does not rot."""

import ast

import pytest

from benchmarks.faults import ROOT, listed

FAULTS = listed()


def test_there_are_as_many_as_there_were_and_none_twice():
    assert len(FAULTS) >= 57
    assert len({(fault.file, fault.new, fault.test) for fault in FAULTS}) == len(FAULTS)
    assert len({fault.says for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.says)
def test_a_fault_changes_a_file_that_is_there_and_its_tests_are_there(fault):
    before = (ROOT / fault.file).read_text()
    after = ast.parse(fault.put_into(before))
    assert ast.dump(after) != ast.dump(ast.parse(before))
    assert (ROOT / fault.tests).is_file()
