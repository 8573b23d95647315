"""Every setting there is. Built once, where a program starts, and passed down; nothing else reads the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Server(_Section):
    """The host's address and who may use it."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs at least one key."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8600
    """Port of the API, the console and MCP."""
    keys: dict[str, SecretStr] = {}
    """API keys by tenant: `{"team-a": "secret"}`. Without keys only loopback is served, as tenant `local`."""
    origins: list[str] = []
    """Browser origins, besides the host's own, that may call the API."""
    streams: Annotated[int, Field(ge=1)] = 200
    """Streams (SSE and WebSocket) open at once; one more is refused with a retry time."""


class Prefect(_Section):
    """The Prefect server that `sutradhar up` starts, always on loopback and behind an auth string."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8601
    """Port of the Prefect UI and API; 0 takes a free one."""
    url: str = ""
    """Use this Prefect API instead of starting one."""
    watch_seconds: Annotated[int, Field(ge=5)] = 60
    """How often the watched folder's schedule looks for new files."""


class Store(_Section):
    """Where segments live."""

    url: str = ""
    """A Qdrant server or cluster. Empty: the embedded engine under the home folder."""
    key: SecretStr = SecretStr("")
    """The Qdrant server's API key."""
    seal_points: Annotated[int, Field(ge=100)] = 10_000
    """Points after which the embedded engine seals a part and optimises it aside."""


class Limits(_Section):
    """What an upload may cost, checked before anything is decoded."""

    upload_bytes: int = 8 * 1024**3
    """Largest upload."""
    pixels: int = 3840 * 2160
    """Largest frame or image, width x height."""
    image_pixels: int = 64_000_000
    """Largest still image or document page, width x height."""
    seconds: float = 7_200.0
    """Longest medium."""
    frame_rate: float = 240.0
    """Highest declared frame rate."""
    streams: int = 16
    """Most audio and video tracks in one file."""
    pages: int = 2_000
    """Most pages, sheets or slides in one document."""
    archive_ratio: float = 100.0
    """Highest compression ratio inside an office document."""
    archive_bytes: int = 512 * 1024**2
    """Largest unpacked office document."""
    child_memory: int = 2 * 1024**3
    """Address space of the child that decodes, in bytes."""
    child_seconds: float = 3_600.0
    """Longest that one decoding child may run."""


class Live(_Section):
    """Pictures that are watched while they happen."""

    streams: Annotated[int, Field(ge=1)] = 8
    """Live pictures watched at once; one more is refused with a retry time."""
    allow: list[str] = []
    """Addresses that may be watched, by pattern: `["rtsp://camera.lan:554/*", "https://tv.example/live/*"]`."""
    seconds: Annotated[float, Field(gt=0)] = 86_400.0
    """Longest that one address is watched."""


class Budget(_Section):
    """When a run ends by itself, with what it has and the reason."""

    steps: Annotated[int, Field(ge=1)] = 40
    """Graph steps."""
    seconds: Annotated[float, Field(gt=0)] = 300.0
    """Wall-clock seconds."""
    tokens: Annotated[int, Field(ge=1)] = 20_000
    """Prompt and completion tokens over all chat calls."""


class Sandbox(_Section):
    """Where generated code runs: the most that one run may ask for, and how many run at once."""

    parallel: Annotated[int, Field(ge=1, le=256)] = 8
    """Runs at once; one more waits for its turn."""
    wait_seconds: Annotated[float, Field(gt=0)] = 120.0
    """How long a run waits for its turn before it is refused."""
    seconds: Annotated[float, Field(gt=0)] = 120.0
    """Wall-clock seconds of a build or a run."""
    cpu_seconds: Annotated[float, Field(gt=0)] = 120.0
    """Processor seconds of all processes of a run."""
    memory: Annotated[int, Field(ge=1 << 24)] = 2 * 1024**3
    """Memory of all processes of a run, in bytes."""
    file_bytes: Annotated[int, Field(ge=0)] = 64 * 1024**2
    """Largest file that a run may write."""
    disk_bytes: Annotated[int, Field(ge=1 << 16)] = 256 * 1024**2
    """All files of a run together; they lie in memory."""
    processes: Annotated[int, Field(ge=1)] = 256
    """Processes and threads of a run."""
    output_bytes: Annotated[int, Field(ge=1)] = 1024**2
    """What a run may write to stdout and to stderr, each."""
    packages: list[str] = ["bandit", "coverage", "hypothesis", "mypy", "numpy", "pandas", "pytest", "ruff"]
    """Python packages that a run may ask for, with all that they need; only wheels are installed."""
    toolchains: list[Path] = []
    """Folders outside `/usr` that a run may read, such as `/opt/jdk`; their `bin` is on its PATH."""
    first_uid: Annotated[int, Field(ge=1000, lt=(1 << 31) - 100_000)] = 1_900_000_000
    """First of the user ids that runs get when the host runs as root."""


