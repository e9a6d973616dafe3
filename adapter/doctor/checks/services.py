"""The way from an APIService to a pod: the Service, its ports, and who is behind it."""

from __future__ import annotations

from adapter.doctor.facts import Container, Facts, Service, ServicePort, Template, Unknown, Workload, container_of
from adapter.doctor.findings import Notes, Outcome, skipped
from adapter.doctor.reading import selects

_EXTERNAL = "ExternalName"


def look(facts: Facts) -> Outcome:
    """Follow the ports from the APIServices over the Service to the container."""
    service = facts.service
    if isinstance(service, Unknown):
        return skipped(service)
    notes = Notes()
    if service is None:
        notes.find(
            "service/missing",
            f"there is no Service {facts.target}",
            cure=("helm upgrade, or kubectl apply, with the Service's manifest",),
        )
        return notes.outcome()
    if service.type == _EXTERNAL:
        notes.find("service/external-name", f"the Service {service.place} stands for {service.external_name}")
        return notes.outcome(f"a name for {service.external_name}")
    used = _ports_used(notes, service, facts)
    _look_at_selector(notes, service, facts)
    _look_at_targets(notes, service, used, facts)
    ports = ", ".join(f"{one.port} to {one.target}" for one in used)
    return notes.outcome(f"{service.place}, port {ports}" if ports else str(service.place))


def _ports_used(notes: Notes, service: Service, facts: Facts) -> list[ServicePort]:
    """Return the ports of the Service that APIServices name; one that it does not have is a finding."""
    if isinstance(facts.api_services, Unknown):
        notes.skip("the ports of the APIServices", facts.api_services)
        return list(service.ports)
    found: dict[int, ServicePort] = {}
    for one in facts.api_services.values():
        if one.service != facts.target:
            continue
        port = next((port for port in service.ports if port.port == one.port), None)
        if port is not None:
            found[port.port] = port
            continue
        has = ", ".join(str(port.port) for port in service.ports) or "none"
        right = service.ports[0].port if service.ports else one.port
        change = f'{{"spec":{{"service":{{"port":{right}}}}}}}'
        notes.find(
            "service/port",
            f"the APIService {one.name} leads to port {one.port} of {service.place}, which has {has}",
            cure=(f"kubectl patch apiservice {one.name} --type=merge -p '{change}'",),
        )
    return list(found.values())


def _look_at_selector(notes: Notes, service: Service, facts: Facts) -> None:
    workload = facts.workload
    if workload is None or isinstance(workload, Unknown) or not service.selector:
        return
    if not selects({"matchLabels": dict(service.selector)}, workload.template.labels):
        notes.find(
            "service/selector",
            f"the Service {service.place} does not select the pods of the {workload.kind} {workload.place}",
            seen=(f"selector: {_labels(service.selector)}", f"labels: {_labels(workload.template.labels)}"),
            cure=(f"kubectl -n {service.place.namespace} get service {service.place.name} -o wide",),
        )


def _labels(labels: object) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(dict(labels).items())) or "none"  # type: ignore[call-overload]  # a mapping of texts


def _look_at_targets(notes: Notes, service: Service, used: list[ServicePort], facts: Facts) -> None:
    workload = facts.workload
    if workload is None or isinstance(workload, Unknown):
        return
    container = container_of(workload.template)
    if container is None:
        return
    for port in used:
        number = _number(port, workload.template)
        if number is None:
            _say(notes, service, port, workload, f"no container of the pods has a port called {port.target}")
        elif not isinstance(facts.settings, Unknown) and number != facts.settings.secure_port:
            _say(notes, service, port, workload, f"it leads to {number}: --secure-port is {facts.settings.secure_port}")


def _number(port: ServicePort, template: Template) -> int | None:
    if isinstance(port.target, int):
        return port.target
    named = [one.ports[port.target] for one in template.containers if port.target in one.ports]
    return named[0] if named else None


def _say(notes: Notes, service: Service, port: ServicePort, workload: Workload, why: str) -> None:
    notes.find(
        "service/target-port",
        f"port {port.port} of {service.place} has the targetPort {port.target}, and {why}",
        seen=(f"ports of the container: {_ports(container_of(workload.template))}",),
        cure=(f"kubectl -n {service.place.namespace} edit service {service.place.name}",),
    )


def _ports(container: Container | None) -> str:
    named = container.ports.items() if container else ()
    return ", ".join(f"{name} {number}" if name != str(number) else name for name, number in named) or "none"


def look_at_endpoints(facts: Facts) -> Outcome:
    """Count who is behind the Service."""
    if isinstance(facts.service, Unknown):
        return skipped(facts.service)
    if facts.service is None:
        return Outcome(skipped=("there is no Service",))
    if facts.service.type == _EXTERNAL:
        return Outcome(skipped=("the Service is a name outside of the cluster",))
    if isinstance(facts.endpoints, Unknown):
        return skipped(facts.endpoints)
    ready = [one for one in facts.endpoints if one.ready]
    notes = Notes()
    if not ready:
        place = facts.service.place
        notes.find(
            "endpoints/none",
            f"the Service {place} has no ready endpoint",
            seen=(f"{len(facts.endpoints)} that are not ready" if facts.endpoints else "no pod is behind it",),
            cure=(
                f"kubectl -n {place.namespace} get endpointslices -l kubernetes.io/service-name={place.name}",
                f"kubectl -n {place.namespace} get pods --show-labels",
            ),
        )
    return notes.outcome(f"{len(ready)} ready" if ready else "")
