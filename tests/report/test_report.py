"""Reports: the printed text, the pictures, the page, TensorBoard's events, JSON."""

import dataclasses
import html.parser
import io
import json
import math
import re

import matplotlib
import matplotlib.colors
import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image
from report_fakes import make_plan, make_ranking, make_specs, random_report

from tf_medyate.cost import CostModel
from tf_medyate.errors import OptionError, PlanError
from tf_medyate.report import EpochRecord, TrainingReport, charts, summary
from tf_medyate.report.theme import DARK, DPI, LIGHT, WIDTH_INCHES
from tf_medyate.spec import LayerDraw, MemoryBudget

SNAPSHOT = """\
Fine-tuning under a memory budget: medyate, 3 epochs in 1 min 15 s
==================================================================

Memory budget     8 KiB (8,192 bytes)
Full fine-tuning  16.1 KiB, 2.0 times the budget
Most used         7.7 KiB (7,892 bytes), 96.3% of the budget
Always trained    980 bytes (head and biases)
Layers kept       2 of 3, 98.0% of the lara score

kept layer  kind    channels  bytes/channel  score share  drawn/epoch  coverage
----------  ------  --------  -------------  -----------  -----------  --------
stem        conv2d         4          1,152        75.0%          2.0     75.0%
mix         conv2d        16            384        23.0%         11.7     93.7%

epoch  channels  layers  bytes of 8,192   fill  coverage    loss  val_loss  accuracy  val_accuracy
-----  --------  ------  --------------  -----  --------  ------  --------  --------  ------------
    1        14       2           7,892  96.3%     70.0%  1.2000         -     50.0%             -
    2        11       2           7,508  91.6%     75.0%  0.6000    0.7000     80.0%         75.0%
    3        16       2           7,892  96.3%     90.0%  0.3000    0.5000     90.0%         87.5%

Never above 8 KiB; 18 of 20 candidate channels trained (90.0%); validation accuracy from 75.0% to \
87.5%."""


@pytest.fixture(scope="module")
def report():
    """Three epochs whose figures can be checked by hand."""
    specs, cost, budget = make_specs(), CostModel(), MemoryBudget(8192)
    draws = [
        {"stem": (0, 2), "mix": tuple(range(12))},
        {"stem": (0, 1, 2), "mix": tuple(range(4, 12))},
        {"stem": (2,), "mix": tuple(range(15))},
    ]
    logs = [
        {"accuracy": 0.5, "loss": 1.2, "learning_rate": 0.05},
        {"accuracy": 0.8, "loss": 0.6, "val_accuracy": 0.75, "val_loss": 0.7},
        {"accuracy": 0.9, "loss": 0.3, "val_accuracy": 0.875, "val_loss": 0.5},
    ]
    epochs = tuple(
        EpochRecord(number, make_plan(number, budget, cost, specs, draw), log, 25.0)
        for number, (draw, log) in enumerate(zip(draws, logs, strict=True))
    )
    candidates = ("stem", "mix")
    return TrainingReport("medyate", specs, make_ranking(specs), cost, budget, epochs, candidates)


# The values


def test_a_record_turns_numpy_logs_into_floats_and_copies_them(report):
    logs = {"loss": np.float32(0.5)}
    record = EpochRecord(np.int64(3), report.epochs[0].plan, logs, np.float64(1))
    logs["loss"] = np.float32(9)
    assert record.logs == {"loss": 0.5}
    assert type(record.logs["loss"]) is float
    assert type(record.epoch) is int


def test_budget_and_cost_must_share_a_unit(report):
    with pytest.raises(OptionError, match="cost model in elements"):
        dataclasses.replace(report, budget=MemoryBudget(100, "elements"))


def test_a_plan_of_another_model_is_refused(report):
    with pytest.raises(PlanError, match="draws from stem"):
        dataclasses.replace(report, specs=report.specs[1:])


