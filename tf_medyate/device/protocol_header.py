"""Writes `tflm_ops/device/protocol.h` from `protocol`.

python -m tf_medyate.device.protocol_header
"""

from __future__ import annotations

from tf_medyate import c_structs
from tf_medyate.cpp_sources import source_root
from tf_medyate.device import protocol

PLACE = "tflm_ops/device/protocol.h"


def header() -> str:
    """The text of the generated header."""
    body = [
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        "namespace medyate {",
        "",
        f"constexpr uint32_t kProtocolVersion = {protocol.VERSION};",
        f"constexpr uint32_t kProtocolMagic = 0x{protocol.MAGIC:08x}u;",
        f"constexpr uint32_t kTicketMagic = 0x{protocol.TICKET_MAGIC:08x}u;",
        f"constexpr uint32_t kProofMagic = 0x{protocol.PROOF_MAGIC:08x}u;",
        f"constexpr uint32_t kFrameHeaderBytes = {protocol.HEADER_BYTES};",
        f"constexpr uint32_t kFrameChecksumBytes = {protocol.CHECKSUM_BYTES};",
        f"constexpr uint8_t kAnswerBit = {protocol.ANSWER_BIT:#x};",
        f"constexpr uint32_t kMaxSampleRank = {protocol.MAX_RANK};",
        f"constexpr uint32_t kAny = {protocol.ANY:#x}u;",
        f"constexpr uint32_t kLeastBufferWords = {protocol.LEAST_BUFFER_WORDS};",
        f"constexpr uint32_t kFrameTimeoutMs = {protocol.FRAME_TIMEOUT_MS};",
        f"constexpr uint32_t kTransferTimeoutMs = {protocol.TRANSFER_TIMEOUT_MS};",
        "",
        *c_structs.enum_lines(protocol.RequestKind, "uint8_t"),
        *c_structs.enum_lines(protocol.Region, "uint32_t"),
        *c_structs.enum_lines(protocol.DeviceStatus, "uint8_t"),
        *_status_names(),
    ]
    for payload in protocol.PAYLOADS:
        body += c_structs.struct_lines(payload)
    body.append("}  // namespace medyate")
    generator = "tf_medyate/device/protocol_header.py"
    source = "tf_medyate/device/protocol.py and docs/protocol.md"
    return c_structs.header_text(PLACE, generator, source, body)


def _status_names() -> list[str]:
    lines = [
        '// The status in words, as in "kBadChecksum".',
        "inline const char* DeviceStatusName(DeviceStatus status) {",
        "  switch (status) {",
    ]
    for status in protocol.DeviceStatus:
        name = f"k{c_structs.camel(status.name)}"
        lines += [f"    case DeviceStatus::{name}:", f'      return "{name}";']
    return [*lines, "  }", '  return "unknown";', "}", ""]


if __name__ == "__main__":
    (source_root() / PLACE).write_text(header())
