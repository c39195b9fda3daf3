"""The strategies that can be chosen by name: MeDyate and its peers, built from the same parts.

Example:
    >>> md.MeDyate(budget="8KiB", strategy="trady")
    >>> md.MeDyate(budget="8KiB", sharpness=4)           # the default, one part changed
"""

from __future__ import annotations

import dataclasses
import difflib

from tf_medyate.errors import OptionError
from tf_medyate.select.sampling import SHARPNESSES

RANKINGS = ("lara", "rgn", "fisher", "last_k")
AUTO = "auto"
NEVER = "never"
EPOCH = "epoch"
SAMPLINGS = ("medyate", "uniform", "static", "greedy", "oracle", "velocity", "head", "full")
WHOLE_NET = "none"
MAX_STEP_SCALE = 4.0


@dataclasses.dataclass(frozen=True)
class Strategy:
    """What is trained, when it is drawn anew, and by which importance.

    Attributes:
        name: Name of the preset it started from.
        ranking: One of RANKINGS, or "none" to draw from the whole net.
        top_k: Covered share (float up to 1) or number of layers (int) that are kept.
        sampling: "medyate" (weighted draw), "uniform" (unweighted draw), "static" (one weighted
            draw, kept), "greedy" (strongest first, importance refreshed only by what was
            trained), "oracle" (greedy on a full gradient measured before each draw), "velocity"
            (greedy on how fast activations change), "head" (nothing else), "full" (all).
        weighting: "norm" (||dW_c||), "rgn" (||dW_c|| / C_c) or "uniform".
        sharpness: Power of the weight, 0.5, 1, 2, 3, 4 or 8; above 1 favours the strong. "auto"
            takes 0.5, 1 or 2 by `sampling.fitting_sharpness`, once, after calibration.
        core: Share of the memory that goes to the strongest channels without a draw.
        step: "plain", or "matched": gradients of drawn channels are multiplied by
            sqrt(sum of all kept channels' importance^2 / sum of the drawn ones'), at most
            `MAX_STEP_SCALE`, so that an update is as long as that of all kept channels.
        resample_every: "epoch", a number of epochs, or "never".
        train_bias: Biases of the kept layers are trained, and counted.
        on_device: A device could run it: it never needs a full gradient nor stored activations.
        summary: One line for help texts and tables.
    """

    name: str
    ranking: str = "lara"
    top_k: float | int = 0.97
    sampling: str = "medyate"
    weighting: str = "norm"
    sharpness: float | str = 1
    core: float = 0.0
    step: str = "plain"
    resample_every: str | int = EPOCH
    train_bias: bool = True
    on_device: bool = True
    summary: str = ""

    def __post_init__(self):
        _one_of("ranking", self.ranking, (*RANKINGS, WHOLE_NET))
        _one_of("sampling", self.sampling, SAMPLINGS)
        _one_of("weighting", self.weighting, ("norm", "rgn", "uniform"))
        _one_of("step", self.step, ("plain", "matched"))
        if self.sharpness not in (*SHARPNESSES, AUTO) or isinstance(self.sharpness, bool):
            allowed = f'{", ".join(map(str, SHARPNESSES))} or "{AUTO}"'
            raise OptionError("sharpness", allowed, repr(self.sharpness), "Choose one of these.")
        every = self.resample_every
        whole = isinstance(every, int) and not isinstance(every, bool) and every >= 1
        if every not in (EPOCH, NEVER) and not whole:
            raise OptionError(
                "resample_every",
                f'"{EPOCH}", "{NEVER}" or a positive whole number of epochs',
                repr(every),
                "Use 1 or more; a draw that lasts longer wears the flash less.",
            )

    @property
    def needs_gradients(self) -> bool:
        """Calibration gradients are needed before the first draw."""
        if self.sampling in ("head", "full"):
            return False
        ranked = self.ranking not in ("last_k", WHOLE_NET)
        return ranked or self.sampling not in ("uniform", "velocity")

    @property
    def drawn_by(self) -> str:
        """What the odds of a channel follow, in words; empty where nothing is left to chance."""
        if self.sampling not in ("medyate", "static", "uniform"):
            return ""
        if "uniform" in (self.sampling, self.weighting):
            return "with equal odds"
        strength = {"norm": "gradient norm", "rgn": "(gradient norm / cost)"}[self.weighting]
        power = "" if self.sharpness == 1 else f"^{self.sharpness}"
        return f"in proportion to {strength}{power}"

    def draw_number(self, epoch: int) -> int:
        """The number of the draw that is in force in an epoch counted from 0."""
        if self.resample_every == NEVER or self.sampling in ("static", "head", "full"):
            return 0
        return epoch // (1 if self.resample_every == EPOCH else int(self.resample_every))


