"""Reaches hosts: is somebody there, and what time is it there?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from reconciler.azure.clouds import Cloud
from reconciler.azure.errors import Retired, ServiceError
from reconciler.azure.http import Http
from reconciler.plan.checks.clocks import check_clock
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.targets.diagnosis import Host


class Hosts:
    """Asks each host once, side by side."""

    def __init__(self, cloud: Cloud, http: Http, trusting: Http) -> None:
        """Make one.

        Args:
            cloud: Whose hosts they are.
            http: For hosts that the system's certificate authorities vouch for.
            trusting: For those that the cloud's own do.
        """
        self._cloud = cloud
        self._http = http
        self._trusting = trusting
        self._asked: dict[str, Host] = {}
        self._roles: dict[str, list[str]] = {}
        self._silent: dict[str, str] = {}

    def is_silent(self, url: str) -> bool:
        """Whether the host of a URL was asked and did not answer."""
        return bool(self._silent.get(Host(url, "").origin))

    async def ask(self, hosts: Iterable[Host]) -> list[Check]:
        """Ask those that were not asked before; gives a check of each."""
        new: dict[str, Host] = {}
        for host in hosts:
            roles = self._roles.setdefault(host.origin, [])
            if host.role not in roles:
                roles.append(host.role)
            if host.origin not in self._asked:
                new.setdefault(host.origin, host)
        silences = await asyncio.gather(*(self._silence(host) for host in new.values()))
        answers = dict(zip(new.values(), silences, strict=True))
        others = ", ".join(sorted(host.netloc for host, (_, unknown) in answers.items() if unknown and not host.studio))
        for host, (text, unknown) in answers.items():
            # Where names that are not Studio's are not known either, that says nothing of Studio.
            offline = f"the hosts {host.netloc} and {others} do not exist: check the network of this machine"
            self._silent[host.origin] = offline if unknown and host.studio and others else text
        self._asked |= new
        return [self._check(host) for host in new.values()]

    def clocks(self) -> list[Check]:
        """How far the clocks of those that answered are off, by the latest answer of each."""
        return [
            check_clock(origin, self._pool(host).clocks.get(host.netloc))
            for origin, host in self._asked.items()
            if not self._silent[origin]
        ]

    def _check(self, host: Host) -> Check:
        roles, silence = ", ".join(self._roles[host.origin]), self._silent[host.origin]
        outcome = CheckOutcome.FAILED if silence else CheckOutcome.OK
        text = f"{silence} (needed for {roles})" if silence else f"answers ({roles})"
        return Check(name="host", subject=host.origin, outcome=outcome, text=text)

    def _pool(self, host: Host) -> Http:
        return self._trusting if host.own_authority and self._cloud.ca_file is not None else self._http

    async def _silence(self, host: Host) -> tuple[str, bool]:
        """Why a host does not answer, and whether its name is not known; empty if it does answer, whatever it says."""
        try:
            await self._pool(host).request("HEAD", f"{host.origin}/", operation="reach it", idempotent=False)
        except ServiceError as error:
            # An error status is an answer: somebody is there. Without one the call itself failed.
            if not error.status:
                unknown = isinstance(error, Retired)
                return (f"host {host.netloc} does not exist" if unknown and not host.studio else error.message), unknown
        return "", False
