"""The faults that the tests have to notice can still be put in: the list does not rot."""

import ast

import pytest

from benchmarks.faults import ROOT, Fault, listed, noticed

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


def test_a_fault_that_can_no_longer_be_put_in_is_named():
    fault = Fault("the door opens to the wrong side", "house/room.py", "DOOR", "WALL")
    for text, count in (("a window", 0), ("DOOR and DOOR", 2)):
        with pytest.raises(
            ValueError, match=rf"house/room\.py .* 'the door opens .*' {count} times, not once"
        ):
            fault.put_into(text)


def test_a_fault_is_noticed_or_survives_and_the_copy_is_then_as_it_was(tmp_path):
    room, tests = tmp_path / "house" / "room.py", tmp_path / "tests" / "test_room.py"
    for path, text in (
        (room, "DOORS = 2\nWINDOWS = 3\n"),
        (tests, "from house.room import DOORS\n\n\ndef test_doors():\n    assert DOORS == 2\n"),
    ):
        path.parent.mkdir()
        path.write_text(text)
    written = room.stat().st_mtime
    door = Fault("a door too many", "house/room.py", "DOORS = 2", "DOORS = 3")
    window = Fault("a window too many", "house/room.py", "WINDOWS = 3", "WINDOWS = 4")
    assert noticed(tmp_path, door) == "tests/test_room.py::test_doors"
    assert noticed(tmp_path, window) is None
    assert room.read_text() == "DOORS = 2\nWINDOWS = 3\n"
    assert room.stat().st_mtime > written + 7, "four texts of one length, each with a second of its own"
