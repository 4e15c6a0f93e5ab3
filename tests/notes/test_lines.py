from hypothesis import given
from hypothesis import strategies as st

from notesearch.notes.structure import LineTable

TEXT = st.text(alphabet="ab\r\n\u2028\f\x0b\x85", max_size=40)


def test_first_line_from() -> None:
    table = LineTable("ab\ncd\n")
    assert [table.first_line_from(offset) for offset in (0, 1, 3, 4, 6)] == [0, 1, 1, 2, 2]
    assert LineTable("ab").first_line_from(2) == 1


@given(TEXT)
def test_lines_agree_with_a_naive_count(text: str) -> None:
    table = LineTable(text)
    naive = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert [table.line(index) for index in range(len(table))] == naive
    for offset in range(len(text)):
        before = text[: offset + 1]
        # An ending belongs to the line it ends, and so does the first half of \r\n.
        ended = before[:-1] if text[offset] in "\r\n" else before
        ended = ended[:-1] if text[offset] == "\n" and ended.endswith("\r") else ended
        assert table.line_at(offset) == ended.replace("\r\n", "\n").replace("\r", "\n").count("\n")