def test_memory_parts_add_up_to_what_the_plan_used(report):
    rows = summary.epochs(report)
    assert [row.used for row in rows] == [record.plan.used for record in report.epochs]
    # Epoch 1: 2 stem channels and 12 of mix, 4 bytes a value.
    assert rows[0].weights == 4 * (2 * 144 + 12 * 32)
    assert rows[0].activations == 4 * (2 * 144 + 12 * 64)


def test_coverage_counts_each_channel_once(report):
    assert [row.trained for row in summary.epochs(report)] == [14, 15, 18]
    stem, deep, mix, head = summary.layers(report)
    assert (stem.trained, mix.trained) == (3, 15)
    assert (stem.epochs_drawn, deep.epochs_drawn) == (3, 0)
    assert stem.mean_share == pytest.approx((2 + 3 + 1) / 3 / 4)
    assert (deep.candidate, head.candidate) == (False, False)


def test_drawn_layers_are_candidates_even_if_not_listed(report):
    other = dataclasses.replace(report, candidates=("mix",))
    assert [spec.name for spec in summary.candidates(other)] == ["stem", "mix"]


def test_losses_are_best_when_low_and_accuracies_when_high(report):
    loss, accuracy = (summary.progress(report, name) for name in ("val_loss", "val_accuracy"))
    assert (loss.best, loss.best_epoch) == (0.5, 3)
    assert (accuracy.best, accuracy.best_epoch) == (0.875, 3)


# The printed text


def test_printed_report(report):
    assert str(report) == SNAPSHOT


def test_long_runs_lose_their_middle():
    short, long = str(random_report(20)), str(random_report(21))
    assert "more epoch" not in short
    assert "\n... 1 more epoch ...\n" in long
    numbers = [int(number) for number in re.findall(r"^ +(\d+) +9 ", long, re.MULTILINE)]
    assert numbers == [*range(1, 11), *range(12, 22)]


def test_printed_lines_are_plain_and_aligned():
    lines = str(random_report(5)).splitlines()
    assert all(line == line.rstrip() and line.isascii() for line in lines)
    start = next(i for i, line in enumerate(lines) if line.startswith("epoch"))
    assert len({len(line) for line in lines[start : start + 7]}) == 1


def test_without_epochs_the_text_says_what_to_do(report):
    text = str(dataclasses.replace(report, epochs=()))
    assert text.endswith(
        "No epoch has run yet: call model.fit(..., callbacks=[medyate]), then print the report "
        "again."
    )
    assert "coverage" not in text


def test_a_draw_that_lasts_several_epochs_gets_a_column(report):
    first = report.epochs[0]
    twice = dataclasses.replace(report, epochs=(first, dataclasses.replace(first, epoch=1)))
    assert re.search(r"^epoch +draw +channels", str(twice), re.MULTILINE)
    assert not re.search(r"^epoch +draw", str(report), re.MULTILINE)


def test_an_exceeded_budget_is_shouted(report):
    text = str(dataclasses.replace(report, budget=MemoryBudget(7600)))
    assert "OVER BUDGET in 2 epochs: up to 7.7 KiB of 7.4 KiB" in text


def test_a_full_budget_alone_reads_100_percent(report):
    used = report.epochs[0].plan.used
    assert " 100.0% of the budget" in str(dataclasses.replace(report, budget=MemoryBudget(used)))
    almost = str(dataclasses.replace(report, budget=MemoryBudget(used + 1)))
    assert " 99.9% of the budget" in almost


def test_a_run_of_the_head_alone(report):
    plan = dataclasses.replace(report.epochs[0].plan, drawn=0, layers=())
    ranking = dataclasses.replace(report.ranking, kept=())
    epochs = (EpochRecord(0, plan, {"loss": math.nan}, 1.0),)
    head = dataclasses.replace(report, ranking=ranking, epochs=epochs, candidates=())
    assert str(head).endswith("Never above 8 KiB; only the head was trained.")
    assert [picture.name for picture in charts.draw(head)] == ["layer_ranking", "memory"]


