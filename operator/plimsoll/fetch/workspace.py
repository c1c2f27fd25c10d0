"""The folder fetch works in: what was downloaded, what was unpacked, and what a finished model leaves behind."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from plimsoll.fetch.limits import Patience
from plimsoll.fetch.report import Progress
from plimsoll.fetch.storage import Storage


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folders of one attempt; `blobs` outlives a restart of the container, `tree` and `staging` are made anew."""

    root: Path

    @property
    def blobs(self) -> Path:
        """Downloads, whole ones under their digest, broken ones with the suffix `.part`."""
        return self.root / "blobs"

    @property
    def tree(self) -> Path:
        """The artefact's files under their own names."""
        return self.root / "tree"

    @property
    def staging(self) -> Path:
        """The repository and the probe files while they are made."""
        return self.root / "staging"

    def prepare(self) -> None:
        """Keep downloads of the same model, throw everything else away."""
        for other in self.root.parent.glob("*") if self.root.parent.is_dir() else ():
            if other != self.root:
                shutil.rmtree(other, ignore_errors=True)
        for made_anew in (self.tree, self.staging):
            shutil.rmtree(made_anew, ignore_errors=True)
            made_anew.mkdir(parents=True)
        self.blobs.mkdir(exist_ok=True)


@dataclass(frozen=True, slots=True)
class Work:
    """What every source works with."""

    workspace: Workspace
    storage: Storage
    progress: Progress
    patience: Patience


class Source(Protocol):
    """A place models come from."""

    def fetch(self, work: Work) -> int:
        """Put the artefact's verified files into `work.workspace.tree` and return their size in bytes.

        Raises:
            Invalid: The user must act.
            NotYet: Worth another try.
        """
        ...
