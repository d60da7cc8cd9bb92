"""Tables for a learner: what is no table of numbers is refused by row and column."""

import io

import pytest

from icl_lab.learners.tables import numbers, predict, read_rows, write_columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wants a header"),
        ("a,b\n", "wants a header of different names and rows below it"),
        ("a,a\n1,2\n", "different names"),
        ("a,b\n1,2\n3\n", "row 2 below the header: wanted 2 cells as in it, got 1"),
        ("a,b\n1,2,3\n", "row 1 below the header: wanted 2 cells as in it, got 3"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_rows(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match="no CSV file in UTF-8"):
        read_rows(tmp_path / "x.csv")


@pytest.mark.parametrize("cell", ["", "blue", "nan", "inf", "1,5"])
def test_a_cell_that_is_no_number_is_named(tmp_path, cell):
    path = tmp_path / "x.csv"
    path.write_text(f'a,b\n1,2\n3,"{cell}"\n')
    with pytest.raises(ValueError, match=rf"row 2 below the header, column 'b': wanted a number, got '{cell}'"):
        numbers(read_rows(path), ["a", "b"], path=path)


def test_a_byte_order_mark_quotes_and_empty_lines_are_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('﻿"a, b",c\r\n1,2\r\n\r\n3,4\r\n', encoding="utf-8")
    assert read_rows(path) == [{"a, b": "1", "c": "2"}, {"a, b": "3", "c": "4"}]
    with pytest.raises(ValueError, match="no column 'd'; it has a, b, c"):
        numbers(read_rows(path), ["d"], path=path)


def test_columns_are_written_with_what_quotes_they_need():
    file = io.StringIO()
    write_columns(file, {"a": ["1", "x, y"], "b": ["2", "3"]})
    assert file.getvalue() == 'a,b\n1,2\n"x, y",3\n'


def test_an_empty_target_is_refused_where_it_must_be_known(tmp_path):
    train, ask = tmp_path / "train.csv", tmp_path / "ask.csv"
    train.write_text("a,b,c\n1,2,x\n3,4, \n")
    ask.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="row 2 below the header: 'c' is empty; leave that row out"):
        predict(tmp_path / "no run is needed for that", train, ask, "c")
