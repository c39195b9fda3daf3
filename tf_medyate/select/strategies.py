"""The strategies that can be chosen by name: MeDyate and its peers, built from the same parts.

Example:
    >>> md.MeDyate(budget="8KiB", strategy="trady")
    >>> md.MeDyate("8KiB", md.strategy("medyate", sharpness=2))    # one part changed
"""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from typing import Any

from tf_medyate.errors import OptionError
from tf_medyate.select.sampling import SHARPNESSES
from tf_medyate.spec import LAST, MEAN, REFRESHES, RUNNING

RANKINGS = ("lara", "rgn", "lara-squared", "fisher", "last_k")
WHOLE_NET = "none"
ALPHA, FIXED = "alpha", "fixed"

CHANNELS, HEAD, ALL = "channels", "head", "all"
TRAINS = (CHANNELS, HEAD, ALL)

OBSERVED, EQUAL, CALIBRATED = "observed", "equal", "calibrated"
ORACLE, VELOCITY, WEIGHTS = "oracle", "velocity", "weights"
IMPORTANCES = (OBSERVED, EQUAL, CALIBRATED, ORACLE, VELOCITY, WEIGHTS)

RANDOM, STRONGEST, SCHEME = "random", "strongest", "scheme"
SAMPLINGS = (RANDOM, STRONGEST, SCHEME)

NORM, RGN = "norm", "rgn"
WEIGHTINGS = (NORM, RGN)

AUTO = "auto"
EPOCH, NEVER = "epoch", "never"


