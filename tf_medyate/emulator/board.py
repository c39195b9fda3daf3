"""The emulated board: an mps2-an386 of QEMU's, a Cortex-M4F with the memory of a Nano 33 BLE.

Its flash is a file. The firmware writes every change through to it, byte for byte, so that killing
the emulator is a power cut, and starting it again is what follows one.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tf_medyate.device.transport import LinkError
from tf_medyate.emulator import toolchain
from tf_medyate.emulator.image import FLASH_BYTES, Image
from tf_medyate.emulator.toolchain import EmulatorError
from tf_medyate.spec import FLASH_PAGE_BYTES

if TYPE_CHECKING:
    from tf_medyate.device import DeviceClient

_READY = "ready"
_MEASURED = "measured"
_START_TIMEOUT_S = 60.0
_POLL_S = 0.005
_WATCH_S = 5e-4


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What the firmware measured of itself.

    Attributes:
        step: Instructions of the last training step; 0 if they are not counted.
        steps: Training steps since the start.
        steps_thousands: Thousands of instructions of all of them.
        predict: Instructions of the last prediction.
        stack: Bytes of stack that were ever used.
        static: Bytes of RAM of all variables.
    """

    step: int
    steps: int
    steps_thousands: int
    predict: int
    stack: int
    static: int

    @property
    def mean_step(self) -> int:
        """Instructions of a training step, on average."""
        return 1000 * self.steps_thousands // max(self.steps, 1)


