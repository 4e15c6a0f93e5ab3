"""Opening the ZIP files that DOCX and EPUB are, so that none takes more than it may."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

from notesearch.errors import NoteUnreadable

_MOST_MEMBERS = 20_000
_MOST_BYTES = 300_000_000
# Of a part that is text: markup is many times as long as what it says.
_MOST_TEXT_BYTES = 50_000_000
# The older Office files, which is also what an encrypted DOCX is.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = 0x1


def open_archive(data: bytes) -> ZipFile:
    """Open a ZIP file.

    Raises:
        NoteUnreadable: It is encrypted, or would take more than it may once it is unpacked.
        zipfile.BadZipFile: It is none.
    """
    if data.startswith(_OLE):
        raise NoteUnreadable("encrypted, or an older Office file", by_rule=True)
    archive = ZipFile(BytesIO(data))
    members = archive.infolist()
    # zipfile never unpacks more of a member than it says here.
    if len(members) > _MOST_MEMBERS or sum(member.file_size for member in members) > _MOST_BYTES:
        raise NoteUnreadable("too large, once it is unpacked", by_rule=True)
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise NoteUnreadable("encrypted", by_rule=True)
    return archive


def read_member(archive: ZipFile, name: str) -> bytes:
    """Unpack a part that is text.

    Raises:
        NoteUnreadable: It is too large.
        KeyError: There is none of this name.
    """
    if archive.getinfo(name).file_size > _MOST_TEXT_BYTES:
        raise NoteUnreadable("too large, once it is unpacked", by_rule=True)
    return archive.read(name)
