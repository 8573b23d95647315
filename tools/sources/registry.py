"""Which file a package is, from the registries that the user's own pip and npm are configured for."""

import asyncio
import json
import os
import re
import shutil
import ssl
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

import aiohttp
from packaging.tags import Tag, platform_tags
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from tools.sources import Package, SourceFailed
from tools.sources.download import Remote, get_json

_ABBREVIATED = "application/vnd.npm.install-v1+json, application/json;q=0.5"
_SIMPLE = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"


@dataclass(frozen=True)
class Link:
    """One file of a project on an index page (PEP 503 or PEP 691)."""

    name: str
    url: str
    sha256: str | None = None
    size: int | None = None
    yanked: bool = False


def pip_settings(*names: str) -> str:
    """The first of pip's settings that is given, by pip's own precedence: environment, command, user, site."""
    try:
        from pip._internal.configuration import Configuration
        from pip._internal.exceptions import ConfigurationError
    except ImportError:
        variables = (os.environ.get(f"PIP_{name.upper().replace('-', '_')}") for name in names)
        return next((value for value in variables if value), "")
    configuration = Configuration(isolated=False)
    configuration.load()
    for name in names:
        for section in (":env:", "download", "install", "global"):
            try:
                if value := configuration.get_value(f"{section}.{name}"):
                    return str(value)
            except ConfigurationError:
                continue
    return ""


def index_urls() -> list[str]:
    """The package indexes in the order in which they are asked: pip's, uv's, pip's built-in default."""
    # uv has no command that tells its index, so its variables are read where pip names none
    named = pip_settings("index-url") or os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    return [named or _default_index(), *pip_settings("extra-index-url").split()]


def _default_index() -> str:
    try:
        from pip._internal.models.index import PyPI
    except ImportError as error:
        raise SourceFailed(
            "pip is not installed and PIP_INDEX_URL is not set: nobody says where packages are"
        ) from error
    return PyPI.simple_url


def certificates() -> ssl.SSLContext:
    """The system's certificate authorities, and those that pip and npm were given."""
    context = ssl.create_default_context()
    for bundle in (pip_settings("cert"), os.environ.get("NODE_EXTRA_CA_CERTS", "")):
        if bundle and Path(bundle).is_file():
            context.load_verify_locations(cafile=bundle)
    return context


async def find(http: aiohttp.ClientSession, package: Package) -> Remote:
    """Where the package's archive is and which digest it must have; raises `SourceFailed`."""
    return await (_find_npm(http, package) if package.scheme == "npm" else _find_pypi(http, package))


async def _find_pypi(http: aiohttp.ClientSession, package: Package) -> Remote:
    failures = []
    for index in await asyncio.to_thread(index_urls):
        page = f"{index.rstrip('/')}/{canonicalize_name(package.name)}/"
        try:
            links = await _links(http, page)
        except SourceFailed as failure:
            failures.append(str(failure))
            continue
        if link := _choose(links, package):
            digest = ("sha256", link.sha256) if link.sha256 else None
            return Remote(_signed(link.url, index), link.name, digest, link.size)
        failures.append(f"{urlsplit(index).hostname or index} has no {package.name} {package.version}")
    raise SourceFailed("; ".join(failures))


def _choose(links: Iterable[Link], package: Package) -> Link | None:
    """The file with the wanted version: one for every platform first, then one for ours, a source archive last."""
    version = Version(package.version)
    wanted = [link for link in links if _version(link.name, package.name) == version]
    return min(wanted, key=_rank, default=None)


def _rank(link: Link) -> tuple[bool, bool, bool, bool, str]:
    wheel = link.name.endswith(".whl")
    return (link.yanked, not wheel, not link.name.endswith("-none-any.whl"), not _fits_here(link.name), link.name)


def _fits_here(filename: str) -> bool:
    """Whether a wheel is for this platform; a library in another one would be of no use."""
    tags = _tags(filename)
    return bool({tag.platform for tag in tags} & _platforms())


def _tags(filename: str) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(filename)[3]
    except (InvalidWheelFilename, InvalidVersion):
        return frozenset()


@lru_cache(maxsize=1)
def _platforms() -> frozenset[str]:
    return frozenset(platform_tags())


