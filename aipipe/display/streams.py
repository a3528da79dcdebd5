"""Coded streams without what is not sound or picture: words also travel inside the streams that a container holds.

Encoders write their settings, and others whatever they like, into messages of H.264 and HEVC ("supplemental enhancement
information"), into metadata units of AV1 and user data of MPEG-4; and a demuxer glues bytes that stand behind or between
the frames of an MP3 to the frame before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

FILTERS = {
    "h264": "filter_units=remove_types=6",
    "hevc": "filter_units=remove_types=39-40",
    "av1": "filter_units=remove_types=5|15",
}
"""Units that no decoder needs, by their numbers in the standards: messages, metadata, padding."""

_USER_DATA = re.compile(rb"\x00\x00\x01\xb2.*?(?=\x00\x00\x01|\Z)", re.DOTALL)
_RATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits per second of layer III, by version (3 is MPEG-1, 2 stands for both lower ones)."""
_SAMPLING = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


class Cleaner:
    """Takes the packets of one stream, gives those to write."""

    def __init__(self, codec: str, stream: Any, copy: Any) -> None:
        from av.bitstream import BitStreamFilterContext

        self._codec = codec
        name = FILTERS.get(codec)
        self._filter = BitStreamFilterContext(name, stream, copy) if name else None
        head = copy.codec_context.extradata if copy.codec_context else None
        if head and codec == "mpeg4":
            copy.codec_context.extradata = _USER_DATA.sub(b"", head)
        if head and codec == "hevc":
            copy.codec_context.extradata = _without_messages(head)

    def of(self, packet: Any) -> Iterator[Any]:
        """What of a packet is sound or picture; None as a packet asks for what is still held back."""
        if self._filter is not None:
            yield from self._filter.filter(packet)
        elif packet is not None:
            data = self._cut(bytes(packet))
            if data == bytes(packet):
                yield packet
            elif data:
                yield _like(packet, data)

    def _cut(self, data: bytes) -> bytes:
        if self._codec == "mp3":
            return data[: frame_length(data)]
        return _USER_DATA.sub(b"", data) if self._codec == "mpeg4" else data


def frame_length(data: bytes) -> int:
    """Length in bytes of the MP3 frame at the beginning; 0 where none begins. Source: ISO/IEC 11172-3, 2.4.2.3."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return 0
    version, layer = data[1] >> 3 & 3, 4 - (data[1] >> 1 & 3)
    rates = _RATES[3 if version == 3 else 2]
    rate, sampling = data[2] >> 4, data[2] >> 2 & 3
    if layer != 3 or version == 1 or rate >= len(rates) or not rate or sampling == 3:
        return 0
    samples = 144 if version == 3 else 72
    return samples * rates[rate] * 1000 // _SAMPLING[version][sampling] + (data[2] >> 1 & 1)


def _without_messages(head: bytes) -> bytes:
    """The head of an HEVC stream, in units behind start codes as the filter leaves it, without its messages."""
    if not head.startswith((b"\0\0\1", b"\0\0\0\1")):
        return head
    units = [unit.rstrip(b"\0") for unit in head.split(b"\0\0\1") if unit.strip(b"\0")]
    return b"".join(b"\0\0\0\1" + unit for unit in units if unit[0] >> 1 & 0x3F not in (39, 40))


def _like(packet: Any, data: bytes) -> Any:
    from av import Packet

    other = Packet(data)
    other.pts, other.dts, other.duration = packet.pts, packet.dts, packet.duration
    other.time_base, other.is_keyframe = packet.time_base, packet.is_keyframe
    return other