@dataclasses.dataclass(frozen=True)
class Strategy:
    """What is trained: which layers, which of their channels, and when these are drawn again.

    What is left out is as in MeDyate (arXiv 2510.20979).

    Attributes:
        name: Name of the preset it started from.
        trains: "channels" of the kept layers, within a budget, and the head; "head" alone; "all".
        ranking: Which layers may be drawn from: one of RANKINGS, or "none" for the whole net.
        top_k: How many of them: "alpha", "fixed", covered share of the score (float up to 1) or
            number (int); see `tf_medyate.rank_layers`.
        alpha: With "alpha": largest share of the kept layers' channels that one draw may hold.
        importance: What a channel's strength comes from: "observed" (MeDyate's Algorithm 1: the
            norms that were seen in training, and no full gradient ever: the first draw is
            uniform, at the second the largest norm stands for all that were not seen), "equal"
            (all are alike), "calibrated" (a full gradient before the first draw, then what
            was seen in training), "oracle" (a full gradient before each draw), "velocity" (how
            fast the outputs of a neuron change; what is drawn are output neurons then, for
            comparison only) or "weights" (the norm of its weights).
        refresh: How norms seen in training become one: "mean" over the steps since the draw, the
            "last" step's, or a "running" mean over draws; see `sampling`, step 9.
        sampling: How channels are chosen by it: "random" (a weighted draw), "strongest" first, or
            by Sparse Update's published "scheme" for the papers' nets, with "weights".
        weighting: A channel's strength: "norm" (||dW_c||) or "rgn" (||dW_c|| / C_c).
        sharpness: Power of the strength in a random draw, 0.5, 1 or 2; above 1 favours the strong.
            "auto" takes one of them by `sampling.fitting_sharpness`, once, after calibration.
        core: Share of the memory, 0 to 1, that goes to the strongest channels without a draw.
        resample_every: When: "epoch", a number of epochs, or "never".
        train_bias: Biases of the kept layers are trained, and counted.
        summary: One line for help texts and tables.

    Raises:
        OptionError: A part has a value outside its range.
    """

    name: str
    trains: str = CHANNELS
    ranking: str = "lara"
    top_k: float | int | str = ALPHA
    alpha: float = 0.2
    importance: str = OBSERVED
    refresh: str = MEAN
    sampling: str = RANDOM
    weighting: str = NORM
    sharpness: float | str = 1
    core: float = 0.0
    resample_every: str | int = EPOCH
    train_bias: bool = False
    summary: str = ""

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise OptionError("name", "a name", repr(self.name), 'Write, for example, "mine".')
        _one_of("trains", self.trains, TRAINS)
        _one_of("ranking", self.ranking, (*RANKINGS, WHOLE_NET))
        check_top_k(self.top_k)
        check_alpha(self.alpha)
        _one_of("importance", self.importance, IMPORTANCES)
        _one_of("refresh", self.refresh, REFRESHES)
        _one_of("sampling", self.sampling, SAMPLINGS)
        _one_of("weighting", self.weighting, WEIGHTINGS)
        if (self.sampling == SCHEME) != (self.importance == WEIGHTS):
            expected = f'"{SCHEME}" together with importance="{WEIGHTS}"'
            received = f"{self.sampling!r} with importance={self.importance!r}"
            raise OptionError("sampling", expected, received, 'Start from the preset "su".')
        _check_sharpness(self.sharpness, self.importance)
        if not _is_number(self.core) or not 0 <= self.core <= 1:
            remedy = "Use 0.5 for half of the memory."
            raise OptionError("core", "a share from 0 to 1", repr(self.core), remedy)
        if not isinstance(self.train_bias, bool):
            remedy = "Choose one of these."
            raise OptionError("train_bias", "True | False", repr(self.train_bias), remedy)
        every = self.resample_every
        if every not in (EPOCH, NEVER) and not (_is_whole(every) and int(every) >= 1):
            raise OptionError(
                "resample_every",
                f'"{EPOCH}", "{NEVER}" or a positive whole number of epochs',
                repr(every),
                "Use 1 or more; a draw that lasts longer wears the flash less.",
            )

    @property
    def needs_budget(self) -> bool:
        """What is trained depends on how much memory there is."""
        return self.trains == CHANNELS

    @property
    def trains_all(self) -> bool:
        """Ordinary fine-tuning of everything."""
        return self.trains == ALL

    @property
    def draws_once(self) -> bool:
        """What is trained never changes."""
        return self.trains != CHANNELS or self.resample_every == NEVER or self.sampling == SCHEME

    @property
    def epochs_per_draw(self) -> int:
        """Epochs that a draw lasts, 0 for ever: what an exported folder and a board are told."""
        if self.draws_once:
            return 0
        return 1 if self.resample_every == EPOCH else int(self.resample_every)

    @property
    def by_importance(self) -> bool:
        """Channels differ in strength."""
        return self.trains == CHANNELS and self.importance != EQUAL

    @property
    def takes_strongest(self) -> bool:
        """Nothing is left to chance."""
        return self.sampling == STRONGEST

    @property
    def takes_scheme(self) -> bool:
        """What is trained was published for this net and budget."""
        return self.trains == CHANNELS and self.sampling == SCHEME

    @property
    def draws_neurons(self) -> bool:
        """Output neurons are drawn in the place of input channels."""
        return self.trains == CHANNELS and self.importance == VELOCITY

    @property
    def ranks_by_gradients(self) -> bool:
        """Layers are chosen by measured gradients."""
        return self.trains == CHANNELS and self.ranking not in ("last_k", WHOLE_NET)

    @property
    def draws_by_gradients(self) -> bool:
        """Full gradients are needed before the first draw, whatever is known of the layers."""
        return self.by_importance and self.importance in (CALIBRATED, ORACLE)

    @property
    def needs_gradients(self) -> bool:
        """Full gradients are needed before the first draw, unless a ranking is given."""
        return self.ranks_by_gradients or self.draws_by_gradients

    @property
    def needs_samples(self) -> bool:
        """Samples are needed for something else than gradients."""
        return self.draws_neurons

    @property
    def runs_on_device(self) -> bool:
        """A device can run it: it never needs a full gradient nor stored activations."""
        known = self.importance in (OBSERVED, EQUAL, CALIBRATED) and self.refresh != LAST
        return self.trains != CHANNELS or known

    @property
    def drawn_by(self) -> str:
        """What the odds of a channel follow, in words; empty where nothing is left to chance."""
        if self.trains != CHANNELS or self.sampling != RANDOM:
            return ""
        if self.importance == EQUAL:
            return "with equal odds"
        strength = {NORM: "gradient norm", RGN: "(gradient norm / cost)"}[self.weighting]
        power = "" if self.sharpness == 1 else f"^{self.sharpness}"
        first = ", at first with equal odds" if self.importance == OBSERVED else ""
        return f"in proportion to {strength}{power}{first}"

    def draw_number(self, epoch: int) -> int:
        """The number of the draw that is in force in an epoch counted from 0."""
        return epoch // self.epochs_per_draw if self.epochs_per_draw else 0


