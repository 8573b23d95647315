"""Files that lie, bombs and broken files: read, or refused with a plain reason; the next job is fine."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.tools.films import film, wav
from tools.errors import SutradharError, TooLarge, UnsupportedMedia
from tools.media.container import Bounds, sniff
from tools.media.decode import Decoder
from tools.media.frames import FramePlan
from tools.media.reader import open_media, probe, read_pcm
from tools.settings import Limits

pytestmark = pytest.mark.anyio

HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n%s\n#EXT-X-ENDLIST\n"


def refused(path: Path, kind: type[SutradharError], match: str, bounds: Bounds | None = None) -> None:
    with pytest.raises(kind, match=match) as caught:
        Decoder(path, bounds).probe()
    assert caught.value.status in {413, 415}
    with pytest.raises(kind):
        list(Decoder(path, bounds).frames(FramePlan()))


def test_a_concat_script_called_mp4_does_not_read_its_neighbour(tmp_path: Path) -> None:
    film(tmp_path / "other_tenant.mp4", frames=5)
    script = tmp_path / "mine.mp4"
    script.write_text("ffconcat version 1.0\nfile other_tenant.mp4\n")
    refused(script, UnsupportedMedia, "concat script")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://127.0.0.1:9/a.ts", "other.mp4"])
def test_a_playlist_called_mp4_is_refused(tmp_path: Path, target: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(HLS % target.encode())
    refused(path, UnsupportedMedia, "playlist")


def test_a_script_behind_a_real_header_is_not_followed(tmp_path: Path) -> None:
    film(tmp_path / "other.mp4", frames=5)
    path = tmp_path / "a.mp4"
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + b"ffconcat version 1.0\nfile other.mp4\n")
    refused(path, UnsupportedMedia, "moov")


def test_a_picture_bomb_is_no_video(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 16000, 16000, 8, 2, 0, 0, 0)
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)))
    refused(path, UnsupportedMedia, "still image")


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", frames=2, size=(640, 360))
    refused(path, TooLarge, "640x360", Bounds(pixels=320 * 180))


def test_too_long_too_fast_too_many_too_big(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", frames=50, tone=2.0)
    refused(path, TooLarge, "lasts 2 s", Bounds(seconds=1.0))
    refused(path, TooLarge, "25 frames a second", Bounds(frame_rate=20))
    refused(path, TooLarge, "2 tracks", Bounds(streams=1))
    refused(path, TooLarge, "bytes", Bounds(size=100))


def test_one_frame_an_hour_for_ten_hours(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", frames=11, times=[n * 3600.0 for n in range(11)])
    refused(path, TooLarge, "lasts 36000 s")


def test_text_and_other_files_by_other_names(tmp_path: Path) -> None:
    for number, (data, why) in enumerate(
        [
            (b"Just some words.\n" * 20, "begins with"),
            (b"", "empty"),
            (b"%PDF-1.7\n", "PDF"),
            (b"PK\x03\x04" + b"\0" * 99, "archive"),
            ("UTF-16 text".encode("utf-16"), "begins with"),
            (b"<html></html>", "markup"),
            (b"\x00\x00\x00\x1cftypavif" + b"\0" * 50, "still image"),
        ]
    ):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(data)
        refused(path, UnsupportedMedia, why)


@pytest.mark.parametrize(
    ("head", "demuxer"),
    [
        (b"\0\0\0\x20ftypisom", "mp4"),
        (b"\0\0\0\x14ftypqt  ", "mp4"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "mp4"),
        (b"\x1aE\xdf\xa3\x01", "matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"fLaC\0\0\0\x22", "flac"),
        (b"OggS\0\2", "ogg"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"ID3\x04\0\0\0\0\0\x02XX\xff\xf1\x50\x80", "aac"),
        (b"ID3\x04\0\0\0\0\0\x02XX\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
    ],
)
def test_the_first_bytes_choose_the_demuxer(head: bytes, demuxer: str) -> None:
    assert sniff(head + b"\0" * 32) == demuxer


def test_a_film_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", frames=150, size=(320, 180), gop=25)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 6 // 10])
    found = Decoder(whole).probe()
    assert found.duration == pytest.approx(6.0, abs=0.1)
    assert found.whole_until is not None
    assert 2 < found.whole_until < 5.5
    for mode in ("full", "keyframes"):
        times = [each.time for each in Decoder(whole).frames(FramePlan(mode=mode, step=0.5))]
        assert found.whole_until - 1.2 < times[-1] < found.whole_until + 0.5


def test_a_film_without_its_index_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", frames=20)
    path.write_bytes(path.read_bytes()[:30])
    refused(path, UnsupportedMedia, "cut off or damaged")


def test_damage_in_the_middle_costs_some_frames_only(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", frames=150, size=(320, 180), gop=25)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = os.urandom(600)
    path.write_bytes(data)
    times = [each.time for each in Decoder(path).frames(FramePlan(step=0.5))]
    assert times[0] == 0
    assert times[-1] > 5


async def test_a_child_that_runs_out_of_memory_dies_alone(tmp_path: Path) -> None:
    good = film(tmp_path / "good.mp4", frames=30, tone=1.2)
    big = film(tmp_path / "big.mp4", frames=3, size=(4096, 2160))
    before = psutil.Process().memory_info().rss
    with pytest.raises(UnsupportedMedia, match=r"limits|decoded"):
        async with open_media(big, Limits(child_memory=300 * 1024**2, pixels=10**8)) as reader:
            [each async for each in reader.frames(FramePlan(side=0))]
    assert psutil.Process().memory_info().rss - before < 200 * 1024**2
    assert (await probe(good, Limits())).duration == pytest.approx(1.2, abs=0.1)
    assert len(await read_pcm(good, Limits())) == pytest.approx(1.2 * 16_000, abs=1_100)


async def test_two_jobs_of_one_child_do_not_wait_for_each_other(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", frames=100, tone=4.0)
    async with open_media(path, Limits()) as reader:
        frames = reader.frames(FramePlan(step=0.04))
        first = await anext(frames)
        heard = sum([len(part) async for part in reader.pcm()])
        rest = [each async for each in frames]
    assert first.time == 0
    assert heard > 60_000
    assert len(rest) >= 95


async def test_refusals_come_out_of_the_child_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("ffconcat version 1.0\nfile b.mp4\n")
    with pytest.raises(UnsupportedMedia, match="concat script"):
        await probe(path, Limits())
    with pytest.raises(TooLarge, match="lasts"):
        await probe(wav(tmp_path / "a.wav", np.zeros(16_000 * 3, np.float32)), Limits(seconds=2.0))


async def test_odd_files_are_read_or_refused(data: Path) -> None:
    for path in sorted((data / "video" / "odd").iterdir()):
        async with open_media(path, Limits()) as reader:
            if path.suffix == ".jpg":
                with pytest.raises(UnsupportedMedia):
                    await reader.probe()
                continue
            found = await reader.probe()
            frames = [each async for each in reader.frames(FramePlan(mode="keyframes", step=0.5))]
        assert found.video is not None
        assert frames[0].time == 0, path.name
        assert frames[-1].time >= found.duration - 0.55, path.name
