"""The words of the training ops' variables and options: enums, and constants with a meaning.

The selection variable (int32) begins with `STATE_WORDS` words of state, see `StateWord`. Then every
trained layer owns a slot of `selection_words(capacity)` words, from the option `selection_offset`
on, which says which of its channels are drawn:

    word 0      number of drawn channels N, 0 to capacity
    word 1      where the layer's run begins in the pool, in elements
    word 2 ...  the drawn channels, rising, two to a word: the first in the low 16 bits

The run in the pool (float32) holds, one after the other,

    weights       [N][kernel position][output], in place of those that the layer's tensor has
    accumulators  the same, if the option `accumulates` is 1
    slots         the same, as often as the option `optimizer_slots` says: velocities of SGD with
                  momentum; the first moments of Adam, then the second
    stash         [N][input position]

A trained bias, its accumulator and its slots lie in the pool at the option `bias_offset`,
whatever is drawn. Weights and biases are live: the control op loads them from the constants at the
first run, at each draw and at DISCARD, and a commit sets the constants to what the pool holds. The
pool begins with what every draw trains, the runs of heads and the biases; after that lie the drawn
layers' runs, one after the other in execution order.

After the last slot, the selection of a graph with Adam has `CORRECTION_WORDS` words more (float32):
1 - beta_1^t and 1 - beta_2^t after t updates.

The importance variable (float32) holds the norm of the gradient of each channel that can be drawn,
layer after layer; a layer's part begins at the option `importance_offset`. With the rule DRAW_MEAN
it is the mean over the samples since the channel was drawn (MeDyate, 2510.20979, Algorithm 1), with
RUNNING_MEAN a running mean. UNSEEN stands for a channel that was never trained. A draw in which all
are unseen is uniform; one in which some are gives these the largest norm seen, first.
"""

import enum

from tf_medyate.select.sampling import SHARPNESSES, UNSEEN

__all__ = ["SHARPNESSES", "UNSEEN"]

REGISTER_FUNCTION = "RegisterMedyateOps"
"""The plug-in's function that hands all ops to TFLM's resolver."""

SELECTION_HEADER_WORDS = 2
MAX_CHANNELS = 65535
"""Channels are stored in 16 bits."""

NO_BIAS_RUN = -1
"""`bias_offset` of a layer whose bias stays as it is."""

NO_IMPORTANCE = -1
"""`importance_offset` of a layer whose channels are not drawn by importance."""

DRAWN_ANEW = -1
"""`LayoutWord.RUN_OFFSET` of a layer whose channels are drawn; a head's run never moves."""

CORRECTION_WORDS = 2
"""Words of the selection that Adam counts its updates in; 0 at the start and after DISCARD."""

NO_STEPS = -1
"""`StateWord.STEPS` where importance is a running mean."""


class Activation(enum.IntEnum):
    """Activation fused into a layer. All but NONE write a gate tensor, one bit an element."""

    NONE = 0
    RELU = 1
    RELU6 = 2
    LEAKY_RELU = 3


class Command(enum.IntEnum):
    """What one Invoke does. Training ops return early where they have nothing to do.

    PREDICT     logits alone
    STEP        one sample's gradient, with what was accumulated before, applied
    ACCUMULATE  one sample's gradient added to the accumulators
    APPLY       what was accumulated, applied: the end of a batch that came up short
    DRAW        the next draw: weights are loaded, accumulators and drawn layers' slots start over
    DISCARD     weights are loaded again, accumulators, slots and Adam's count start over
    EVALUATE    logits and the sample's loss; nothing is learned
    """

    PREDICT = 0
    STEP = 1
    ACCUMULATE = 2
    APPLY = 3
    DRAW = 4
    DISCARD = 5
    EVALUATE = 6


class StateWord(enum.IntEnum):
    """The first words of the selection variable. TFLM starts it as zeros."""

    INITIALIZED = 0  # 0 until the first Invoke has copied the prior and drawn
    DRAW = 1  # number of the draw in force
    ACCUMULATED = 2  # samples in the accumulators
    GRADIENT_SCALE = 3  # float: what the update multiplies gradients by
    STEPS = 4  # samples since the draw; NO_STEPS where importance is a running mean


STATE_WORDS = len(StateWord)


class LayoutWord(enum.IntEnum):
    """The columns of the control op's layout, one row for each trained layer, int32.

    Kept layers come first, in execution order, then heads.
    """

    CHANNELS = 0  # input channels
    CHANNEL_COST = 1  # of one channel, in the budget's unit
    WEIGHTS = 2  # weights of one channel
    STASH = 3  # input positions of one channel
    SELECTION_OFFSET = 4
    SELECTION_CAPACITY = 5
    RUN_OFFSET = 6  # of a head's run; DRAWN_ANEW
    BIAS_OFFSET = 7  # as the layer's option
    BIASES = 8  # elements of the bias if it is trained, or 0


class OptimizerWord(enum.IntEnum):
    """The update ops' constant `optimizer`, float32, the arithmetic of keras.optimizers.SGD."""

    MOMENTUM = 0
    NESTEROV = 1  # 0 or 1
    WEIGHT_DECAY = 2
    CLIP_VALUE = 3  # largest magnitude of an element of the gradient; 0: any


class AdamWord(enum.IntEnum):
    """The Adam ops' constant `optimizer`, float32, the arithmetic of keras.optimizers.Adam."""

    FIRST_RATE = 0  # 1 - beta_1
    SECOND_RATE = 1  # 1 - beta_2
    EPSILON = 2
    WEIGHT_DECAY = 3
    CLIP_VALUE = 4  # largest magnitude of an element of the gradient; 0: any


class ImportanceRule(enum.IntEnum):
    """How a channel's importance follows from the norms of its gradients."""

    RUNNING_MEAN = 0
    DRAW_MEAN = 1


class LossKind(enum.IntEnum):
    """The losses that SUM_OF_LOSSES knows."""

    SOFTMAX_CROSS_ENTROPY = 0
    SIGMOID_CROSS_ENTROPY = 1
    MEAN_SQUARED_ERROR = 2
    MEAN_ABSOLUTE_ERROR = 3
    HUBER = 4


class LossWord(enum.IntEnum):
    """The columns of the table of SUM_OF_LOSSES, one row for each output of the model, float32."""

    KIND = 0  # a LossKind
    OUTPUTS = 1  # numbers of the output
    WEIGHT = 2  # as the options of a loss of its own; so are the next two
    SMOOTHING = 3
    DELTA = 4


class Weighting(enum.IntEnum):
    """A channel's strength in the draw, as in tf_medyate/select/sampling.py."""

    NORM = 0  # its importance
    RGN = 1  # importance / cost (TraDy)
    UNIFORM = 2  # 1


class Sharpness(enum.IntEnum):
    """The power of the weights in the draw, by its number in `SHARPNESSES`."""

    HALF = 0
    ONE = 1
    TWO = 2
