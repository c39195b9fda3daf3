"""How the costs of drawing, of a training step and of an export grow.

    python benchmarks/scaling.py

Drawing: `sample_channels` among 1,000 to 300,000 channels; n log n would hold the last column
constant. Step: time of a training step of one net as the share of drawn channels grows, and of
growing nets as the number of drawn channels stays the same, against the same net with nothing
drawn; the extra cost must follow the first and not the second.

Export: time from a prepared model to the bytes of train.tflite, by number of layers; linear growth
would hold the last column constant. Update: instructions of one update op on the emulated
Cortex-M4F by number of drawn channels (deterministic; needs Debian's gcc-arm-none-eabi,
libstdc++-arm-none-eabi-newlib and qemu-system-arm).
"""

from __future__ import annotations

import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tf_medyate as md
from tf_medyate.prepared.update import ChannelUpdater


def median_ms(function, repeats: int) -> float:
    """Median wall time in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def drawing():
    """Prints the drawing table."""
    print("Drawing, 60 layers, budget for about a tenth of the channels:\n")
    print("| channels | ms | ns per channel and log2(n) |\n|---|---|---|")
    rng = np.random.default_rng(0)
    for total in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000):
        each = total // 60
        specs = [
            md.LayerSpec(f"l{i}", "conv2d", i, each, 8, int(rng.integers(9, 900)),
                         int(rng.integers(1, 400)), 8, 1)
            for i in range(60)
        ]  # fmt: skip
        importance = {s.name: rng.lognormal(size=each).astype(np.float32) for s in specs}
        cost = md.CostModel()
        budget = cost.full(specs) // 10
        ms = median_ms(lambda: md.sample_channels(specs, importance, budget, cost=cost), 9)  # noqa: B023
        n = 60 * each
        print(f"| {n:,} | {ms:.2f} | {1e6 * ms / (n * np.log2(n)):.2f} |")


def conv_net(layers: int, width: int = 32, side: int = 16):
    """A plain net of equal 3x3 convolutions."""
    inputs = keras.Input((side, side, width))
    x = inputs
    for index in range(layers):
        x = keras.layers.Conv2D(width, 3, padding="same", activation="relu", name=f"c{index}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return md.prepare(keras.Model(inputs, keras.layers.Dense(10, name="head")(x)))


class Stepper:
    """A traced training step of a net whose last layers are kept, with any number drawn."""

    def __init__(self, layers: int, kept: int):
        self.model = conv_net(layers)
        self.specs = md.layer_specs(self.model)
        names = tuple(s.name for s in self.specs if not s.is_head)[-kept:]
        self.kept = [s for s in self.specs if s.name in names]
        self.updater = ChannelUpdater(self.model, self.specs, names, train_bias=False)
        self.updater.attach(sum(s.weight_elements for s in self.kept), None)
        rng = np.random.default_rng(0)
        x = tf.constant(rng.normal(size=(8, 16, 16, 32)).astype(np.float32))
        y = tf.constant(rng.integers(0, 10, 8))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        variables = [v.value for v in self.model.trainable_variables]

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                value = loss(y, self.model(x))
            for variable, gradient in zip(variables, tape.gradient(value, variables), strict=True):
                variable.assign_sub(1e-6 * gradient)

        self.step = step

    def draw(self, channels: int):
        """Makes this many channels live in every kept layer."""
        draws = tuple(
            md.spec.LayerDraw(s.name, tuple(range(channels))) for s in self.kept if channels
        )
        self.updater.load(md.UpdatePlan(0, 0, md.MemoryBudget(1), 0, 0, draws))
        self.step()

    def rounds_ms(self, draws: list[int], rounds: int = 25) -> dict[int, float]:
        """Median step time for each number of drawn channels, in alternating rounds."""
        found: dict[int, list[float]] = {count: [] for count in draws}
        for _ in range(rounds):
            for count in draws:
                self.draw(count)
                found[count].append(median_ms(self.step, 5))
        return {count: statistics.median(times) for count, times in found.items()}


def steps():
    """Prints the step tables."""
    print("\nStep, 8 layers of 32 channels, all kept, batch 8:\n")
    print("| drawn of 32 in each layer | ms | beyond nothing drawn |\n|---|---|---|")
    times = Stepper(8, 8).rounds_ms([0, 1, 2, 4, 8, 16, 32])
    for count, ms in times.items():
        print(f"| {count} | {ms:.2f} | {ms - times[0]:+.2f} |")
    print("\nStep, 4 channels drawn in each of the last 4 layers, growing net:\n")
    print("| layers | nothing drawn, ms | drawn, ms | beyond |\n|---|---|---|---|")
    for layers in (4, 8, 16, 32):
        found = Stepper(layers, 4).rounds_ms([0, 4])
        print(f"| {layers} | {found[0]:.2f} | {found[4]:.2f} | {found[4] - found[0]:+.2f} |")


def exporting():
    """Prints the export table."""
    from tf_medyate.exporter.lower.recipe import recipe_of
    from tf_medyate.exporter.lower.step import lower_training
    from tf_medyate.exporter.memory.planner import plan_memory
    from tf_medyate.exporter.write.tflite import to_tflite

    print("\nExport of a net of 3x3 convolutions, all kept:\n")
    print("| layers | ops | tensors | s | ms per layer |\n|---|---|---|---|---|")
    for layers in (10, 25, 50, 100, 200):
        model = conv_net(layers, width=4, side=8)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01), loss)
        medyate = md.MeDyate("64KiB", "d-full-random", verbose=0)
        medyate.set_model(model)
        start = time.perf_counter()
        training = lower_training(model, recipe_of(model, medyate))
        to_tflite(training.graph, plan_memory(training.graph, training.in_place))
        seconds = time.perf_counter() - start
        graph = training.graph
        print(
            f"| {layers} | {len(graph.ops)} | {len(graph.tensors)} | {seconds:.2f} "
            f"| {1e3 * seconds / layers:.1f} |"
        )


ROOT = pathlib.Path(__file__).resolve().parents[1]
_COMPILE = (
    "arm-none-eabi-g++ -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu++14 -Os "
    "-fno-exceptions -fno-rtti -fno-threadsafe-statics -ffunction-sections -I. "
    "-T tests/tflm_ops/math/cortex_m/link.ld --specs=rdimon.specs -nostartfiles -Wl,--gc-sections"
)
_EMULATE = (
    "qemu-system-arm -M mps2-an386 -cpu cortex-m4 -nographic -icount shift=0 "
    "-semihosting-config enable=on,target=native -kernel"
)


def updates():
    """Prints the table of the update op's instructions."""
    print("\nUpdate of a 3x3 convolution, 32 to 32 channels at 8x8, on a Cortex-M4F:\n")
    if not shutil.which("arm-none-eabi-g++") or not shutil.which("qemu-system-arm"):
        print("NOT MEASURED: no arm-none-eabi-g++ or qemu-system-arm here.")
        return
    with tempfile.TemporaryDirectory() as folder:
        image = f"{folder}/update.elf"
        sources = ["benchmarks/cortex_m/update_op.cc", "tests/tflm_ops/math/cortex_m/startup.cc"]
        for part in ("math", "kernels"):
            found = sorted((ROOT / "tflm_ops" / part).glob("*.cc"))
            sources += [str(path.relative_to(ROOT)) for path in found]
        sources += ["tflm_ops/draw/sampler.cc", "tflm_ops/draw/training_state.cc"]
        subprocess.run([*_COMPILE.split(), *sources, "-o", image], cwd=ROOT, check=True)
        done = subprocess.run(
            [*_EMULATE.split(), image],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
    if done.returncode != 0:
        raise SystemExit(f"the emulated update failed: {done.stdout}{done.stderr}")
    counts = dict(map(int, line.split()) for line in done.stdout.split("\n") if line.strip())
    print("| drawn of 32 | instructions | beyond nothing drawn, per channel |\n|---|--:|--:|")
    for drawn, count in counts.items():
        each = f"{(count - counts[0]) / drawn:,.0f}" if drawn else "-"
        print(f"| {drawn} | {count:,} | {each} |")


if __name__ == "__main__":
    drawing()
    steps()
    exporting()
    updates()
