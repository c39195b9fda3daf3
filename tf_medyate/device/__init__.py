"""A board that learns, over its serial line.

Example:
    >>> import tf_medyate as md
    >>> with md.device.DeviceClient.open("/dev/ttyACM0") as board:
    ...     board.step(x[0], y[0])
    1.3862943649291992
"""

from tf_medyate.device.applying import apply_to_model, read_layout
from tf_medyate.device.client import DeviceClient
from tf_medyate.device.delta import (
    DeltaError,
    DeltaKind,
    SparseDelta,
    encode_delta,
    load_delta,
    read_delta,
)
from tf_medyate.device.exported import Exported, read_export
from tf_medyate.device.info import DeviceCounters, DeviceInfo, Expected
from tf_medyate.device.learned import Learned, pull_learned, push_learned, reset
from tf_medyate.device.link import DeviceError, SessionLostError
from tf_medyate.device.names import load_names, names_text, read_names
from tf_medyate.device.protocol import DeviceStatus, Region
from tf_medyate.device.transport import LinkError
from tf_medyate.exporter.write.region import RegionLayout, WeightPlace

__all__ = [
    "DeltaError",
    "DeltaKind",
    "DeviceClient",
    "DeviceCounters",
    "DeviceError",
    "DeviceInfo",
    "DeviceStatus",
    "Expected",
    "Exported",
    "Learned",
    "LinkError",
    "Region",
    "RegionLayout",
    "SessionLostError",
    "SparseDelta",
    "WeightPlace",
    "apply_to_model",
    "encode_delta",
    "load_delta",
    "load_names",
    "names_text",
    "pull_learned",
    "push_learned",
    "read_delta",
    "read_export",
    "read_layout",
    "read_names",
    "reset",
]