def check_top_k(top_k: Any):
    """Raises OptionError unless it is a share of the score or a number of layers."""
    whole = _is_whole(top_k) and top_k >= 1
    share = isinstance(top_k, float) and 0 < top_k <= 1
    if not whole and not share and top_k not in (ALPHA, FIXED):
        raise OptionError(
            "top_k",
            f'"{ALPHA}", "{FIXED}", a share above 0 and up to 1.0, or a positive whole number of '
            "layers",
            repr(top_k),
            "Use 0.97 to cover 97 % of the score, or 8 to keep eight layers.",
        )


def check_alpha(alpha: Any):
    """Raises OptionError unless it is a share."""
    if not _is_number(alpha) or not 0 < alpha <= 1:
        remedy = "The published value is 0.2."
        raise OptionError("alpha", "a share above 0 and up to 1", repr(alpha), remedy)


def _check_sharpness(sharpness: Any, importance: str):
    if isinstance(sharpness, bool) or sharpness not in (*SHARPNESSES, AUTO):
        allowed = f'{", ".join(map(str, SHARPNESSES))} or "{AUTO}"'
        raise OptionError("sharpness", allowed, repr(sharpness), "Choose one of these.")
    if sharpness == AUTO and importance not in (CALIBRATED, ORACLE):
        raise OptionError(
            "sharpness",
            f'a number where importance="{importance}"',
            f'"{AUTO}", which is found by calibration',
            f'Choose a number, or importance="{CALIBRATED}".',
        )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _one_of(argument: str, value: Any, allowed: tuple[str, ...]):
    if value not in allowed:
        close = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "Choose one of these."
        raise OptionError(argument, " | ".join(allowed), repr(value), hint)


# The rivals differ in layers and channels alone. One rule for the biases of all: the head's is
# trained, the kept layers' are not (the papers' nets have none; their BatchNorm, which they train
# in every strategy, is folded here). `full` trains everything.
_PUBLISHED = (
    Strategy("medyate", summary="MeDyate (2510.20979): LaRa layers, draws by the norms seen"),
    Strategy(
        "prev-medyate",
        ranking="rgn",
        top_k=FIXED,
        summary="MeDyate's draws in TraDy's layers",
    ),
    Strategy(
        "trady",
        ranking="rgn",
        top_k=FIXED,
        importance=EQUAL,
        summary="TraDy (2510.19675): layers of 97 % of its score, a uniform draw every epoch",
    ),
    Strategy("lara-trady", importance=EQUAL, summary="TraDy's draws in MeDyate's layers"),
    Strategy(
        "lara-det-raw",
        importance=ORACLE,
        sampling=STRONGEST,
        summary="oracle: LaRa layers, largest norms of a full gradient before every epoch",
    ),
    Strategy(
        "lara-prob-raw",
        importance=ORACLE,
        summary="oracle: LaRa layers, draw by the norms of a full gradient before every epoch",
    ),
    Strategy(
        "s-full-random",
        ranking=WHOLE_NET,
        importance=EQUAL,
        resample_every=NEVER,
        summary="one uniform draw from the whole net, kept",
    ),
    Strategy(
        "d-full-random",
        ranking=WHOLE_NET,
        importance=EQUAL,
        summary="a uniform draw from the whole net every epoch",
    ),
    Strategy(
        "s-det-rgn",
        ranking=WHOLE_NET,
        importance=CALIBRATED,
        sampling=STRONGEST,
        weighting=RGN,
        resample_every=NEVER,
        summary="whole net, largest RGN of a full gradient at the start, kept",
    ),
    Strategy(
        "d-det-rgn",
        ranking=WHOLE_NET,
        importance=ORACLE,
        sampling=STRONGEST,
        weighting=RGN,
        summary="oracle: whole net, largest RGN of a full gradient before every epoch",
    ),
    Strategy(
        "s-topk-random",
        ranking="rgn",
        top_k=FIXED,
        importance=EQUAL,
        resample_every=NEVER,
        summary="one uniform draw in TraDy's layers, kept",
    ),
    Strategy(
        "velocity",
        ranking=WHOLE_NET,
        importance=VELOCITY,
        sampling=STRONGEST,
        weighting=RGN,
        summary="Velocity (2312.05282): output neurons that still change, from the whole net",
    ),
    Strategy(
        "su",
        ranking=WHOLE_NET,
        importance=WEIGHTS,
        sampling=SCHEME,
        resample_every=NEVER,
        summary="Sparse Update (2206.15472): its published schemes, on the papers' nets alone",
    ),
    Strategy("head", trains=HEAD, summary="only the last weighted layer"),
    Strategy("full", trains=ALL, train_bias=True, summary="everything, without a budget"),
)
_OURS = (
    Strategy(
        "medyate-calibrated",
        # In a small budget the probability of a channel follows ||dW||^2, the decrease of the loss
        # that it offers to first order: what lara-squared scores layers by. In a larger one that
        # would leave nothing to chance. See docs/results.md for what else was tried.
        ranking="lara-squared",
        top_k=0.97,
        importance=CALIBRATED,
        refresh=RUNNING,
        sharpness=AUTO,
        train_bias=True,
        summary="ours: calibrated start, draw as sharp as the budget allows, biases, too",
    ),
    Strategy(
        "greedy",
        ranking="lara-squared",
        top_k=0.97,
        importance=CALIBRATED,
        refresh=RUNNING,
        sampling=STRONGEST,
        weighting=RGN,
        train_bias=True,
        summary="ours: calibrated start, strongest first",
    ),
    Strategy(
        "su-like",
        ranking="rgn",
        top_k=0.97,
        importance=CALIBRATED,
        sampling=STRONGEST,
        weighting=RGN,
        resample_every=NEVER,
        summary="in the manner of Sparse Update (2206.15472): the best set by calibration, kept",
    ),
    Strategy(
        "tinytrain",
        ranking="fisher",
        top_k=0.97,
        importance=CALIBRATED,
        sampling=STRONGEST,
        weighting=RGN,
        resample_every=NEVER,
        summary="after TinyTrain (2307.09988): Fisher layers, a fixed choice per task",
    ),
)
PRESETS: dict[str, Strategy] = {strategy.name: strategy for strategy in (*_PUBLISHED, *_OURS)}
DEFAULT = "medyate"
_RENAMED = {"medyate-paper": "medyate"}


