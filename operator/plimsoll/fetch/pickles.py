"""Recognise a pickle by its content: a `.pt` file may be TorchScript or just pickled weights."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

from plimsoll.errors import Invalid
from plimsoll.fetch.zip_reader import check_directory

_TORCH_SUFFIXES: Final = (".pt", ".pth", ".torchscript")
_ZIP: Final = b"PK\x03\x04"
_PROTOCOLS: Final = frozenset({b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"})


def is_pickle(path: Path) -> bool:
    """Tell whether a model file is a pickle, whatever its name says.

    TorchScript archives hold pickles too, but also the code that reads them, which makes them programs of their own:
    they have a folder `code`; what `torch.save` writes has none.

    Raises:
        Invalid: `CorruptModel` or `UnsafeArchive` for a TorchScript file that is a damaged archive.
    """
    if path.is_dir():
        return False
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] in _PROTOCOLS:
            return True
        if path.suffix.lower() not in _TORCH_SUFFIXES:
            return False
        if start != _ZIP:
            raise Invalid("CorruptModel", f"'{path.name}' is neither a TorchScript archive nor a pickle.")
        check_directory(file)
        try:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise Invalid("CorruptModel", f"'{path.name}' is a damaged archive.") from error
    return not any("/code/" in name for name in names)
