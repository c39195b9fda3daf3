"""Which cases are run: parts of suites, other recipes, and nets and data that a newcomer added."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tf_medyate import cli
from tf_medyate.bench.plan.budgets import Budget
from tf_medyate.bench.plan.choice import changed, choose
from tf_medyate.bench.plan.grid import grid
from tf_medyate.bench.plan.suites import FIRST, OWN, PEERS, SUITES, get_suite
from tf_medyate.errors import BudgetError, OptionError

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "extending.md"
SMALL = "epochs=1,pretrain_epochs=1,calibration=32,renormalize=32,most_train=32,most_test=32"


def test_a_part_of_a_suite():
    assert choose("tiny") == get_suite("tiny")
    part = choose("tiny", ["resnet8", "ds_cnn"], ["watch", "digits"])
    pairs = [(case.network, case.dataset) for case in part.cases]
    assert pairs == [("resnet8", "digits"), ("ds_cnn", "watch")]
    assert set(part.cases) < set(get_suite("tiny").cases)


def test_any_registered_net_on_any_registered_data():
    suite = choose(OWN, ["ds_cnn", "mobilenet_v2_035_keras"], ["basic_motions", "watch"])
    pairs = [(case.network, case.dataset) for case in suite.cases]
    assert len(set(pairs)) == len(pairs) == 4
    by_net = {case.network: case.recipe for case in suite.cases}
    # A net with weights starts from them, a net without learns something first.
    assert by_net["ds_cnn"].published
    assert by_net["ds_cnn"].pretrain_epochs == 0
    assert {case.folds for case in suite.cases} == {(0, 1, 2, 3, 4)}
    assert "seglearn==1.2.5" in str(suite)
    assert OWN not in SUITES  # which all can be run as they are


@pytest.mark.parametrize(
    ("networks", "datasets", "words"),
    [
        ([], ["watch"], ["--networks", "ds_cnn", "docs/extending.md"]),
        (["ds_cnn"], [], ["--datasets", "watch"]),
        (["lenet"], ["watch"], ["lenet", "ds_cnn"]),
        (["ds_cnn"], ["imagenet"], ["imagenet", "watch"]),
    ],
)
def test_what_is_not_registered_is_explained(networks, datasets, words):
    with pytest.raises(OptionError) as caught:
        choose(OWN, networks, datasets)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_suite_sends_on_to_what_takes_any_name():
    for networks, datasets in ((["lenet5"], []), ([], ["rings"]), (["resnet8"], ["watch"])):
        with pytest.raises(OptionError, match="--suite own"):
            choose("tiny", networks, datasets)


def test_recipe_and_budgets_of_every_case_are_changed_and_nothing_else():
    before = get_suite("tiny")
    after = changed(before, "epochs=3,learning_rate=0.5,augment=flip,published=False", "10%, 8KiB")
    for old, new in zip(before.cases, after.cases, strict=True):
        assert (new.network, new.dataset, new.folds) == (old.network, old.dataset, old.folds)
        assert new.budgets == (Budget.share(0.1), Budget("8KiB", 8192, "bytes"))
        recipe = new.recipe
        assert (recipe.epochs, recipe.learning_rate) == (3, 0.5)
        assert (recipe.augment, recipe.published) == ("flip", False)
        assert (recipe.batch, recipe.pixels) == (old.recipe.batch, old.recipe.pixels)
    assert changed(before) == before
    assert [case.folds for case in changed(before, folds=1).cases] == [
        case.folds[:1] for case in before.cases
    ]
    with pytest.raises(OptionError, match="--folds"):
        changed(before, folds=-1)


@pytest.mark.parametrize(
    ("recipe", "budgets", "words"),
    [
        ("epoch=3", "", ["--recipe", "epochs", "'epoch'"]),
        ("epochs=3.5", "", ["epochs", "whole number", "3.5"]),
        ("epochs=many", "", ["epochs", "whole number", "many"]),
        ("learning_rate=fast", "", ["learning_rate", "fast"]),
        ("learning_rate=0", "", ["learning_rate", "more than 0"]),
        ("published=no", "", ["published", "True or False", "no"]),
        ("augment=zoom", "", ["augment", "flip", "zoom"]),
        ("", "x%", ["budget", "5%", "x%"]),
        ("", "0%", ["budget", "positive"]),
        ("", "nan%", ["budget", "positive"]),
        ("", "8 apples", ["budget", "KiB", "apples"]),
    ],
)
def test_wrong_recipes_and_budgets_are_explained(recipe, budgets, words):
    with pytest.raises((OptionError, BudgetError)) as caught:
        changed(get_suite("smoke"), recipe, budgets)
    assert all(word in str(caught.value) for word in words), caught.value


def test_list_shows_what_was_changed(capsys):
    words = ["bench", "--suite", "smoke", "--recipe", "epochs=7", "--budgets", "33%", "--list"]
    assert cli.main(cli.parse(words)) == 0
    printed = capsys.readouterr().out
    assert printed.count("7 epochs") == 2
    assert printed.count("33% of full") == 2


def documented():
    """The plugin files and the first command of the document."""
    network, _, dataset, *_ = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    line = re.search(r"^    medyate (bench --suite own .*)$", DOCUMENT.read_text(), re.MULTILINE)
    assert line
    return network, dataset, line[1].split()


def test_a_newcomer_follows_the_document_and_gets_a_report(tmp_path):
    network, dataset, words = documented()
    (tmp_path / "my_lab.py").write_text(f"{network}\n{dataset}")
    environment = {**os.environ, "MEDYATE_PLUGINS": str(tmp_path / "my_lab.py")}
    # The same line, on less: the last of two flags counts.
    less = (
        f"--datasets rings --folds 2 --strategies medyate --budgets 10% --seeds 1 --recipe {SMALL}"
    )
    words += less.split()
    line = [sys.executable, "-m", "tf_medyate.cli", *words, "--runner", "local"]
    done = subprocess.run(
        line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "runs" / "mine" / "report.md").read_text()
    assert "lenet5 on rings" in report
    assert len(list((tmp_path / "runs" / "mine" / "results").iterdir())) == 2  # one for each fold


def test_published_schemes_are_run_where_they_were_published():
    suite = get_suite("imagenet")
    runs = grid(suite, suite.strategies, seeds=[0])
    with_schemes = {run.network for run in runs if run.strategy == "su"}
    assert with_schemes == {"mobilenet_v2_035_folded", "mcunet_in1_folded"}
    assert {run.network for run in runs if run.strategy == "su-like"} > with_schemes
    with pytest.raises(OptionError, match=r"'su'.*none in this suite.*su-like"):
        grid(get_suite("tiny"), ["medyate", "su"], seeds=[0])
    part = choose("imagenet", ["ds_cnn"])  # which leaves its own list without them
    assert {run.strategy for run in grid(part, part.strategies, seeds=[0])} == {*PEERS}


def test_what_claims_need_comes_first_in_a_grid():
    for name in ("paper", "imagenet", "tiny"):
        strategies = get_suite(name).strategies
        firsts = [one for one in FIRST if one in strategies]
        assert list(strategies[: len(firsts)]) == firsts