# The colours


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_labels_can_be_read_on_what_they_lie_on(theme):
    def luminance(color):
        channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                    for c in matplotlib.colors.to_rgb(color)]  # fmt: skip
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]

    for fill in (theme.blue, theme.orange, theme.green, theme.pale):
        low, high = sorted((luminance(fill), luminance(theme.on(fill))))
        assert (high + 0.05) / (low + 0.05) >= 4.5, fill  # WCAG 2.2, contrast of text


# In a notebook


def test_values_show_themselves_in_a_notebook(report):
    plan, ranking = report.epochs[0].plan, report.ranking
    assert repr(plan).startswith("<UpdatePlan draw 0: 14 channels in 2 layers, 7.7 KiB of 8 KiB")
    assert repr(ranking) == "<LayerRanking lara ranking: 2 of 3 layers kept, 98.0% of the score>"
    assert repr(report) == "<TrainingReport medyate, 3 epochs in 8 KiB>"
    page = Page(plan._repr_html_())
    assert [word for word in page.words if word in ("12", "0, 2", "0-11")] == ["0, 2", "12", "0-11"]
    page = Page(ranking._repr_html_())
    assert page.words.count("kept") == 2
    assert "75.0%" in page.words
    page = Page(report._repr_html_())
    assert page.tags.count("table") == 2
    assert {"8 KiB (8,192 bytes)", "7,508", "87.5%"} <= set(page.words)


def test_what_a_notebook_shows_is_escaped_and_never_endless():
    names = ("<b>", "a&amp;b", "</table>'", "<script>alert(1)</script>")
    evil = random_report(70, names=names, strategy="<img src=x>")
    for value in (evil, evil.ranking, evil.epochs[0].plan):
        page = Page(value._repr_html_())
        assert page.open == []
        assert not {"script", "img"} & set(page.tags)
        assert page.tags.count("tr") < 60
    assert "... 30 more ..." in evil._repr_html_()


# The pictures


def test_pictures_are_png_files_of_the_promised_width(report, tmp_path):
    paths = report.save_png(tmp_path / "new" / "folder")
    names = ["layer_ranking", "drawn_channels", "memory", "learning_curves"]
    assert paths == [tmp_path / "new" / "folder" / f"{name}.png" for name in names]
    for path, picture in zip(paths, charts.draw(report), strict=True):
        with Image.open(path) as image:
            image.load()
            assert image.format == "PNG"
            assert image.size == picture.size
            assert image.width == round(WIDTH_INCHES * DPI)
            colors = {color for _, color in image.convert("RGB").getcolors()}
        assert (255, 255, 255) in colors
        assert len(colors) > 20  # text and shapes, not an empty sheet


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("report", [random_report(2), random_report(70)], ids=["short", "long"])
def test_no_text_is_clipped(report, theme):
    for picture in charts.draw(report, theme):
        picture.png()
        width, height = picture.size
        renderer = picture.figure.canvas.get_renderer()
        texts = list(picture.figure.texts)
        for axes in picture.figure.axes:
            texts += [*axes.texts, *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label]
        for text in texts:
            box = text.get_window_extent(renderer)
            if text.get_text() and text.get_visible():
                inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
                assert inside, (picture.name, text.get_text())


def test_small_nets_show_channels_and_large_ones_layers(report):
    _, picture, *_ = charts.draw(report)
    meshes = picture.figure.axes[0].collections
    assert [mesh.get_array().shape for mesh in meshes] == [(4, 3), (16, 3)]
    np.testing.assert_array_equal(meshes[0].get_array()[:, 1], [1, 1, 1, 0])

    wide = dataclasses.replace(report.specs[2], channels=700)
    large = dataclasses.replace(report, specs=(*report.specs[:2], wide, report.specs[3]))
    _, picture, *_ = charts.draw(large)
    (mesh,) = picture.figure.axes[0].collections
    np.testing.assert_allclose(
        mesh.get_array(), [[2 / 4, 3 / 4, 1 / 4], [12 / 700, 8 / 700, 15 / 700]]
    )


