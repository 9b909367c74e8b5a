"""Tables of text."""

from gan_cli.show.tables import aligned, markdown, told_apart


def test_words_stand_to_the_left_and_numbers_to_the_right():
    rows = [("run", "estimate", "n"), ("a", 0.5, 12), ("longer", -10.0, None)]
    assert aligned(rows).splitlines() == [
        "run     estimate     n",
        "a         0.5000    12",
        "longer  -10.0000  None",
    ]


def test_several_columns_of_words_and_other_digits():
    assert aligned([("a", "bc", 1.0), ("de", "f", 2.25)], words=2, digits=1).splitlines() == [
        "a   bc  1.0",
        "de  f   2.2",
    ]


def test_no_line_ends_in_spaces():
    assert aligned([("a", "b"), ("cc", "")]).splitlines() == ["a   b", "cc"]


def test_markdown_has_a_rule_below_its_head():
    assert markdown(["run", "n"], [["a", "1"], ["b", ""]]).splitlines() == [
        "| run | n |",
        "|---|---|",
        "| a | 1 |",
        "| b |  |",
    ]


def test_names_are_told_apart_by_what_not_all_of_them_have():
    assert told_apart(["a=1,b=2,c=3", "a=1,b=3,c=3", "a=1,c=3,d=4"]) == ["b=2", "b=3", "d=4"]
    assert told_apart(["a=1,b=2"]) == ["a=1,b=2"]
    assert told_apart([]) == []
