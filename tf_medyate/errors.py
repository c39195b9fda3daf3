"""Errors that say which argument was wrong, what was expected, what came, and what to do.

Example:
    >>> import tf_medyate as md
    >>> md.MemoryBudget.parse("64 parsecs")
    Traceback (most recent call last):
    ...
    tf_medyate.errors.BudgetError: budget: expected a number ...; received '64 parsecs'. Write, ...
"""


class MedyateError(Exception):
    """Base of every error raised on purpose by this package.

    Attributes:
        argument: Name of the argument, layer or file that is wrong.
        expected: What would have been accepted.
        received: What was given.
        remedy: What to do about it, as a full sentence.
    """

    def __init__(self, argument: str, expected: str, received: str, remedy: str):
        super().__init__(argument, expected, received, remedy)
        self.argument = argument
        self.expected = expected
        self.received = received
        self.remedy = remedy

    def __reduce__(self):
        # Errors travel between processes; OSError keeps only two of the four.
        told = (self.argument, self.expected, self.received, self.remedy)
        return type(self), told, vars(self)  # what a subclass knows besides

    def __str__(self) -> str:
        return f"{self.argument}: expected {self.expected}; received {self.received}. {self.remedy}"


class OptionError(MedyateError, ValueError):
    """An option has a value outside its range."""


class BudgetError(MedyateError, ValueError):
    """A memory budget that cannot be read: unknown unit, zero or negative."""


class BudgetTooSmallError(BudgetError):
    """A memory budget below what is always trained plus the cheapest channel."""


class UnsupportedLayerError(MedyateError, ValueError):
    """A layer, or an option of a layer, that this package cannot fine-tune."""


class FoldingError(MedyateError, ArithmeticError):
    """A prepared model that would not answer as the model that it is made of."""


class UnbuiltModelError(MedyateError, ValueError):
    """A model without weights yet, because its input shape is unknown."""


class NotPreparedError(MedyateError, ValueError):
    """A plain Keras model where one that came from `prepare` is needed, or the reverse."""


class UnknownLayerError(MedyateError, KeyError):
    """A layer name that the model does not have."""

    __str__ = MedyateError.__str__  # KeyError would print the repr of its arguments


class DataError(MedyateError, ValueError):
    """Training or calibration data that cannot be used."""


class EmptyDataError(DataError):
    """Data without a single sample."""


class NonFiniteDataError(DataError):
    """Data that holds NaN or infinity."""


class LabelError(DataError):
    """A class label outside the model's outputs."""


class NonFiniteLossError(MedyateError, ArithmeticError):
    """The loss or a weight became NaN or infinite; the last good weights were put back."""


class PlanError(MedyateError, ValueError):
    """An update plan or a training state that belongs to another model or option set."""
