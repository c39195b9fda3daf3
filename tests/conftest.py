"""Quiet TensorFlow on one thread: tests run side by side, and summation order stays the same."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "tf_medyate",
    deadline=None,  # the first example of a shape pays for tracing
    # The same examples in every run: a red test stays red. `make fuzz` takes others each time.
    derandomize="MEDYATE_FUZZ" not in os.environ,
    # Most examples are seeds of random networks: a smaller seed is no simpler network.
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tf_medyate")


def pytest_collection_finish():
    """Spares every later garbage collection the objects of TensorFlow's modules: 0.3 s each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def quick_export():
    """Leaves the inference files out, for files that are about the training step."""
    from tf_medyate.exporter import bundle

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "write_plain", lambda _, path, *a, **k: path.touch())
        yield
