"""Names that TensorFlow cannot compute under are told by `prepare`, with what to do."""

import keras
import pytest

import tf_medyate as md
from tf_medyate.errors import UnsupportedLayerError

L = keras.layers


def net(inside="conv", nested="part", name="net"):
    inputs = keras.Input((4, 4, 1), name="größe x")  # an input is not called: any name will do
    part = keras.Sequential([keras.Input((4, 4, 1)), L.Conv2D(2, 1, name=inside)], name=nested)
    outputs = L.Dense(3, name="head")(L.GlobalAveragePooling2D()(part(inputs)))
    return keras.Model(inputs, outputs, name=name)


@pytest.mark.parametrize("name", ["größe", "日本", "a b", "x:y", "a\nb", "a\\b"])
def test_the_name_is_told_and_renaming_helps(name):
    base = net(inside=name)
    with pytest.raises(UnsupportedLayerError, match="ASCII letters") as caught:
        md.prepare(base)
    assert f"layer {name!r}: expected" in str(caught.value)
    remedy = f"model.get_layer('part').get_layer({name!r}).name = \"another\""
    assert remedy in caught.value.remedy
    exec(remedy, {"model": base})
    md.prepare(base)
    with pytest.raises(UnsupportedLayerError, match=r"model\.get_layer"):
        md.prepare(net(nested=name))
    with pytest.raises(UnsupportedLayerError, match=r"model\.name = "):
        md.prepare(net(name=name))


def test_names_that_keras_runs_with_are_taken():
    md.prepare(net("_conv-1.x", "1part"))
    with pytest.raises(UnsupportedLayerError, match=r"model\.name = "):
        md.prepare(net(name="_net"))
