"""The networks by name: every module of this folder that holds a `NETWORK` is listed.

A net of your own needs no more than such a file; see docs/extending.md.

Example:
    >>> from tf_medyate.zoo.registry import get_network
    >>> model = get_network("ds_cnn").pretrained(5)
"""

from __future__ import annotations

from tf_medyate import zoo
from tf_medyate.plugins import collect, lookup
from tf_medyate.zoo.network import Network

__all__ = ["NETWORKS", "Network", "get_network"]

NETWORKS: dict[str, Network] = collect(zoo, "NETWORK", Network)


def get_network(name: str) -> Network:
    """Looks a network up.

    Args:
        name: One of `NETWORKS`.

    Returns:
        The network.

    Raises:
        OptionError: There is no network of that name.
    """
    return lookup(NETWORKS, "network", name)