def test_memory_bars_stack_up_to_what_was_used_and_stay_below_the_budget(report):
    figure = charts.draw(report)[2].figure
    axes = figure.axes[0]
    tops = np.sum([[bar.get_height() for bar in part] for part in axes.containers], axis=0)
    np.testing.assert_allclose(tops * 1024, [record.plan.used for record in report.epochs])
    (line,) = axes.lines
    assert line.get_ydata()[0] == 8
    assert tops.max() <= 8
    assert axes.get_ylabel() == "KiB"


def test_titles_say_what_one_sees(report):
    assert [picture.title for picture in charts.draw(report)] == [
        "2 of 3 layers hold 98.0% of the lara score",
        "90.0% of candidate channels trained at least once",
        "Every epoch fits 8 KiB: 91.6% to 96.3% used",
        "Validation accuracy rose from 75.0% to 87.5%",
    ]


def test_epochs_keep_their_numbers_when_fit_was_called_twice(report):
    twice = dataclasses.replace(report, epochs=report.epochs[:2] * 2)
    picture = charts.draw(twice)[2]
    picture.png()
    labels = [label.get_text() for label in picture.figure.axes[0].get_xticklabels()]
    assert labels == ["1", "2", "1", "2"]


def test_drawing_changes_no_global_state_of_matplotlib(report):
    settings, open_figures = dict(matplotlib.rcParams), pyplot.get_fignums()
    charts.draw(report)[0].png()
    assert dict(matplotlib.rcParams) == settings
    assert pyplot.get_fignums() == open_figures


# The page


class Page(html.parser.HTMLParser):
    """Collects tags, what they point to, and the text; checks that tags nest."""

    VOID = ("meta", "link", "img", "source", "br")

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.open, self.words, self.tables = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "srcset", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


def test_the_page_is_one_well_formed_file_without_references(report, tmp_path):
    path = report.save_html(tmp_path / "new" / "report.html")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert not re.search(r"https?://|@import|url\(", text)
    assert "script" not in page.tags
    assert page.links
    assert all(link.startswith("data:") for link in page.links)
    images = [link for link in page.links if link.startswith("data:image/png;base64,")]
    assert len(images) == 2 * 4  # for light and for dark screens


def test_the_page_holds_the_tables(report, tmp_path):
    page = Page(report.save_html(tmp_path / "report.html").read_text(encoding="utf-8"))
    words = [word.strip() for word in page.words]
    assert page.tags.count("table") == 3
    for cell in ("8 KiB (8,192 bytes)", "7,892", "96.3%", "87.5%", "depthwise_conv2d", "1,152"):
        assert cell in words
    for role in ("kept", "frozen", "head", "3 of 3"):
        assert role in words


