"""Where Helm is: for the command line, `make lint` and the chart's tests."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from plimsoll_dev.cluster.components import HELM, build
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.progress import Progress


def helm_program(environment: Mapping[str, str], progress: Progress) -> str:
    """$HELM, else helm on PATH, else one that is built once (2 minutes) and then cached.

    Raises:
        Invalid: there is none and it cannot be built; the message says why.
    """
    given = environment.get("HELM") or shutil.which("helm", path=environment.get("PATH"))
    return given or str(build(HELM, cache_folder(environment), progress) / "helm")
