"""Which layers of the zoo's nets are worth training: ranking files, measured once for a net.

As published, layers are scored in a short mock fine-tuning on another task, once for a net, and the
scores are used on any task. `python benchmarks/zoo_scores.py` made these files.

Example:
    >>> medyate = md.MeDyate("64KiB", ranking=scores_file("mcunet_in1_folded"))
"""

from __future__ import annotations

import pathlib

from tf_medyate.errors import OptionError

FOLDER = pathlib.Path(__file__).parent / "scores"


def scores_file(network: str, dataset: str = "") -> pathlib.Path:
    """Looks a ranking file up.

    Args:
        network: Name in `tf_medyate.zoo.registry`.
        dataset: What it was measured on; "" for the first there is.

    Returns:
        A file for `MeDyate(ranking=...)` and `rank_layers`.

    Raises:
        OptionError: There is none for this net and data set.
    """
    files = {tuple(path.stem.split("-")): path for path in sorted(FOLDER.glob("*.json"))}
    for (net, measured_on), path in files.items():
        if net == network and dataset in ("", measured_on):
            return path
    known = ", ".join(f"{net} on {measured_on}" for net, measured_on in files)
    received = f"{network} on {dataset or 'any data set'}"
    remedy = "Go without, or measure your own: medyate rank --epochs 4 --save ranking.json."
    raise OptionError("scores of the zoo", known, received, remedy)
