"""The digits a newcomer sends, and their pictures."""

from plimsoll_dev.models.build import samples_json
from plimsoll_dev.models.catalogue import SAMPLES_FILE
from plimsoll_dev.models.dataset import test_rows as rows_for_testing
from plimsoll_dev.models.images import draw
from plimsoll_dev.models.samples import infer_request, samples


def test_samples_are_two_test_rows_of_each_digit():
    assert [sample.label for sample in samples()] == [*range(10), *range(10)]
    assert len({sample.row for sample in samples()}) == 20
    rows = rows_for_testing()
    images = dict(zip(rows.numbers.tolist(), rows.images.astype(int).tolist(), strict=True))
    assert all(images[sample.row] == list(sample.image) for sample in samples())


def test_committed_samples_are_those_the_data_set_gives():
    assert SAMPLES_FILE.read_text() == samples_json()


def test_one_sample_makes_the_flaky_model_fail():
    assert [sample.label for sample in samples() if sample.image[5] == 16] == [5]


def test_a_picture_has_a_line_per_row_and_darkens_with_the_ink():
    image = [0] * 8 + [4] * 8 + [8] * 8 + [12] * 8 + [16] * 8 + [0, 16] * 4 + [0] * 16
    assert draw(image) == [" " * 16, "░" * 16, "▒" * 16, "▓" * 16, "█" * 16, "  ██" * 4, " " * 16, " " * 16]


def test_values_out_of_range_are_drawn_as_the_nearest_shade():
    assert draw([-3] * 32 + [99] * 32) == [" " * 16] * 4 + ["█" * 16] * 4


def test_a_request_is_one_image_of_the_open_inference_protocol():
    (tensor,) = infer_request(samples()[0].image)["inputs"]
    assert (tensor["name"], tensor["datatype"], tensor["shape"], len(tensor["data"])) == ("image", "FP32", [1, 64], 64)