def _version(filename: str, name: str) -> Version | None:
    try:
        if filename.endswith(".whl"):
            project, version, _, _ = parse_wheel_filename(filename)
        else:
            project, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None
    return version if project == canonicalize_name(name) else None


async def _links(http: aiohttp.ClientSession, page: str) -> list[Link]:
    if urlsplit(page).scheme == "file":
        folder = Path(url2pathname(urlsplit(page).path))
        try:
            text = await asyncio.to_thread((folder / "index.html").read_text)
        except OSError as error:
            raise SourceFailed(f"{folder} is not on this index") from error
        return list(_html_links(text, page))
    where, body, kind = await get_json(http, page, _SIMPLE)
    return list(_json_links(body, where) if kind.endswith("json") else _html_links(str(body), where))


def _json_links(body: Any, page: str) -> Iterator[Link]:
    for file in body.get("files", []):
        sha = file.get("hashes", {}).get("sha256")
        yield Link(file["filename"], urljoin(page, file["url"]), sha, file.get("size"), bool(file.get("yanked")))


def _html_links(text: str, page: str) -> Iterator[Link]:
    from lxml import html

    for anchor in html.fromstring(text or "<html/>").iter("a"):
        url, _, fragment = urljoin(page, anchor.get("href") or "").partition("#")
        sha = re.search(r"sha256=([0-9a-f]{64})", fragment)
        name = "".join(str(text) for text in anchor.itertext()).strip()
        yield Link(name, url, sha[1] if sha else None, None, anchor.get("data-yanked") is not None)


def _signed(url: str, index: str) -> str:
    """The file's address with the index's user and password, when the index serves its files itself."""
    ours, theirs = urlsplit(index), urlsplit(url)
    if "@" not in ours.netloc or theirs.hostname != ours.hostname or "@" in theirs.netloc:
        return url
    return urlunsplit(theirs._replace(netloc=ours.netloc))


async def _find_npm(http: aiohttp.ClientSession, package: Package) -> Remote:
    scope = package.name.partition("/")[0] if package.name.startswith("@") else ""
    registry = await asyncio.to_thread(npm_registry, scope)
    _, body, _ = await get_json(http, f"{registry.rstrip('/')}/{quote(package.name, safe='@')}", _ABBREVIATED)
    try:
        dist = body["versions"][package.version]["dist"]
        url = str(dist["tarball"])
    except (KeyError, TypeError):
        raise SourceFailed(f"{urlsplit(registry).hostname} has no {package.name} {package.version}") from None
    return Remote(_signed(url, registry), url.rpartition("/")[2], _integrity(dist))


def _integrity(dist: dict[str, str]) -> tuple[str, str] | None:
    for algorithm in ("sha512", "sha384", "sha256"):
        for each in str(dist.get("integrity", "")).split():
            if each.startswith(f"{algorithm}-"):
                return algorithm, b64decode(each.partition("-")[2].partition("?")[0]).hex()
    return ("sha1", dist["shasum"]) if "shasum" in dist else None


def npm_registry(scope: str) -> str:
    """The registry that npm would ask: its variable, its configuration, its default; raises `SourceFailed`."""
    variables = {name.lower(): value for name, value in os.environ.items()}
    if value := variables.get("npm_config_registry"):
        return value
    settings = _npm_settings()
    value = settings.get(f"{scope}:registry") or settings.get("registry")
    if not value:
        raise SourceFailed(
            "npm is not installed and no `registry` is in ~/.npmrc, so nobody says where npm packages are"
        )
    return value


@lru_cache(maxsize=1)
def _npm_settings() -> dict[str, str]:
    import subprocess

    if npm := shutil.which("npm"):
        told = subprocess.run(
            [npm, "config", "list", "--json"], capture_output=True, text=True, timeout=60, check=False
        )
        try:
            return {key: value for key, value in json.loads(told.stdout).items() if isinstance(value, str)}
        except ValueError:
            pass
    npmrc = Path.home() / ".npmrc"
    lines = npmrc.read_text(encoding="utf-8").splitlines() if npmrc.is_file() else []
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith((";", "#")))
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}
