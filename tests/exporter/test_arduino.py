"""The Arduino library: it compiles as in the IDE, and its sketches do what they say."""

import re

import arduino_build
import numpy as np
import pytest
from arduino_build import SENSOR, STAND_INS, Built, export, run, sketch_source, undefined
from cpp_build import CORTEX_M4F, ROOT, symbol

from tf_medyate.device_key import write_key_header
from tf_medyate.errors import OptionError
from tf_medyate.exporter.board.fit import (
    ADAM_CODE_BYTES,
    CODE_BYTES,
    INT8_CODE_BYTES,
    SMOOTH_CODE_BYTES,
    STATIC_BYTES,
    SUM_OF_LOSSES_CODE_BYTES,
    TRANSPOSE_CODE_BYTES,
    code_bytes,
)
from tf_medyate.exporter.ops.elementwise_schema import ELEMENTWISE_OPS
from tf_medyate.exporter.ops.schema import OPS
from tf_medyate.exporter.write.arduino import SensorInput, write_arduino
from tf_medyate.spec import FLASH_PAGE_BYTES

NM = "arm-none-eabi-nm"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return export(tmp_path_factory.mktemp("bundle"), 1)


@pytest.fixture(scope="module")
def library(bundle, tmp_path_factory):
    return write_arduino(bundle.firmware.cpp, tmp_path_factory.mktemp("arduino"), SENSOR)


@pytest.fixture(scope="module")
def built(library, tmp_path_factory):
    """A function that compiles the library once for a toolchain."""
    done: dict[str, Built] = {}

    def build(toolchain):
        toolchain.require()
        key = toolchain.compiler
        if key not in done:
            folder = tmp_path_factory.mktemp("objects")
            done[key] = arduino_build.build(toolchain, library.folder, folder)
        return done[key]

    return build


# --- the folder


def test_the_library_is_laid_out_as_arduino_wants_it(library):
    lines = (library.folder / "library.properties").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    assert fields["name"] == "MeDyate"
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
    wanted = {"author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert wanted <= set(fields)
    assert "depends" not in fields, "no other library"
    for path in ("src/MeDyate.h", "keywords.txt", "LICENSE.txt", "src/medyate_weights.cpp"):
        assert path in library.files
    assert not [path for path in library.files if path.endswith(".cc")]
    for example in ("PersonalizeIMU", "StreamTrainer"):
        assert f"examples/{example}/{example}.ino" in library.files
    present = {p.relative_to(library.folder).as_posix() for p in library.folder.rglob("*.*")}
    assert present == set(library.files)


SYSTEM = {"Arduino.h", "stdarg.h", "stddef.h", "stdint.h", "string.h"}


def test_every_include_is_in_the_library_or_in_the_c_library(library):
    src = library.folder / "src"
    for path in src.rglob("*.*"):
        for name in re.findall(r'(?m)^#include "(.*)"', path.read_text()):
            assert (src / name).is_file(), f"{path.name}: {name}"
        for name in re.findall(r"(?m)^#include <(.*)>", path.read_text()):
            assert name in SYSTEM, f"{path.name}: {name}"


def test_another_export_replaces_the_last_and_nothing_else(bundle, tmp_path):
    folder = tmp_path / "MeDyate"
    write_arduino(bundle.folder / "cpp", folder, SENSOR)
    (folder / "src/stale.cpp").write_text("#error")
    (folder / "examples/Mine").mkdir()
    (folder / "examples/Mine/Mine.ino").write_text("// mine")
    again = write_arduino(bundle.folder / "cpp", folder, SensorInput((120,)))
    assert not (folder / "src/stale.cpp").exists()
    assert (folder / "examples/Mine/Mine.ino").read_text() == "// mine"
    assert again.examples == ("StreamTrainer",), "no motion sensor gives 120 numbers"
    assert not (folder / "examples/PersonalizeIMU").exists()
    assert "StreamTrainer" in str(again)


def test_what_is_not_ours_is_not_overwritten(bundle, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OptionError, match="a new folder or one with the library MeDyate"):
        write_arduino(bundle.folder / "cpp", tmp_path, SENSOR)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(OptionError, match=r"a folder with medyate_model\.h"):
        write_arduino(tmp_path, tmp_path / "new", SENSOR)


def test_the_input_is_described_to_the_sketch():
    mean, deviation = np.array([0.5, -1, 2], np.float32), np.array([2, 4, 0.5], np.float32)
    sensor = SensorInput((50, 3, 1), 25, mean, 1 / deviation)
    assert (sensor.rows, sensor.channels, sensor.is_imu) == (50, 3, True)
    header = sensor.header()
    assert "kOffset[kChannels] = {0.5f, -1.0f, 2.0f};" in header
    assert "kScale[kChannels] = {0.5f, 0.25f, 2.0f};" in header
    assert "kRateHz = 25.0f;" in header
    assert (SensorInput((1, 100, 6)).rows, SensorInput((49, 10, 1)).is_imu) == (100, False)
    for shape, channels in (((16, 16, 1), 1), ((96, 96, 3), 3), ((8, 8, 9), 9)):
        image = SensorInput(shape, offset=[0.5] * channels)
        assert (image.channels, image.rows, image.is_imu) == (channels, shape[0] * shape[1], False)
    assert SensorInput((16, 16, 1)).is_raw
    assert not SensorInput((16, 16, 1), scale=[0.5]).is_raw


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": ()}, "shape: expected sides above 0"),
        ({"shape": (10, 3), "rate_hz": 0}, "rate_hz: expected above 0"),
        ({"shape": (10, 3), "offset": [1, 2]}, "input_offset: expected 3 finite numbers"),
        ({"shape": (10, 3), "scale": [1, 2, np.inf]}, "input_scale: expected 3 finite numbers"),
    ],
)
def test_a_bad_input_is_refused(options, message):
    with pytest.raises(OptionError, match=message):
        SensorInput(**options)