def _one_of(argument: str, value, allowed: tuple[str, ...]):
    if value not in allowed:
        close = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "Choose one of these."
        raise OptionError(argument, " | ".join(allowed), repr(value), hint)


_PRESETS = (
    Strategy(
        "medyate",
        # In a small budget the probability of a channel follows ||dW||^2, the decrease of the loss
        # that it offers to first order: what LaRa scores layers by. In a larger one that would
        # leave nothing to chance. See docs/results.md for what else was tried.
        sharpness=AUTO,
        summary="the default: LaRa layers, draw as sharp as the budget allows, biases, too",
    ),
    Strategy(
        "medyate-paper",
        train_bias=False,
        summary="the published setting: LaRa layers, draw by gradient norm, no biases",
    ),
    Strategy(
        "trady",
        ranking="rgn",
        sampling="uniform",
        train_bias=False,
        summary="TraDy (2510.19675): RGN layers, uniform draw",
    ),
    Strategy(
        "su",
        ranking="rgn",
        sampling="greedy",
        weighting="rgn",
        resample_every=NEVER,
        summary="Sparse Update (2206.15472): the best set by calibration, kept",
    ),
    Strategy(
        "velocity",
        ranking=WHOLE_NET,
        sampling="velocity",
        train_bias=False,
        on_device=False,
        summary="Velocity (2312.05282): channels whose activations still change, whole net",
    ),
    Strategy(
        "tinytrain",
        ranking="fisher",
        sampling="greedy",
        weighting="rgn",
        resample_every=NEVER,
        summary="TinyTrain (2307.09988): Fisher layers, a fixed choice per task",
    ),
    Strategy(
        "d-full-random",
        ranking=WHOLE_NET,
        sampling="uniform",
        train_bias=False,
        summary="uniform draw over the whole net, every epoch",
    ),
    Strategy(
        "s-topk-random",
        ranking="rgn",
        sampling="static",
        weighting="uniform",
        train_bias=False,
        summary="one uniform draw in the RGN layers, kept",
    ),
    Strategy(
        "d-det-rgn",
        ranking=WHOLE_NET,
        sampling="oracle",
        weighting="rgn",
        train_bias=False,
        on_device=False,
        summary="oracle: best RGN by a full gradient before every epoch",
    ),
    Strategy("greedy", sampling="greedy", weighting="rgn", summary="LaRa layers, strongest first"),
    Strategy("head", sampling="head", train_bias=False, summary="only the last weighted layer"),
    Strategy("full", sampling="full", on_device=False, summary="everything, without a budget"),
)
PRESETS: dict[str, Strategy] = {strategy.name: strategy for strategy in _PRESETS}


def strategy(name: str = "medyate", **changes) -> Strategy:
    """Returns a preset, with some of its parts replaced.

    Args:
        name: One of PRESETS.
        **changes: Attributes of Strategy; None leaves the preset's.

    Raises:
        OptionError: Unknown preset or value.
    """
    _one_of("strategy", name, tuple(PRESETS))
    given = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(PRESETS[name], **given)
