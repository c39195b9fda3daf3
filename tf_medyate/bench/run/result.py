"""What a run of the bench leaves behind.

Example:
    >>> result = Result.from_json(results[0].to_json())
    >>> print(f"{result.run}: {result.accuracy_after:.1%}")
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from tf_medyate.bench.plan.grid import FORMAT, Run
from tf_medyate.json_values import build, read_object, require


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of one run. Memory is the largest of all epochs, sparsities are means over them.

    Attributes:
        run: What was run.
        accuracy_before: Of the net with its first head, on the test samples, 0 to 1.
        accuracy_after: After the last epoch, on the same; tested only then.
        diverged: The loss became infinite or NaN: training ended there, and the accuracy is that of
            the weights before that epoch, which MeDyate puts back.
        curve: By log ("loss", "accuracy": Keras's, of the training samples), one value an epoch.
        budget_bytes: What the update might occupy. Of a budget in elements, 4 bytes for each, and
            what it leaves out: head and biases.
        budget_elements: The same in elements. Of a budget in bytes, a quarter.
        used_bytes: What it did occupy: head, biases, drawn weights and their activations.
        used_elements: The same as the papers count; they leave out the head.
        full_bytes: What full fine-tuning occupies.
        full_elements: The same in elements.
        trained_weights: Largest number of weights with a gradient: Velocity's count; without head.
        weight_sparsity: Share of the weights that get no gradient; without the head, like the next.
        activation_sparsity: Share of the layers' input activations that need not be stored.
        gradient_flops_saved: Share of the weight gradient's multiply-accumulates left out.
        train_samples: Samples trained on.
        test_samples: Samples tested on.
        layer_scores: The ranking's score of each layer, () if nothing was ranked.
        seconds: Wall time of the whole run.
        seconds_training: Of it, in `fit`, calibration and tracing included.
        seconds_processor: Processor time of the whole run, all threads: the same on a busy machine.
        versions: Of the packages that have a say, and of Python.
    """

    run: Run
    accuracy_before: float
    accuracy_after: float
    diverged: bool
    curve: Mapping[str, tuple[float, ...]]
    budget_bytes: int
    budget_elements: int
    used_bytes: int
    used_elements: int
    full_bytes: int
    full_elements: int
    trained_weights: int
    weight_sparsity: float
    activation_sparsity: float
    gradient_flops_saved: float
    train_samples: int
    test_samples: int
    layer_scores: Mapping[str, float]
    seconds: float
    seconds_training: float
    seconds_processor: float
    versions: Mapping[str, str]

    @property
    def gain(self) -> float:
        """What fine-tuning added to the accuracy."""
        return self.accuracy_after - self.accuracy_before

    def to_json(self) -> str:
        """As JSON text, readable by people too."""
        values = dataclasses.asdict(self) | {"key": self.run.key, "run": self.run.to_dict()}
        return json.dumps(values, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: The text is no such JSON, of another version, or does not agree with itself.
        """
        values = read_object(text)
        key, run = values.pop("key", None), values.get("run")
        if isinstance(run, dict):
            require(run, format=FORMAT)
        result = build(cls, values)
        if key != result.run.key:
            raise ValueError(f"key {key} does not belong to the run, whose key is {result.run.key}")
        accuracies = (result.accuracy_before, result.accuracy_after)
        if not all(0 <= a <= 1 for a in accuracies):
            raise ValueError(f"accuracies {accuracies} are not shares from 0 to 1")
        return result
