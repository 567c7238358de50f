"""Settings of an emulator: how fast it is and where its limits lie.

What it does where no source is sure is in `reconciler.emulator.config.behaviour`.
"""

import difflib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from reconciler.emulator.config.profiles import setting

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and value and (match := _DURATION.fullmatch(value)):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)
    raise ValueError("a duration is written like 24h5m, 30s or 0.5s")


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class Settings(BaseModel):
    """A section of settings; an unknown name is an error that suggests the nearest one."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        names = {alias for name, field in cls.model_fields.items() for alias in (name, field.alias or name)}
        unknown = [str(name) for name in given if name not in names] if isinstance(given, Mapping) else []
        if unknown:
            raise ValueError("; ".join(_unknown(name, names) for name in unknown))
        return given


def _unknown(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(to_camel(name), names, n=1)
    return f"unknown setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


class Timings(Settings):
    """How long things take; the real service's figures are in ``default_studio.yaml``."""

    patch_takes_effect: Duration = setting(
        timedelta(seconds=2),
        "The guide says about 30 seconds; each profile has another, shorter time.",
        terse=timedelta(seconds=1),
        hostile=timedelta(seconds=4),
    )
    queue: Duration = setting(
        timedelta(0),
        "A started job waits in a queue that all tenants share, for an unknown time.",
        hostile=timedelta(seconds=1),
    )
    jobs_kept: Duration = setting(
        timedelta(days=30),
        "How long the record of a job that has ended is kept is unknown.",
        hostile=timedelta(hours=1),
    )
    provisioning: Duration = timedelta(seconds=1)
    sas_valid_for: Duration = timedelta(hours=24, minutes=5)
    token_valid_for: Duration = timedelta(hours=1)
    score_timeout: Duration = timedelta(seconds=90)


Command = Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]


class CodeSettings(Settings):
    """What runs the code of published services (classic-protocol 1.3): nothing, unless a command is named."""

    interpreters: Mapping[str, Annotated[Command, Field(min_length=1)]] = {}
    memory_megabytes: Annotated[int, Field(ge=256)] = 2048

    @model_validator(mode="after")
    def _is_python(self) -> Self:
        if others := [name for name in self.interpreters if not name.lower().startswith("python-")]:
            raise ValueError(f"only Python can be run, such as python-2.7-64, not {', '.join(others)}")
        return self

    def interpreter(self, language: str) -> tuple[str, ...] | None:
        """Return the command for a language; None if there is none."""
        return next((command for name, command in self.interpreters.items() if name.lower() == language.lower()), None)


class Rate(Settings):
    """A token bucket: the calls that it holds when full, and those that flow back each second."""

    burst: Annotated[int, Field(ge=1)]
    per_second: Annotated[float, Field(gt=0)]


class RequestRates(Settings):
    """The rate limits of Azure Resource Manager, per principal and subscription (new-protocol 5).

    While they are not enforced, nothing is refused, and the headers count down the calls of an hour.
    """

    enforced: bool = False
    reads: Rate = Rate(burst=250, per_second=25)
    writes: Rate = Rate(burst=200, per_second=10)
    deletes: Rate = Rate(burst=200, per_second=10)
    subscription_factor: Annotated[int, Field(ge=1)] = 15


class Limits(Settings):
    """Documented limits (classic-protocol 1.10, 3)."""

    endpoints_per_service: Annotated[int, Field(ge=1)] = 10_000
    free_tier_endpoints: Annotated[int, Field(ge=1)] = 3
    max_concurrent_calls: Annotated[int, Field(ge=1)] = 200
    low_throttle_calls: Annotated[int, Field(ge=1)] = 4
    default_high_calls: Annotated[int, Field(ge=1)] = 20
    running_jobs_per_endpoint: Annotated[int, Field(ge=1)] = 40
    endpoint_name_length: Annotated[int, Field(ge=1)] = 24
    description_length: Annotated[int, Field(ge=1)] = 2000
    associations_per_plan: Annotated[int, Field(ge=1)] = 10_000
    inline_payload_bytes: Annotated[int, Field(ge=1)] = 3 << 20
    request_rates: RequestRates = RequestRates()
