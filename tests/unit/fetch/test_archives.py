"""Archives nobody vouches for."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.fetching import IMPATIENT

from plimsoll.errors import Invalid
from plimsoll.fetch.archives import ArchiveKind, archive_kind, unpack
from plimsoll.fetch.paths import SafeNames
from plimsoll.fetch.report import Progress, TerminationMessage
from plimsoll.fetch.storage import Storage
from plimsoll.fetch.workspace import Work, Workspace

MIB = 2**20


def unpacked(folder: Path, kind: ArchiveKind, data: bytes, limit: int = 16 * MIB) -> dict[str, bytes]:
    """Unpack an archive and return the files by name."""
    workspace = Workspace(folder / "partial" / "key")
    workspace.prepare()
    archive = workspace.blobs / "archive"
    archive.write_bytes(data)
    progress = Progress(TerminationMessage(folder / "log"), 5)
    work = Work(workspace, Storage(folder, limit), progress, IMPATIENT)
    unpack(archive, kind, SafeNames("the archive"), work)
    assert not archive.exists()
    return {
        path.relative_to(workspace.tree).as_posix(): path.read_bytes()
        for path in workspace.tree.rglob("*")
        if path.is_file()
    }


def tar(*entries: tuple[str, bytes] | tarfile.TarInfo, pack: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=pack) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry, io.BytesIO(bytes(entry.size)) if entry.size else None)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


LONG = "/".join(["folder-with-a-long-name"] * 10) + "/model.onnx"


@pytest.mark.parametrize("pack", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_form_of_tar(tmp_path: Path, pack: int) -> None:
    files = {"model.onnx": bytes(512), "a/b.txt": b"b", "empty": b"", "big": bytes(3 * MIB + 1), LONG[:150]: b"deep"}
    if pack != tarfile.USTAR_FORMAT:
        files |= {LONG: b"long", "ümlaut": b"u"}
    assert unpacked(tmp_path, ArchiveKind.TAR, tar(*files.items(), pack=pack)) == files


def test_tar_gz_and_zip(tmp_path: Path) -> None:
    files = {"model.onnx": bytes(2 * MIB), "a/b.txt": b"b"}
    assert unpacked(tmp_path, ArchiveKind.TAR_GZ, gzip.compress(tar(*files.items()))) == files
    assert unpacked(tmp_path, ArchiveKind.ZIP, zipped(*files.items())) == files


def test_folders_and_leading_dots(tmp_path: Path) -> None:
    archive = tar(special("./", tarfile.DIRTYPE), special("./m/", tarfile.DIRTYPE), ("./m/model.onnx", b"x"))
    assert unpacked(tmp_path, ArchiveKind.TAR, archive) == {"m/model.onnx": b"x"}


UNSAFE_TARS: dict[str, tuple[bytes, str]] = {
    "traversal": (tar(("../evil", b"x")), "'../evil' of the archive leads out of its folder"),
    "hidden traversal": (tar(("a/../../evil", b"x")), "leads out of its folder"),
    "absolute": (tar(("/etc/evil", b"x")), "is an absolute or foreign path"),
    "foreign": (tar(("a\\..\\evil", b"x")), "is an absolute or foreign path"),
    "symbolic link": (tar(special("evil", tarfile.SYMTYPE, "/etc/passwd")), "'evil' of the archive is a symbolic link"),
    "hard link": (tar(special("evil", tarfile.LNKTYPE, "/etc/passwd")), "is a hard link"),
    "device": (tar(special("evil", tarfile.CHRTYPE)), "is a device"),
    "pipe": (tar(special("evil", tarfile.FIFOTYPE)), "is a pipe"),
    "twice": (tar(("a", b"1"), ("./a", b"2")), "occurs twice"),
    "file and folder": (tar(("a", b"1"), ("a/b", b"2")), "lies below a file"),
    "folder and file": (tar(("a/b", b"1"), ("a", b"2")), "is a file and a folder"),
    "no name": (tar((".", b"x")), "has no name"),
    "control characters": (tar(("a\nb", b"x")), "unprintable"),
    "deep": (tar(("a/" * 40 + "b", b"x")), "too long"),
    "long": (tar(("a" * 300, b"x")), "too long"),
    "too many": (tar(*((f"{number}", b"") for number in range(10_001))), "at most 10000"),
    "too large": (
        tar(("ok", b"x"), ("bomb", bytes(17 * MIB))),
        "'bomb' of the archive makes the unpacked archive larger",
    ),
}


@pytest.mark.parametrize("name", UNSAFE_TARS)
def test_unsafe_tars_name_the_entry(tmp_path: Path, name: str) -> None:
    data, says = UNSAFE_TARS[name]
    limit = 40 * MIB if name != "too large" else len(data) + 10 * MIB
    with pytest.raises(Invalid) as error:
        unpacked(tmp_path, ArchiveKind.TAR, data, limit)
    assert error.value.reason == "UnsafeArchive"
    assert says in error.value.message


def with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def encrypted() -> bytes:
    data = bytearray(zipped(("a", b"x")))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


UNSAFE_ZIPS: dict[str, tuple[bytes, str]] = {
    "traversal": (zipped(("../evil", b"x")), "leads out of its folder"),
    "link": (zipped((with_mode("evil", stat.S_IFLNK | 0o777), b"/etc/passwd")), "is a link or a device"),
    "encrypted": (encrypted(), "is encrypted"),
    "another method": (zipped(("a", bytes(99)), method=zipfile.ZIP_LZMA), "another method than deflate"),
    "too many": (zipped(*((f"{number}", b"") for number in range(10_001))), "at most 10000"),
    "bomb": (zipped(("bomb", bytes(60 * MIB))), "'bomb' of the archive makes the unpacked archive larger"),
}


@pytest.mark.parametrize("name", UNSAFE_ZIPS)
def test_unsafe_zips_name_the_entry(tmp_path: Path, name: str) -> None:
    data, says = UNSAFE_ZIPS[name]
    with pytest.raises(Invalid) as error:
        unpacked(tmp_path, ArchiveKind.ZIP, data)
    assert error.value.reason == "UnsafeArchive"
    assert says in error.value.message


def test_a_bomb_never_gets_more_than_the_limit(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="'bomb'"):
        unpacked(tmp_path, ArchiveKind.TAR_GZ, gzip.compress(tar(("bomb", bytes(60 * MIB)))), 4 * MIB)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 4 * MIB


def rewritten(data: bytes, change: Callable[[bytearray], None]) -> bytes:
    """Change a tar header and correct its checksum."""
    changed = bytearray(data)
    change(changed)
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:512])
    return bytes(changed)


def set_size(size: bytes) -> Callable[[bytearray], None]:
    def change(header: bytearray) -> None:
        header[124:136] = size

    return change


def set_kind(kind: bytes) -> Callable[[bytearray], None]:
    def change(header: bytearray) -> None:
        header[156:157] = kind

    return change


ONE = tar(("a", b"content"))
DAMAGED_TARS = {
    "cut in a header": ONE[:300],
    "cut in a file": ONE[:515],
    "wrong checksum": b"b" + ONE[1:],
    "a size that is no number": rewritten(ONE, set_size(b"99999999999\0")),
    "a size of exabytes": rewritten(ONE, set_size(b"\x80" + b"\xff" * 11)),
    "an extended header of gigabytes": rewritten(rewritten(ONE, set_kind(b"x")), set_size(b"77777777777\0")),
    "a long name of gigabytes": rewritten(rewritten(ONE, set_kind(b"L")), set_size(b"77777777777\0")),
    "endless extended headers": (rewritten(tar(("a", b"")), set_kind(b"g"))[:512]) * 100,
    "a malformed extended header": rewritten(ONE, set_kind(b"x")),
    "not a tar": b"<html>" * 200,
}


@pytest.mark.parametrize("name", DAMAGED_TARS)
def test_damaged_tars(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid) as error:
        unpacked(tmp_path, ArchiveKind.TAR, DAMAGED_TARS[name])
    assert error.value.reason in ("CorruptModel", "UnsafeArchive")


ZIP = zipped(("a", bytes(range(256)) * 40))
GZ = gzip.compress(ONE, mtime=0)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (ArchiveKind.TAR_GZ, b"not gzip"),
        (ArchiveKind.TAR_GZ, GZ[:-20]),
        (ArchiveKind.TAR_GZ, GZ[:30] + bytes([GZ[30] ^ 255]) + GZ[31:]),
        (ArchiveKind.ZIP, b"not zip"),
        (ArchiveKind.ZIP, ZIP[:-10]),
        (ArchiveKind.ZIP, ZIP[:60] + bytes([ZIP[60] ^ 255]) + ZIP[61:]),
        (ArchiveKind.ZIP, ZIP[-40:]),
    ],
    ids=["no gzip", "gzip cut", "gzip bit", "no zip", "zip cut", "zip bit", "zip end only"],
)
def test_damaged_compression(tmp_path: Path, kind: ArchiveKind, data: bytes) -> None:
    with pytest.raises(Invalid) as error:
        unpacked(tmp_path, kind, data)
    assert error.value.reason == "CorruptModel"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.integers(0, 1023), st.integers(1, 255), st.sampled_from(ArchiveKind))
def test_any_flipped_byte_ends_in_files_or_a_refusal(tmp_path: Path, where: int, flip: int, kind: ArchiveKind) -> None:
    data = bytearray({ArchiveKind.TAR: ONE, ArchiveKind.TAR_GZ: GZ, ArchiveKind.ZIP: ZIP}[kind])
    data[where % len(data)] ^= flip
    try:
        unpacked(tmp_path, kind, bytes(data))
    except Invalid:
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("m.tar", ArchiveKind.TAR),
        ("m.tar.gz", ArchiveKind.TAR_GZ),
        ("M.TGZ", ArchiveKind.TAR_GZ),
        ("m.zip", ArchiveKind.ZIP),
        ("model.pt", None),
        ("model.onnx", None),
    ],
)
def test_archives_are_known_by_name(name: str, kind: ArchiveKind | None) -> None:
    assert archive_kind(name) is kind