# --- as the IDE compiles it for the board


C_LIBRARY = {"memcpy", "memset", "memmove", "memcmp", "memchr", "strlen", "strcmp", "strchr"}
# 64-bit integers are welcome, doubles are not.
COMPILER = {"__aeabi_uldivmod", "__aeabi_ldivmod", "__aeabi_ul2f"}
LINKER_SCRIPT = {"__etext", "__data_start__", "__data_end__"}
ARDUINO = {"pinMode", "digitalWrite", "digitalRead", "millis", "micros", "delay", "random(long)"}


def sketches(library, folder):
    """The sketches as C++: with and without prototypes, for both sensors."""
    for name in library.examples:
        ino = library.folder / f"examples/{name}/{name}.ino"
        yield sketch_source(ino, folder / f"{name}.cpp")
        yield sketch_source(ino, folder / f"{name}_plain.cpp", prototypes=False)
        if name == "PersonalizeIMU":
            yield sketch_source(ino, folder / f"{name}_rev2.cpp", BOARD_IS_REV2="1")


def test_library_and_sketches_compile_for_the_board_and_need_no_heap(library, built, tmp_path):
    arm = built(CORTEX_M4F)
    needed = undefined(arm.objects, NM)
    assert needed <= C_LIBRARY | COMPILER, needed
    for source in sketches(library, tmp_path):
        arm_sketch = (arm.compile(source), *arm.objects)
        # vtable: the stand-ins of Serial and its line.
        needed = {
            name
            for name in undefined(arm_sketch, NM)
            if not re.match(r"(Print|UsbSerial|FakeImu)::|usb_serial|IMU$|vtable for U", name)
        }
        assert needed <= C_LIBRARY | COMPILER | LINKER_SCRIPT | ARDUINO, needed