def strategy(base: str | Strategy = DEFAULT, **changes) -> Strategy:
    """Returns a preset, or another strategy, with some of its parts replaced.

    Args:
        base: One of PRESETS, or a Strategy.
        **changes: Attributes of Strategy; None leaves the preset's.

    Raises:
        OptionError: Unknown preset, part or value.
    """
    if not isinstance(base, Strategy):
        base = _RENAMED.get(base, base)
        _one_of("strategy", base, tuple(PRESETS))
        base = PRESETS[base]
    parts = tuple(field.name for field in dataclasses.fields(Strategy))
    for part in changes:
        _one_of("part of a strategy", part, parts)
    given = {part: value for part, value in changes.items() if value is not None}
    return dataclasses.replace(base, **given) if given else base


# --- keyword arguments of `MeDyate` that went into Strategy

_OLD_SAMPLINGS = {
    "medyate": {"importance": CALIBRATED, "sampling": RANDOM},
    "uniform": {"importance": EQUAL, "sampling": RANDOM},
    "static": {"sampling": RANDOM, "resample_every": NEVER},
    "greedy": {"importance": CALIBRATED, "sampling": STRONGEST},
    "oracle": {"importance": ORACLE, "sampling": STRONGEST},
    "velocity": {"importance": VELOCITY, "sampling": STRONGEST},
    "head": {"trains": HEAD},
    "full": {"trains": ALL},
}


def with_old_arguments(base: str | Strategy, given: dict[str, Any]) -> Strategy:
    """The strategy that `MeDyate(base, **given)` meant before it took a Strategy.

    Warns of what is deprecated; for one version.

    Raises:
        TypeError: There was never such an argument.
        OptionError: A value is outside its range.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return strategy(base)
    parts: dict[str, Any] = {}
    for name, value in given.items():
        if name == "sampling" and value in _OLD_SAMPLINGS:
            parts |= _OLD_SAMPLINGS[value]
        elif name == "weighting" and value == "uniform":
            parts["importance"] = EQUAL
        else:
            parts[name] = value
    known = {field.name for field in dataclasses.fields(Strategy)} - {"name", "summary", "trains"}
    if unknown := set(given) - known:
        raise TypeError(f"MeDyate() got an unexpected keyword argument {min(unknown)!r}")
    text = ", ".join(f"{name}={value!r}" for name, value in parts.items())
    name = base.name if isinstance(base, Strategy) else base
    call = f'strategy=tf_medyate.strategy("{name}", {text})'
    message = f"MeDyate({', '.join(given)}): deprecated; pass {call}"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return strategy(base, **parts)