class Web(_Section):
    """The open web: who searches it, what may be read of it, and what an answer may cost."""

    searxng: str = ""
    """Address of a SearXNG, asked before any other, also on this network; its `search.formats` must have `json`."""
    keys: dict[str, SecretStr] = {}
    """Keys of search engines, asked in this order: `{"tavily": "", "brave": "", "serper": "", "exa": ""}`."""
    free: list[str] = ["wikipedia", "arxiv"]
    """Sources that are searched without a key."""
    addresses: dict[str, str] = {}
    """Other addresses of search engines, such as a mirror: `{"wikipedia": "https://wiki.example"}`."""
    allow: list[str] = []
    """Hosts that may be read though they are not on the open web, or on an odd port: `["wiki.lan:8080"]`."""
    robots: bool = True
    """Do not read what a site's robots.txt keeps from programs, unless a person gave the address."""
    user_agent: str = "Sutradhar/0.1 (+https://github.com/sutradhar/sutradhar)"
    """What we call ourselves."""
    page_bytes: Annotated[int, Field(ge=1)] = 20 * 1024**2
    """Largest answer, unpacked."""
    ratio: Annotated[float, Field(ge=1)] = 100.0
    """Highest compression ratio of an answer beyond a megabyte."""
    page_seconds: Annotated[float, Field(gt=0)] = 30.0
    """Longest that one address may take, with its redirects."""
    slowest: Annotated[int, Field(ge=0)] = 1_000
    """Bytes a second below which an answer is given up after a few seconds."""
    redirects: Annotated[int, Field(ge=0, le=20)] = 5
    """Most redirects of one address."""
    fresh_hours: Annotated[float, Field(ge=0)] = 24.0
    """How long a page that was read is not fetched again."""


class Policy(_Section):
    """What agents may do by themselves. People and programs at the doors are not asked."""

    approve: list[Literal["write", "spend"]] = ["write", "spend"]
    """Effects of an agent's tool calls that need a person's yes; it is remembered for the run."""
    trusted: list[str] = ["search_web", "fetch_page"]
    """Tools, by name or pattern, that need no yes whatever their effect."""
    allow: dict[str, list[str]] = {}
    """Tools that an agent may use, by name or pattern, such as `{"research": ["recall"]}`; others may use all."""
    deny: list[str] = []
    """Tools, by name or pattern, that no agent may use."""
    hosts: list[str] = []
    """Hosts, by name or pattern, that a model may send something to besides those that the question names."""


class McpServer(_Section):
    """An MCP server whose tools the assistant may use, by `command` or by `url`."""

    command: list[str] = []
    """Program and arguments of a server that speaks over its standard input and output."""
    url: str = ""
    """Address of a server that speaks streamable HTTP."""
    headers: dict[str, SecretStr] = {}
    """Headers sent to `url`, such as `{"Authorization": "Bearer ..."}`."""
    env: dict[str, SecretStr] = {}
    """Variables given to `command`; it gets none of the host's secrets."""
    tools: list[str] = ["*"]
    """The server's tools that may be used, by name or pattern."""
    reads: list[str] = []
    """Its tools that only read, by name or pattern. All others need a person's yes: what the server itself says of its
    tools is not trusted."""
    seconds: Annotated[float, Field(gt=0)] = 60.0
    """Longest that one call may take."""

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> "McpServer":
        if bool(self.command) == bool(self.url):
            raise ValueError("name either a `command` or a `url`")
        return self


class Settings(BaseSettings):
    """Sutradhar's settings: `SUTRADHAR_PORT`-style variables, nested by two underscores, or a `.env` file."""

    model_config = SettingsConfigDict(
        env_prefix="SUTRADHAR_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    home: Path = Path.home() / ".sutradhar"
    """All data: media, segments, threads, logs, secrets. Made with mode 0700."""
    cache: Path = Path.home() / ".cache" / "sutradhar"
    """Weights and package archives; safe to delete, shared by all homes."""
    profile: str = "embedded"
    """Which models serve: `embedded`, `one-gpu`, `owner` or `remote`."""
    roles: dict[str, str] = {}
    """Chat roles mapped to other rows than the profile's: `{"reasoning": "smollm2-135m-instruct"}`."""
    serves: dict[str, list[str]] = {}
    """Capabilities mapped to other rows than the profile's."""
    successors: dict[str, str] = {}
    """Models that serve for others, such as retired ones: `{"gpt-4": "claude-opus-5-5"}`."""
    devices: dict[str, float] = {}
    """Memory budget in GB per device (`cpu`, `gpu:0`), instead of the profile's."""
    idle_seconds: Annotated[float, Field(gt=0)] = 900.0
    """A model unused for so long leaves memory."""
    commercial: bool = False
    """Refuse models whose licence forbids commercial use and take the permitted peer."""
    offline: bool = False
    """Never fetch: a missing model is an error that names the command, and of the web only `web.allow` is read."""
    api_keys: dict[str, SecretStr] = {}
    """Keys of remote model providers: `{"openai": "...", "anthropic": "..."}`."""
    watch: Path | None = None
    """Folder that the scheduled flow ingests; default `HOME/watch`."""
    server: Server = Server()
    prefect: Prefect = Prefect()
    store: Store = Store()
    limits: Limits = Limits()
    live: Live = Live()
    budget: Budget = Budget()
    policy: Policy = Policy()
    mcp: dict[str, McpServer] = {}
    """MCP servers by name: `{"files": {"command": ["mcp-files"], "env": {}, "tools": ["*"], "reads": ["read_*"]}}`."""
    sandbox: Sandbox = Sandbox()
    web: Web = Web()