def test_the_sketch_in_the_documentation_compiles(built, tmp_path):
    arm = built(CORTEX_M4F)
    text = (ROOT / "docs/arduino.md").read_text()
    [sketch] = re.findall(r"```cpp\n(#include <MeDyate\.h>.*?)```", text, re.DOTALL)
    (tmp_path / "docs.ino").write_text(sketch)
    arm.compile(sketch_source(tmp_path / "docs.ino", tmp_path / "docs.cpp"))


def test_the_documentation_names_what_there_is():
    text = (ROOT / "docs/arduino.md").read_text()
    headers = ("trainer/step_trainer.h", "store/weight_store.h")
    source = "".join((ROOT / "tflm_ops" / name).read_text() for name in headers)
    named = set(re.findall(r"`[^`\n]*\b(k[A-Z]\w+)`", text)) - {
        "kTrainOps",
        "kArenaBytes",
        "kSampleWords",
    }
    assert named <= set(re.findall(r"\bk[A-Z]\w+", source)), "names that are there"
    assert len(named) >= 12


def test_no_products_and_sums_are_contracted_on_the_board(built):
    arm = built(CORTEX_M4F)
    code = run(["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", *map(str, arm.objects)])
    assert "vmul.f32" in code
    # VMLA rounds twice, as VMUL and VADD do; it is slower only.
    assert not re.findall(r"\bv(?:fma|fms|fnma|fnms)\.f\d+", code)
    assert not re.findall(r"\bv\w+\.f64", code)


@pytest.fixture(scope="module")
def image(library, built, tmp_path_factory):
    """A sketch, linked to where it will lie."""
    arm, folder = built(CORTEX_M4F), tmp_path_factory.mktemp("image")
    ino = library.folder / "examples/StreamTrainer/StreamTrainer.ino"
    objects = [arm.compile(sketch_source(ino, folder / "sketch.cpp"))]
    vectors = folder / "vectors.cc"
    vectors.write_text((STAND_INS / "vectors.cc").read_text())
    objects.append(arm.compile(vectors))
    # The core's own functions are missing: only addresses count.
    options = [*CORTEX_M4F.flags, "-nostdlib", "-Wl,--gc-sections", "-Wl,-n"]
    options += ["-Wl,--unresolved-symbols=ignore-all", "-Wl,--no-warn-rwx-segments"]
    script = f"-T{STAND_INS / 'nano33ble.ld'}"
    files = [*map(str, [*objects, *arm.objects]), "-lgcc", "-o", str(folder / "sketch.elf")]
    run([CORTEX_M4F.compiler, *options, script, *files])
    return folder / "sketch.elf"


def test_the_sketch_takes_the_key_that_lies_beside_it(library, built, image, tmp_path):
    ino = library.folder / "examples/StreamTrainer/StreamTrainer.ino"
    write_key_header(bytes(range(32)), tmp_path)
    keyed = built(CORTEX_M4F).compile(sketch_source(ino, tmp_path / "sketch.cpp"))
    wanted = "medyate::SignedHandler"
    assert any(wanted in name for name in undefined((keyed,), NM))
    assert wanted not in run([NM, "-C", str(image)]), "and none without one"


def test_weights_lie_on_flash_pages_and_the_vectors_stay_in_front(image, bundle):
    assert symbol(image, NM, "kVectors")[0] == 0x10000
    start, size = symbol(image, NM, "medyate_model::kWeights")
    assert start % FLASH_PAGE_BYTES == 0
    assert size == bundle.firmware.cpp.weight_pages * FLASH_PAGE_BYTES
    sections = run(["arm-none-eabi-objdump", "-h", str(image)])
    assert re.search(r"\.text +\w+ +00010000 ", sections), "where it begins"
    [code_end] = re.findall(r"(?m)^(\w+) \w __etext$", run([NM, str(image)]))
    assert start + size <= int(code_end, 16), "the check of nano_flash.h counts them"


