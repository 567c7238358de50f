"""Settings of a local Studio: how fast it is, where its limits lie, and what it does where no source is sure.

Each default follows the documentation where there is any; each sentence says why the setting exists.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and value and (match := _DURATION.fullmatch(value)):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)
    raise ValueError("a duration is written like 24h5m, 30s or 0.5s")


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Timings(_Settings):
    """How long things take; the real service's figures are in ``default_studio.yaml``."""

    patch_takes_effect: Duration = timedelta(seconds=2)
    provisioning: Duration = timedelta(seconds=1)
    sas_valid_for: Duration = timedelta(hours=24, minutes=5)
    token_valid_for: Duration = timedelta(hours=1)
    score_timeout: Duration = timedelta(seconds=90)


class Rate(_Settings):
    """A token bucket: the calls that it holds when full, and those that flow back each second."""

    burst: Annotated[int, Field(ge=1)]
    per_second: Annotated[float, Field(gt=0)]


class RequestRates(_Settings):
    """The rate limits of Azure Resource Manager, per principal and subscription (new-protocol 5).

    While they are not enforced, nothing is refused, and the headers count down the calls of an hour.
    """

    enforced: bool = False
    reads: Rate = Rate(burst=250, per_second=25)
    writes: Rate = Rate(burst=200, per_second=10)
    deletes: Rate = Rate(burst=200, per_second=10)
    subscription_factor: Annotated[int, Field(ge=1)] = 15


class Limits(_Settings):
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


class Behaviour(_Settings):
    """What the emulator does where sources are silent or disagree (classic-protocol 8)."""

    show_resources_in_list: bool = False
    show_bound_location: bool = False
    put_existing: Literal["upsert", "conflict"] = "upsert"
    create_status: Literal[200, 201] = 201
    absent_endpoint: Literal[404, 204] = 404
    start_status: Literal[204, 200] = 204
    status_codes: Literal["names", "numbers"] = "names"
    queued_job_status: Literal["Running", "NotStarted"] = "Running"
    patch_assets: Literal["merge", "replace"] = "merge"
    write_while_provisioning: Literal["conflict", "accept"] = "conflict"
    list_page_size: Annotated[int, Field(ge=1)] = 1000
