"""What a medium is, read before anything is done with it."""

from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VideoTrack(_Frozen):
    """`width` and `height` as stored; `rotation` is degrees counter-clockwise to show it upright.

    `keyframe_seconds` is the median distance of keyframes in the first stretch, None when it holds only one.
    """

    index: int
    codec: str
    width: int
    height: int
    rotation: int = 0
    fps: float
    variable_rate: bool = False
    keyframe_seconds: float | None = None
    bits: int = 8


class AudioTrack(_Frozen):
    index: int
    codec: str
    rate: int
    channels: int
    language: str | None = None


class Probe(_Frozen):
    """`start` is the medium's own first timestamp; all times we give out count from there.

    `duration` is what the container declares, 0 where it declares nothing. `whole_until` is set when the file ends
    before the tracks do.
    """

    container: str
    duration: float
    start: float
    video: VideoTrack | None = None
    audio: tuple[AudioTrack, ...] = ()
    recorded_at: AwareDatetime | None = None
    whole_until: float | None = None


def recorded_at(*tags: dict[str, str]) -> datetime | None:
    """The recording time from container or track tags, in UTC; cameras without a clock write 1904 or 1970."""
    for metadata in tags:
        for key in ("com.apple.quicktime.creationdate", "creation_time", "DATE_RECORDED"):
            try:
                value = datetime.fromisoformat(metadata.get(key, ""))
            except ValueError:
                continue
            # the container formats define these as UTC where no zone is written
            value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            if value.year > 1980:
                return value
    return None