@pytest.mark.parametrize(
    ("end", "weights", "answer"),
    [
        (0x40000, 0x20000, "all is well"),
        (0x100000 - 3 * 4096, 0x20000, "all is well"),
        (0x100000 - 3 * 4096 + 8, 0x20000, "the sketch reaches into the journal"),
        (0x40000, 0x20004, "the weights do not begin at a flash page"),
        (0x40000, 0x41000, "the weights are not in flash"),
        (0x40000, 0x20001000, "the weights are not in flash"),
    ],
)
def test_a_sketch_that_reaches_into_the_journal_cannot_write(end, weights, answer, tmp_path):
    ends = (f"-Wl,--defsym=__etext={end - 64:#x}", "-Wl,--defsym=__data_start__=0x20000200")
    program = tmp_path / "nano_flash_test"
    run(
        [
            *("c++", "-std=c++14", "-Wall", "-Wextra", "-Werror", "-no-pie", f"-I{ROOT}", *ends),
            "-Wl,--defsym=__data_end__=0x20000240",
            str(STAND_INS / "nano_flash_test.cc"),
            str(ROOT / "tflm_ops/device/nrf52840_flash.cc"),
            "-o",
            str(program),
        ]
    )
    said, places, refused = run([str(program), hex(weights), "1024"]).splitlines()
    assert said.startswith(answer)
    assert places == f"{weights:x} fd000 3 {4096 if answer == 'all is well' else 0}"
    assert refused.split() == ["refused"] * (6 if answer == "all is well" else 8)


# --- what the board's sizes are reckoned with


def sections(paths):
    """Bytes of text and of initialized and zeroed data, all objects together."""
    rows = run(["arm-none-eabi-size", *map(str, paths)]).splitlines()[1:]
    return tuple(sum(int(row.split()[i]) for row in rows) for i in range(3))


def test_code_and_ram_are_within_what_is_reckoned_with(library, bundle, built, tmp_path):
    arm = built(CORTEX_M4F)
    parts = [path for path in arm.objects if not path.name.startswith("medyate_")]
    text, data, zeroed = sections(parts)
    assert (data, zeroed) == (0, 0), "all RAM is the sketch's own"
    everything = code_bytes({op.name for op in OPS})
    assert 0.75 * everything <= text <= everything
    int8 = sections(path for path in parts if re.search("int8|quantize", path.name))[0]
    assert 0.75 * INT8_CODE_BYTES <= int8 <= INT8_CODE_BYTES
    shared = "broadcast|smooth|normalize|binary|unary"
    own = "|".join(op.name.removeprefix("MEDYATE_").lower() for op in ELEMENTWISE_OPS)
    smooth = [p for p in parts if re.search(rf"_(kernels|math)_({shared}|{own})\.", p.name)]
    assert 0.75 * SMOOTH_CODE_BYTES <= sections(smooth)[0] <= SMOOTH_CODE_BYTES
    transposes = sections(path for path in parts if "conv2d_transpose" in path.name)[0]
    assert 0.75 * TRANSPOSE_CODE_BYTES <= transposes <= TRANSPOSE_CODE_BYTES
    adam = sections(p for p in parts if "adam" in p.name and "transpose" not in p.name)[0]
    assert 0.75 * ADAM_CODE_BYTES <= adam <= ADAM_CODE_BYTES
    losses = sections(path for path in parts if "sum_of_losses" in path.name)[0]
    assert 0.75 * SUM_OF_LOSSES_CODE_BYTES <= losses <= SUM_OF_LOSSES_CODE_BYTES
    some = int8 + transposes + sections(smooth)[0] + adam + losses
    assert text - some <= CODE_BYTES, "what every model is reckoned with"
    arena = bundle.firmware.cpp.board_arena_bytes
    windows = {"StreamTrainer": 0, "PersonalizeIMU": SENSOR.imu_windows_bytes()}
    for name, extra in windows.items():
        ino = library.folder / f"examples/{name}/{name}.ino"
        sketch = arm.compile(sketch_source(ino, tmp_path / f"{name}.cpp"))
        _, data, zeroed = sections([sketch])
        ram = data + zeroed - arena - extra
        assert 0.5 * STATIC_BYTES <= ram <= STATIC_BYTES, name
