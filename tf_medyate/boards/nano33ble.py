"""The Arduino Nano 33 BLE: nRF52840, a Cortex-M4F at 64 MHz."""

from tf_medyate.boards.board import Board, FlashTraits
from tf_medyate.spec import KIB

BOARD = Board(
    name="nano33ble",
    title="Arduino Nano 33 BLE",
    # boards.txt and linker_script.ld of the board package "Arduino Mbed OS Nano Boards".
    flash_bytes=960 * KIB,
    ram_bytes=256 * KIB,
    # An empty sketch: 85,328 bytes of flash and 44,552 of RAM, as arduino-cli printed in a public
    # write-up (github.com/kierdavis/underglow). The rest is our reserve for the motion sensor's
    # library, I2C buffers and the heap of USB.
    core_flash_bytes=120 * KIB,
    core_ram_bytes=56 * KIB,
    # MBED_CONF_RTOS_MAIN_THREAD_STACK_SIZE in mbed_config.h: a static array, in the 44,552 bytes.
    core_stack_bytes=32 * KIB,
    clock_hz=64e6,
    # nRF52840 product specification, current consumption: CPU from flash with cache at 64 MHz and
    # 3 V, 6.3 mA by the linear regulator, 3.3 mA by the DC/DC converter. Whether the core turns the
    # converter on is not known to us: this is the higher figure, for the chip alone.
    volts=3.0,
    amperes=6.3e-3,
    flash=FlashTraits(),
)
