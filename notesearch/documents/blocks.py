"""From runs of text, as markup has them, to blocks: white space collapsed, links where they end up."""

from __future__ import annotations

from notesearch.documents.document import Anchor, DocumentBuilder, clean

_CELL = " | "


class BlockWriter:
    """Collects the text of one block after another.

    Args:
        builder: Gets the blocks.
    """

    def __init__(self, builder: DocumentBuilder) -> None:
        self._builder = builder
        self._lists = 0
        self._begin_block()

    def _begin_block(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._ends_with_space = True
        # What belongs before the next text, if any comes.
        self._before = ""
        self._anchors: list[Anchor] = []
        self._link: tuple[int, str] | None = None
        self._level = 0
        self._is_code = False
        self._is_in_cell = False

    def text(self, text: str) -> None:
        """Adds a run of text."""
        if self._is_code:
            self._put(text)
            return
        words = " ".join(clean(text).split())
        if not words:
            if text and not self._ends_with_space:
                self._put(" ")
                self._ends_with_space = True
            return
        if self._before:
            self._put(self._before)
            self._before = ""
        elif text[0].isspace() and not self._ends_with_space:
            self._put(" ")
        if self._link and self._link[0] < 0:
            self._link = (self._length, self._link[1])
        self._put(words)
        self._ends_with_space = text[-1].isspace()
        if self._ends_with_space:
            self._put(" ")

    def line(self, mark: str = "") -> None:
        """Begins a line of the block."""
        if self._is_code:
            self._put("\n")
        elif self._level:
            self.text(" ")
        else:
            indent = "  " * (self._lists - 1) if mark else ""
            self._drop_space()
            self._before = ("\n" if self._length else "") + indent + mark
            self._ends_with_space = True
            self._is_in_cell = False

    def cell(self) -> None:
        """Begins a cell of a row."""
        if not self._before and self._length:
            self._drop_space()
            self._before = _CELL
            self._ends_with_space = True
        self._is_in_cell = True

    def begin_heading(self, level: int) -> None:
        """Begins a heading of a level from 1."""
        self.end_block()
        self._level = level

    def begin_code(self) -> None:
        """Begins a block whose white space counts."""
        self.end_block()
        self._is_code = True

    def begin_list(self) -> None:
        """Begins a list or table, a block in which paragraphs are lines; it may be part of another."""
        if not self._lists:
            self.end_block()
        self._lists += 1

    def end_list(self) -> None:
        """Ends the list or table begun last."""
        self._lists = max(0, self._lists - 1)
        if self._lists:
            self.line()
        else:
            self.end_block()

    def begin_link(self, target: str) -> None:
        """Begins the words of a link."""
        self._link = (-1, target)

    def end_link(self) -> None:
        """Ends the words of a link."""
        if self._link and self._link[0] >= 0:
            start, target = self._link
            end = self._length - (self._parts[-1] == " ")
            self._anchors.append(Anchor(start, end, target))
        self._link = None

    def end_paragraph(self) -> None:
        """Ends a paragraph, which in a list is a line, and in a heading or a cell a few words."""
        if self._is_in_cell:
            self.text(" ")
        elif self._level or self._is_code:
            self.line()
        elif not self._lists:
            self.end_block()
        elif not self._before:
            self.line()

    def end_block(self) -> None:
        """Ends the block."""
        text = "".join(self._parts)
        if self._is_code:
            self._builder.code(text)
        elif self._level:
            self._builder.heading(self._level, text, self._anchors)
        else:
            self._builder.paragraph(text, self._anchors)
        self._begin_block()

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def _drop_space(self) -> None:
        """Takes back the space that was put last, if there is one."""
        if self._parts and self._parts[-1] == " ":
            self._parts.pop()
            self._length -= 1