def test_the_page_escapes_every_string(tmp_path):
    names = ('<b onload="x">', "a&amp;b", "</table>'", "<script>alert(1)</script>")
    evil = random_report(2, names=names, strategy="<img src=x>")
    logs = {"<i>loss</i>": 1.0}
    evil = dataclasses.replace(
        evil, epochs=tuple(dataclasses.replace(record, logs=logs) for record in evil.epochs)
    )
    page = Page(evil.save_html(tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert not {"b", "script"} & set(page.tags)
    assert page.tags.count("img") == 4
    text = " ".join(page.words)
    for string in (*names, "<img src=x>", "<i>loss</i>"):
        assert string in text


def test_the_page_before_the_first_epoch(report, tmp_path):
    early = dataclasses.replace(report, epochs=())
    page = Page(early.save_html(tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "No epoch has run yet" in " ".join(page.words)
    assert page.tags.count("figure") == 1
    assert page.tags.count("table") == 2


# TensorBoard


def read_events(folder):
    """All values of the one event file in a folder, as {tag: [(step, plugin, tensor)]}."""
    import tensorflow as tf

    (path,) = folder.glob("events.out.tfevents.*")
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            plugin = value.metadata.plugin_data.plugin_name
            entry = (event.step, plugin, tf.make_ndarray(value.tensor))
            found.setdefault(value.tag, []).append(entry)
    return found


def test_tensorboard_events(report, tmp_path):
    report.write_tensorboard(tmp_path)
    events = read_events(tmp_path)
    used = events["medyate/used_bytes"]
    assert [(step, plugin) for step, plugin, _ in used] == [(n, "scalars") for n in range(3)]
    assert [float(value) for *_, value in used] == [7892, 7508, 7892]
    assert [float(value) for *_, value in events["medyate/channels"]] == [14, 11, 16]
    assert [float(value) for *_, value in events["medyate/layers"]] == [2, 2, 2]
    assert [float(value) for *_, value in events["medyate/budget_bytes"]] == [8192] * 3
    assert [step for step, *_ in events["medyate_logs/val_loss"]] == [1, 2]
    ((step, plugin, text),) = events["medyate/report"]
    assert (step, plugin) == (2, "text")
    assert "Never above 8 KiB" in text.item().decode()


def test_tensorboard_pictures_decode(report, tmp_path):
    report.write_tensorboard(tmp_path)
    events = read_events(tmp_path)
    for picture in charts.draw(report):
        ((step, plugin, value),) = events[f"medyate/{picture.name}"]
        assert (step, plugin) == (2, "images")
        width, height, png = value
        with Image.open(io.BytesIO(png)) as image:
            assert image.size == (int(width), int(height)) == picture.size


def test_tensorboard_steps_rise_even_if_fit_was_called_twice(report, tmp_path):
    twice = dataclasses.replace(report, epochs=report.epochs[:2] * 2)
    twice.write_tensorboard(tmp_path)
    assert [step for step, *_ in read_events(tmp_path)["medyate/fill"]] == [0, 1, 2, 3]


def test_tensorboard_names_the_unit(tmp_path):
    random_report(2, unit="elements").write_tensorboard(tmp_path)
    tags = read_events(tmp_path)
    assert "medyate/used_elements" in tags
    assert "medyate/used_bytes" not in tags


# JSON


@pytest.mark.parametrize("unit", ["bytes", "elements"])
def test_json_round_trip(unit):
    original = random_report(4, names=("a<b", 'q"', "é", "head"), unit=unit)
    assert TrainingReport.from_json(original.to_json()) == original
    assert TrainingReport.from_json(original.to_json().encode()) == original


def test_json_is_strict_even_with_numbers_that_json_lacks(report):
    plan = report.epochs[0].plan
    odd = {"loss": math.nan, "val_loss": math.inf, "other": -math.inf}
    text = dataclasses.replace(report, epochs=(EpochRecord(0, plan, odd, 1.0),)).to_json()

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    json.loads(text, parse_constant=refuse)
    logs = TrainingReport.from_json(text).epochs[0].logs
    assert math.isnan(logs["loss"])
    assert (logs["val_loss"], logs["other"]) == (math.inf, -math.inf)


def test_json_takes_numpy_numbers_from_plans(report):
    record = report.epochs[0]
    channels = tuple(np.array([0, 2], dtype=np.int64))
    plan = dataclasses.replace(record.plan, layers=(LayerDraw("stem", channels),))
    numpy = dataclasses.replace(report, epochs=(dataclasses.replace(record, plan=plan),))
    again = TrainingReport.from_json(numpy.to_json())
    assert again == numpy
    assert type(again.epochs[0].plan.layers[0].channels[0]) is int


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("not json", "a readable JSON text"),
        ("[1]", "a JSON object; received list"),
        ('{"format": "tf_medyate.report", "version": 99}', "version 99"),
        ('{"format": "tf_medyate.report", "version": 2}', "TrainingReport with budget, cost"),
    ],
)
def test_other_json_is_refused_with_a_remedy(text, received):
    with pytest.raises(OptionError, match=re.escape(received)) as error:
        TrainingReport.from_json(text)
    assert "Read a file" in error.value.remedy
