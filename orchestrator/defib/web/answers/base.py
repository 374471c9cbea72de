"""What all answers have in common, and what is answered when something is wrong."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Scalar = str | int | float | bool | None


class Answer(BaseModel):
    """Base of all."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class ProblemDetails(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] | None = Field(default=None, description="Each wrong parameter or member.")
    mistakes: list[str] | None = Field(default=None, description="Each mistake of the configuration.")
