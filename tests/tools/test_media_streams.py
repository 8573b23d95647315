"""Live pictures from addresses: only the owner's, whatever a playlist names, and decoded as they come."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import av
import pytest

from tests.tools.films import counting, number_on
from tests.tools.rtsp import camera
from tools.errors import Forbidden, InvalidInput, SutradharError, UnsupportedMedia
from tools.media.streams import Source, admit, is_listed, open_stream
from tools.settings import Live, Settings

pytestmark = pytest.mark.anyio


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host'].partition(':')[0]}{self.path}")
        if self.path == "/away.m3u8":
            self.send_response(302)
            self.send_header("Location", "/live.m3u8")
            self.end_headers()
            return
        super().do_GET()


def hls(folder: Path, *, frames: int = 75) -> None:
    """A playlist with segments of a second: numbered frames and a tone."""
    with av.open(str(folder / "live.m3u8"), "w", format="hls", options={"hls_time": "1", "hls_list_size": "0"}) as out:
        stream: Any = out.add_stream("libx264", rate=25, options={"g": "25", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        draw = counting(160, 96)
        for number in range(frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(draw(number), format="rgb24")))
        out.mux(stream.encode(None))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on loopback, its address and its folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
    finally:
        server.shutdown()
        server.server_close()


def allowing(settings: Settings, *patterns: str) -> Settings:
    return settings.model_copy(update={"live": Live(allow=list(patterns))})


async def test_a_playlist_is_decoded_as_it_comes(settings: Settings, site: tuple[str, Path]) -> None:
    url, folder = site
    hls(folder)
    allowed = allowing(settings, f"{url}/*")
    source = await admit(f"{url}/live.m3u8", allowed)
    async with open_stream(source, allowed, fps=5.0, sound=False) as reader:
        pieces = [each async for each in reader.pieces()]
    shown = [(round(each.at, 2), number_on(each.image)) for each in pieces if each.image is not None]
    assert len(shown) + sum(each.dropped for each in pieces) == 15
    assert shown[-1] == (2.8, 70)
    assert all(at == pytest.approx(number / 25, abs=0.011) for at, number in shown)


async def test_a_playlist_that_names_another_host_is_not_followed(settings: Settings, site: tuple[str, Path]) -> None:
    url, folder = site
    hls(folder)
    stray = (folder / "live.m3u8").read_text().replace("live1.ts", f"{url.replace('127.0.0.1', 'localhost')}/live1.ts")
    (folder / "stray.m3u8").write_text(stray)
    allowed = allowing(settings, f"{url}/*")
    source = await admit(f"{url}/stray.m3u8", allowed)
    Quiet.asked.clear()
    async with open_stream(source, allowed, fps=5.0, sound=False) as reader:
        with suppress(UnsupportedMedia):
            _ = [each async for each in reader.pieces()]
    assert "127.0.0.1/live0.ts" in Quiet.asked
    assert [each for each in Quiet.asked if each.startswith("localhost")] == []


@pytest.mark.parametrize("path", ["nothing.m3u8", "away.m3u8", "text.m3u8"])
async def test_what_is_no_picture_is_told(settings: Settings, site: tuple[str, Path], path: str) -> None:
    url, folder = site
    hls(folder)
    (folder / "text.m3u8").write_text("no playlist\n" * 99)
    allowed = allowing(settings, f"{url}/*")
    async with open_stream(await admit(f"{url}/{path}", allowed), allowed, fps=5.0, sound=False) as reader:
        with pytest.raises(SutradharError, match="cannot be read"):
            _ = [each async for each in reader.pieces()]


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("rtsp://127.0.0.1:554/door", Forbidden),
        ("http://169.254.169.254/latest/live.m3u8", Forbidden),
        ("rtsp://cam.example@127.0.0.1/door", Forbidden),
        ("http://user:word@tv.example/live/a.m3u8", Forbidden),
        ("file:///etc/passwd", InvalidInput),
        ("concat:a|b", InvalidInput),
        ("rtsp://", InvalidInput),
        ("not an address", InvalidInput),
    ],
)
async def test_an_address_that_nobody_listed_is_refused(
    settings: Settings, address: str, error: type[Exception]
) -> None:
    allowed = allowing(settings, "rtsp://cam.example:554/*", "http://tv.example/live/*")
    with pytest.raises(error):
        await admit(address, allowed)


async def test_a_camera_is_watched_over_rtsp(settings: Settings) -> None:
    async with camera() as url:
        allowed = allowing(settings, f"{url.removesuffix('door')}*")
        source = await admit(url, allowed)
        async with open_stream(source, allowed, fps=5.0, sound=False) as reader:
            pieces = [each async for each in reader.pieces()]
    shown = [(each.at, number_on(each.image)) for each in pieces if each.image is not None]
    # on a busy machine the first ones may be dropped too
    assert len(shown) >= 3
    since, first = shown[0]
    assert all(at - since == pytest.approx((number - first) / 25, abs=0.05) for at, number in shown)


async def test_rtsp_is_opened_by_the_number_that_was_checked(settings: Settings) -> None:
    source = await admit("rtsp://me:secret@localhost/door", allowing(settings, "rtsp://localhost:554/*"))
    assert source == Source("rtsp://me:secret@127.0.0.1/door", "rtsp://localhost/door", ("rtsp://localhost:554/*",))


def test_patterns_hold_the_whole_address() -> None:
    allow = ["https://tv.example/live/*"]
    assert is_listed("https://tv.example/live/a.m3u8", allow)
    assert not is_listed("https://tv.example/other/a.m3u8", allow)
    assert not is_listed("https://tv.example/live/../other/a.m3u8", allow)
    assert not is_listed("https://tv.example/live/%2e%2e/other/a.m3u8", allow)
    assert not is_listed("https://tv.example:8443/live/a.m3u8", allow)
    assert not is_listed("http://tv.example/live/a.m3u8", allow)
    assert is_listed("https://tv.example/live/a.m3u8", ["https://tv.example:443/live/*"])
