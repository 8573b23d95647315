"""What routes ask for: the host, the tenant, and the bench that works for this tenant."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.host import Host
from tools.bench import Bench
from tools.errors import Unauthorized


def host(connection: HTTPConnection) -> Host:
    opened: Host = connection.app.state.host
    return opened


def tenant(connection: HTTPConnection) -> str:
    """The caller's tenant, as the guard found it."""
    found: str | None = getattr(connection.state, "tenant", None)
    if found is None:
        raise Unauthorized("This host needs a key.")
    return found


HostDep = Annotated[Host, Depends(host)]
TenantDep = Annotated[str, Depends(tenant)]


def bench(host: HostDep, tenant: TenantDep) -> Bench:
    return host.bench.serving(tenant)


BenchDep = Annotated[Bench, Depends(bench)]