class EmulatedBoard:
    """A board with power off; `start` switches it on.

    Args:
        flash_file: Holds its flash, 1 MiB; need not exist before `flash`.
        port: TCP port of its serial line; 0 for any that is free.
        count_instructions: Let time go by instructions, a nanosecond each: the same in every run,
            but slower. Measurements have instructions only then.

    Attributes:
        port: The serial line's name for `DeviceClient.open`; the same for as long as the object.

    Raises:
        EmulatorError: There is no emulator, or the port is taken.
    """

    def __init__(
        self, flash_file: str | pathlib.Path, port: int = 0, *, count_instructions: bool = False
    ):
        toolchain.require(toolchain.EMULATOR)
        self.flash_file = pathlib.Path(flash_file).resolve()
        self._counts = count_instructions
        self._process: subprocess.Popen | None = None
        try:
            self._listener = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            remedy = "Choose another one, or 0 for any."
            raise EmulatorError("port", "a free TCP port", f"{port}: {error}", remedy) from None
        self.port = f"tcp:127.0.0.1:{self._listener.getsockname()[1]}"
        # The emulator writes into the same open file: appended, so that nobody's place matters.
        self._log = tempfile.TemporaryFile("a+b", buffering=0)  # noqa: SIM115  (closed by close)
        self._log_start = 0

    def __enter__(self) -> EmulatedBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Power off, for good. The flash file stays."""
        self.kill()
        self._listener.close()
        self._log.close()

    # --- flash

    def flash(self, image: Image) -> None:
        """Writes an image into flash as a programmer does: its own pages, and nothing else.

        The journal of commits stays. If it belongs to another model, or to learned weights that are
        overwritten now, the firmware drops it at the next start.

        Raises:
            EmulatorError: The board is running; the flash file is none.
        """
        self._require_off("flash")
        data = image.binary.read_bytes()
        data += b"\xff" * (-len(data) % FLASH_PAGE_BYTES)
        if not self.flash_file.exists():
            self.flash_file.parent.mkdir(parents=True, exist_ok=True)
            self.flash_file.write_bytes(b"\xff" * FLASH_BYTES)
        self._require_flash()
        with self.flash_file.open("r+b") as file:
            file.write(data)

    def holds(self, image: Image) -> bool:
        """Whether this image was flashed last; its weights may have learned since."""
        if not self.flash_file.exists():
            return False
        self._require_flash()
        wanted, there = image.binary.read_bytes(), self.flash_file.read_bytes()
        begin, size = image.weights
        end = begin + size
        return wanted[:begin] == there[:begin] and wanted[end:] == there[end : len(wanted)]

    def _require_flash(self) -> None:
        size = self.flash_file.stat().st_size if self.flash_file.is_file() else -1
        if size != FLASH_BYTES:
            received = f"{self.flash_file} of {size:,} bytes" if size >= 0 else "none"
            remedy = "Flash the board first, or name another file."
            raise EmulatorError("flash_file", f"a file of {FLASH_BYTES:,} bytes", received, remedy)

    # --- power

    def start(self, wait: bool = True) -> None:
        """Power on.

        Args:
            wait: Until the firmware is ready for the host, a recovery of its flash included.

        Raises:
            EmulatorError: It runs already, was never flashed, or the firmware gives up.
        """
        self._require_off("start")
        self._require_flash()
        self._log_start = os.fstat(self._log.fileno()).st_size
        self._process = subprocess.Popen(
            self._command(),
            cwd=self.flash_file.parent,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[self._listener.fileno()],
        )
        if wait:
            self._wait_until_ready()

    def _command(self) -> list[str]:
        name = self.flash_file.name.replace(",", ",,")
        line = f"socket,id=line,fd={self._listener.fileno()},server=on,wait=off,nodelay=on"
        time_flags = ["-icount", "shift=0"] if self._counts else []
        mode = "counted" if self._counts else "timed"
        return [
            *(toolchain.EMULATOR, "-M", "mps2-an386", "-display", "none", "-monitor", "none"),
            *("-chardev", line, "-serial", "chardev:line", *time_flags),
            *("-semihosting-config", f"enable=on,target=native,arg={mode},arg={name}"),
            *("-device", f"loader,file={name},addr=0,force-raw=on"),
        ]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while _READY not in self.log().splitlines():
            if not self.is_running or time.monotonic() > deadline:
                said = self.log().strip() or "nothing"
                self.kill()
                remedy = "Flash the board again; see docs/weight_store.md for its statuses."
                raise EmulatorError("firmware", "to start", f"this in its log: {said}", remedy)
            time.sleep(_POLL_S)

    @property
    def is_running(self) -> bool:
        """Whether power is on."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """A power cut: whatever is under way ends at this instant. Nothing if power is off."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        self._drop_waiting()

    def cut_while(
        self,
        request: Callable[[], object],
        delay_s: float,
        where: tuple[int, int] = (0, FLASH_BYTES),
    ) -> bool:
        """A power cut in the middle of a request that writes flash.

        Args:
            request: Asks the board for something, and returns when it has answered.
            delay_s: Time from the first change of its flash to the cut.
            where: Wait for a change there: first byte, bytes.

        Returns:
            Whether the board had answered by then.

        Raises:
            EmulatorError: The request ended without a change of the flash.
        """
        before = self._read(where)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(request)
            is_done = False
            while self._read(where) == before:
                if is_done:
                    remedy = "Learn something first."
                    raise EmulatorError("request", "a change of the flash", "none", remedy)
                time.sleep(_WATCH_S)
                is_done = answer.done()  # Before the next look: it may answer after it.
            time.sleep(delay_s)
            self.kill()
        if answer.exception() is not None and not isinstance(answer.exception(), LinkError):
            answer.result()
        return answer.exception() is None

    def _read(self, where: tuple[int, int]) -> bytes:
        with self.flash_file.open("rb") as file:
            file.seek(where[0])
            return file.read(where[1])

    def _drop_waiting(self) -> None:
        """Closes connections that nobody took: they must not reach the next start."""
        self._listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
        self._listener.setblocking(True)

    def wait(self) -> None:
        """Returns when the emulator ends by itself."""
        if self._process is not None:
            self._process.wait()

    def _require_off(self, what: str) -> None:
        if self.is_running:
            raise EmulatorError(what, "a board that is off", "one that runs", "Call kill() first.")

    # --- what it says

    def log(self) -> str:
        """What firmware and emulator have written since the last start."""
        log = self._log.fileno()
        size = os.fstat(log).st_size - self._log_start
        return os.pread(log, size, self._log_start).decode(errors="replace")

    def measure(self, client: DeviceClient) -> Measurement:
        """What the firmware has measured so far.

        Args:
            client: Of this board: the firmware writes its log when it is asked for its status.
        """
        client.status()
        [*_, line] = [line for line in self.log().splitlines() if line.startswith(_MEASURED)]
        return Measurement(
            **{name: int(value) for name, value in (word.split("=") for word in line.split()[1:])}
        )
