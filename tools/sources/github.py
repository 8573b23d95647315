"""Files of public git repositories at a commit, out of the archive that GitHub makes of it."""

from tools.sources import Part
from tools.sources.download import Remote

_ENDPOINT = "https://codeload.github.com"


def find(part: Part, *, endpoint: str | None) -> Remote:
    """The archive of the commit. It has no digest of its own; the catalogue's is of the file in it."""
    repository = part.name.partition("/")[2]
    return Remote(
        f"{(endpoint or _ENDPOINT).rstrip('/')}/{part.name}/tar.gz/{part.version}",
        f"{repository}-{part.version[:12]}.tar.gz",
    )
