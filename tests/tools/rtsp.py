"""A camera that speaks as much RTSP (RFC 2326) as a player needs: H.264 over the same TCP connection."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av

from tests.tools.films import counting

_FPS = 25


def _units(frames: int) -> list[list[bytes]]:
    """The NAL units of each frame, each small enough for one RTP packet (RFC 6184, single unit mode)."""
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 160, 96, "yuv420p"
    context.framerate, context.time_base = _FPS, Fraction(1, _FPS)
    context.options = {"tune": "zerolatency", "g": "10", "x264-params": "annexb=1:repeat-headers=1"}
    draw = counting(160, 96)
    found = list[list[bytes]]()
    for number in range(frames):
        data = b"".join(
            bytes(each) for each in context.encode(av.VideoFrame.from_ndarray(draw(number), format="rgb24"))
        )
        found.append([each for each in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if each])
    return found


@asynccontextmanager
async def camera(frames: int = 50) -> AsyncIterator[str]:
    """Its address; it plays so many frames at 25 a second and hangs up."""
    units = _units(frames)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _talk(reader, writer, units)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/door"


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, units: list[list[bytes]]) -> None:
    while True:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, number = (
            lines[0].split()[0],
            next(each[5:].strip() for each in lines if each.lower().startswith("cseq")),
        )
        head, body = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n", ""
        if method == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=door\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
            body += "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            head += "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        else:
            head += "Session: 1\r\n"
        writer.write(f"{head}\r\n{body}".encode())
        await writer.drain()
        if method == "PLAY":
            return await _play(writer, units)
        if method == "TEARDOWN":
            return None


async def _play(writer: asyncio.StreamWriter, units: list[list[bytes]]) -> None:
    sequence = 0
    for number, frame in enumerate(units):
        for place, unit in enumerate(frame):
            last = place == len(frame) - 1
            rtp = struct.pack(">BBHII", 0x80, 96 | (0x80 if last else 0), sequence, number * 90_000 // _FPS, 7) + unit
            writer.write(b"$\0" + struct.pack(">H", len(rtp)) + rtp)
            sequence += 1
        await writer.drain()
        await asyncio.sleep(1 / _FPS)
