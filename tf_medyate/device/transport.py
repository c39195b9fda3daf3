"""Byte streams to a device: a serial port, or a TCP connection.

Example:
    >>> transport = open_transport("tcp:localhost:5555")
    >>> transport.write(b"hello")
    >>> transport.read(timeout_s=0.1)
    b''
"""

from __future__ import annotations

import socket
import time
from typing import Any, Protocol

from tf_medyate.errors import MedyateError, OptionError

BAUD_RATE = 115200
_CHUNK = 65536
_CONNECT_TIMEOUT_S = 5.0
_WRITE_TIMEOUT_S = 5.0


class LinkError(MedyateError, ConnectionError):
    """The line to the device cannot be opened, is broken, or nobody answers."""


class Transport(Protocol):
    """A byte stream; nothing is said about what arrives, or when."""

    def write(self, data: bytes) -> None:
        """Sends all bytes."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """What came in: at least a byte, or b"" after the time-out."""
        ...

    def close(self) -> None:
        """Closes the line."""
        ...


def open_transport(port: str, baud_rate: int = BAUD_RATE) -> Transport:
    """Opens the line to a device.

    Args:
        port: "tcp:host:port", or a serial port such as "/dev/ttyACM0" or "COM3".
        baud_rate: Of a serial port; USB ports ignore it.

    Raises:
        LinkError: It cannot be opened.
        OptionError: `port` cannot be read.
    """
    if not port.startswith("tcp:"):
        return SerialTransport(port, baud_rate)
    host, _, number = port[len("tcp:") :].rpartition(":")
    if not host or not number.isdigit() or not 0 < int(number) < 65536:
        remedy = "Write for example tcp:localhost:5555, or /dev/ttyACM0."
        raise OptionError("port", "tcp:host:port or a serial port", repr(port), remedy)
    return TcpTransport(host, int(number))


class TcpTransport:
    """A TCP connection, as to an emulator's serial port."""

    def __init__(self, host: str, port: int):
        self._name = f"tcp:{host}:{port}"
        try:
            self._socket = socket.create_connection((host, port), _CONNECT_TIMEOUT_S)
        except OSError as error:
            remedy = "Start the emulator first, and check host and port."
            raise LinkError(
                "port", "somebody listening", f"{self._name}: {error}", remedy
            ) from None
        # Requests are small and waited for: each goes out at once.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data: bytes) -> None:
        """Sends all bytes.

        Raises:
            LinkError: The connection is broken.
        """
        try:
            self._socket.settimeout(_WRITE_TIMEOUT_S)
            self._socket.sendall(data)
        except OSError as error:
            raise self._broken(error) from None

    def read(self, timeout_s: float) -> bytes:
        """What came in: at least a byte, or b"" after the time-out.

        Raises:
            LinkError: The connection is broken.
        """
        try:
            self._socket.settimeout(max(timeout_s, 1e-3))
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            return b""
        except OSError as error:
            raise self._broken(error) from None
        if not data:
            raise self._broken("the other end closed it")
        return data

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def _broken(self, reason: Any) -> LinkError:
        remedy = "Start the device again, and connect again."
        return LinkError("port", f"a connection to {self._name}", str(reason), remedy)


class SerialTransport:
    """A serial port, through pyserial."""

    def __init__(self, port: str, baud_rate: int = BAUD_RATE):
        try:
            import serial
        except ImportError:
            remedy = "pip install 'tf_medyate[device]', or use tcp:host:port."
            raise LinkError("port", "pyserial for serial ports", "none", remedy) from None
        self._name = port
        try:
            self._serial = serial.Serial(port, baud_rate, timeout=0, write_timeout=_WRITE_TIMEOUT_S)
        except (serial.SerialException, ValueError) as error:
            remedy = (
                "Plug the board in, close the serial monitor, and see that you may use the port "
                "(Linux: group dialout). Available: " + (", ".join(_ports()) or "none") + "."
            )
            raise LinkError("port", "a serial port", f"{port}: {error}", remedy) from None

    def write(self, data: bytes) -> None:
        """Sends all bytes.

        Raises:
            LinkError: The port is gone, or does not take them.
        """
        try:
            self._serial.write(data)
        except OSError as error:  # pyserial's errors are among them
            raise self._broken(error) from None

    def read(self, timeout_s: float) -> bytes:
        """What came in: at least a byte, or b"" after the time-out.

        Raises:
            LinkError: The port is gone.
        """
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self._serial.timeout = max(deadline - time.monotonic(), 0)
                data = self._serial.read(1)
                if data or time.monotonic() >= deadline:
                    return data + self._serial.read(self._serial.in_waiting)
        except OSError as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Closes the port."""
        self._serial.close()

    def _broken(self, reason: Any) -> LinkError:
        remedy = "Plug the board in again, and connect again."
        return LinkError("port", f"the serial port {self._name}", str(reason), remedy)


def _ports() -> list[str]:
    from serial.tools import list_ports

    return [found.device for found in list_ports.comports()]
