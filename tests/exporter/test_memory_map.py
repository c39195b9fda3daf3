"""The picture of the arena."""

import types

from tf_medyate.exporter.manifest import MemoryEntry, PlacedTensor
from tf_medyate.exporter.write.memory_map import memory_map


def arena_of(*tensors):
    planned = max(offset + size for _, size, offset, *_ in tensors)
    placed = [PlacedTensor(*tensor) for tensor in tensors]
    memory = MemoryEntry(planned + 9000 + 3000, planned, 9000, 3000, 0, 8192, "op", placed)
    return types.SimpleNamespace(memory=memory)


def test_the_picture_of_the_arena_holds_all_of_it_and_every_label_its_place():
    manifest = arena_of(
        ("conv1", 6400, 0, 0, 9),
        ("conv1/gates", 200, 6400, 0, 30),
        ("conv2/gradient", 3200, 0, 12, 20),
        ("conv2/gradient_2", 3200, 0, 20, 29),  # in place: takes over where the first lies
        ("a_layer_with_a_name_that_fits_nowhere", 3200, 3200, 12, 20),
        ("conv1/gradient", 6400, 0, 30, 39),
    )
    picture = memory_map(manifest)
    (axes,) = picture.figure.axes
    blocks = [patch.get_bbox() for patch in axes.patches]
    assert max(block.y1 for block in blocks) * 1024 == manifest.memory.arena_bytes
    assert [block.height * 1024 for block in blocks].count(8192) == 1, "the pool"
    names = {text.get_text(): text for text in axes.texts}
    assert {"conv1", "∇ conv1", "∇ conv2"} <= set(names)
    assert any(name.startswith("the pool, 8 KiB") for name in names)
    assert len([name for name in names if "conv2" in name]) == 1
    assert not any("nowhere" in name for name in names)
    for name, text in names.items():
        box = text.get_window_extent().transformed(axes.transData.inverted())
        around = [b for b in blocks if b.x0 <= box.x0 and box.x1 <= b.x1 and
                  b.y0 <= box.y0 and box.y1 <= b.y1]  # fmt: skip
        crossing = [b for b in blocks if b.overlaps(box) and b not in around]
        assert len(around) == 1, name
        assert not crossing, name
