"""What of the building machine reaches a build, and what never reaches an image."""

from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.images import engines
from plimsoll_dev.images.build import build

CHECKOUT = Path(__file__).resolve().parents[3]


def test_a_site_ca_is_mounted_and_the_index_is_an_argument(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("certificate")
    arguments = engines._site_arguments({"PIP_CERT": str(bundle), "PIP_INDEX_URL": "https://index.example/simple"})  # noqa: SLF001
    assert arguments == [
        *("--build-arg", "PIP_INDEX_URL=https://index.example/simple"),
        *("--build-arg", "PIP_CERT=/run/ca-bundle.pem", "--secret", f"id=ca-bundle,src={bundle}"),
    ]


def test_nothing_of_the_site_is_set_in_an_image() -> None:
    """Arguments of build stages stay there; ENV would not, and a final stage has no site arguments."""
    stages = (CHECKOUT / "Dockerfile").read_text().split("\nFROM ")[1:]
    final = [stage for stage in stages if stage.splitlines()[0].split()[-1] in {"operator", "triton-cpu"}]
    assert len(final) == 2
    for stage in final:
        assert "PIP_" not in stage
        assert "RUN " not in stage
        assert "USER 10001:10001" in stage


def test_an_unknown_image_is_refused_with_the_choices() -> None:
    with pytest.raises(Invalid, match=r"There is no image 'gateway'\. Choose from operator, triton-cpu, registry\."):
        build("gateway")
