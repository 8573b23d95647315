"""What tools that use a model share: how one is asked for, and which one served."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tools.catalog import Choice

MediaRef = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}(/[^\x00]{1,200})?$",
        description="A medium's sha256, or something derived from it: `<sha256>/frames/12.480.jpg`.",
    ),
]


class ModelInput(BaseModel):
    """Base of the inputs of model tools."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="A row of the model catalogue; by default the profile chooses."
    )


class ModelOutput(BaseModel):
    """Base of the outputs of model tools."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(description="The catalogue's row that served.")
    reason: str = Field("", description="Why it served instead of the model that was asked for.")


def served(choice: Choice) -> dict[str, str]:
    """The fields of `ModelOutput`."""
    return {"model": choice.row.id, "reason": choice.reason}
