"""Nets to fine-tune: one pre-trained here from real data, and the field's reference nets.

| function | net | parameters |
|---|---|---|
| `watch_cnn` | Conv1D net for smartwatch windows | 18,871 |
| `pretrained_watch_cnn` | the same, trained on nine of ten wearers | 18,871 |
| `ds_cnn` | MLPerf Tiny keyword spotting | 24,908 |
| `resnet8` | MLPerf Tiny image classification | 78,666 |
| `mobilenet_v1` | MLPerf Tiny visual wake words | 221,794 |
| `autoencoder` | MLPerf Tiny anomaly detection | 269,992 |
| `mobilenet_v2` | Keras's MobileNetV2, width 0.35, 10 classes | 423,018 |

`tf_medyate.zoo.registry` lists the reference nets by name, and MIT's three beside them
(`mobilenet_v2_035`, `mcunet_in1`, `proxyless_w03`), with published sizes and trained weights; with
`_folded` at the end of their names they are folded, as MIT's tiny-training publishes them.

Example:
    >>> from tf_medyate.zoo import pretrained_watch_cnn
    >>> model = pretrained_watch_cnn(wearer=3)
"""

from tf_medyate.zoo.autoencoder import autoencoder
from tf_medyate.zoo.dscnn import ds_cnn
from tf_medyate.zoo.mobilenet import mobilenet_v2
from tf_medyate.zoo.mobilenet_v1 import mobilenet_v1
from tf_medyate.zoo.pretrain import pretrained_watch_cnn
from tf_medyate.zoo.resnet import resnet8
from tf_medyate.zoo.watch import watch_cnn

__all__ = [
    "autoencoder",
    "ds_cnn",
    "mobilenet_v1",
    "mobilenet_v2",
    "pretrained_watch_cnn",
    "resnet8",
    "watch_cnn",
]
