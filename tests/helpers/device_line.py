"""A real device session in a program of its own, and lines to it that damage what they carry."""

import contextlib
import random
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL_HASH = 0x0123456789ABCDEF  # scripted_handler.h
WEIGHTS = 700
_SOURCES = (
    "tests/tflm_ops/device/device_host.cc",
    "tflm_ops/device/framing.cc",
    "tflm_ops/device/session.cc",
    "tflm_ops/math/scalar.cc",
    "tflm_ops/store/crc32.cc",
    "tflm_ops/store/sparse_delta.cc",
)
_FLAGS = ("-std=c++14", "-O0", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti")


def build(folder):
    """Compiles the program; returns its path."""
    compiler = shutil.which("c++")
    assert compiler, "no C++ compiler: apt-get install g++"
    target = folder / "device_host"
    sources = [str(ROOT / source) for source in _SOURCES]
    subprocess.run([compiler, *_FLAGS, f"-I{ROOT}", *sources, "-o", str(target)], check=True)
    return target


class Device:
    """The program, listening on `port`. `log()` is what it was made to do, in order."""

    def __init__(self, program, folder, classes=4, sides=(2, 3)):
        self._log = folder / f"log{time.monotonic_ns()}"
        words = [str(word) for word in (classes, *sides)]
        self._errors = self._log.open("w")
        self._process = subprocess.Popen(
            [program, "tcp", *words], stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self.port = int(self._process.stdout.readline())

    @property
    def name(self):
        return f"tcp:127.0.0.1:{self.port}"

    def log(self):
        return self._log.read_text().splitlines()

    def stop(self):
        """Kills it; a second time does nothing."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class BadLine:
    """Forwards TCP to `port`; `damage(chunk, random)` says what becomes of each chunk.

    Both directions have their own generator, so that a seed means the same however they interleave.
    """

    def __init__(self, port, damage, seed=0):
        self._damage = damage
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.name = f"tcp:127.0.0.1:{self._listener.getsockname()[1]}"
        self._target = port
        self._seed = seed
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self):
        try:
            host, _ = self._listener.accept()
        except OSError:
            return  # closed before anybody came
        device = socket.create_connection(("127.0.0.1", self._target))
        for line in (host, device):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets += [host, device]
        for number, (source, sink) in enumerate([(host, device), (device, host)]):
            rng = random.Random(2 * self._seed + number)
            thread = threading.Thread(target=self._forward, args=(source, sink, rng), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _forward(self, source, sink, rng):
        with contextlib.suppress(OSError):  # one end was closed
            while chunk := source.recv(4096):
                for part in self._damage(chunk, rng):
                    sink.sendall(part)
        for line in (source, sink):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for line in self._sockets:
            line.close()


def harm(chunk, rng, share=0.2):
    """Drops, flips, repeats and delays: one chunk in five, if share is 0.2."""
    if rng.random() >= share:
        return [chunk]
    data = bytearray(chunk)
    kind = rng.randrange(6)
    if kind == 0:
        return []
    if kind == 1:
        del data[rng.randrange(len(data)) :][: rng.randrange(1, 4)]
        return [bytes(data)]
    if kind == 2:
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return [bytes(data)]
    if kind == 3:
        return [chunk] * rng.randrange(2, 4)
    if kind == 4:
        at = rng.randrange(len(data))
        return [chunk[:at], rng.randbytes(rng.randrange(1, 9)), chunk[at:]]
    time.sleep(rng.uniform(0.005, 0.07))
    return [chunk]
