"""The New web services of the studio file, as a deployment from Studio would have defined them.

A definition has the modules of its experiment as assets of type Module, and a predictive one has its trained model as
an asset of type Resource whose uri is the blob of the initial model (new-protocol 2).
"""

from __future__ import annotations

import hashlib
import secrets
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.emulator.arm import web_services
from reconciler.emulator.arm.commitment_plans import CommitmentPlans
from reconciler.emulator.arm.commitment_tiers import RESOURCE_TYPE as PLAN_TYPE
from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.proposals import Proposal, new_key
from reconciler.emulator.arm.provisioning import Provisioning
from reconciler.emulator.arm.resource_groups import ResourceGroups
from reconciler.emulator.arm.web_services import CachedModel, WebService, timestamp
from reconciler.emulator.config.predictive_experiments import BlobAddress, PredictiveExperiment
from reconciler.emulator.config.regions import REGIONS, region_code
from reconciler.emulator.config.studio_file import (
    NewService,
    ParameterInput,
    ResourceGroup,
    TrainingExperiment,
    derived_id,
)
from reconciler.emulator.context import Context
from reconciler.emulator.execution.columns import input_columns
from reconciler.emulator.ml.csv_table import read_table
from reconciler.emulator.ml.types import Column, ColumnType, Scalar
from reconciler.emulator.storage.client import BlobReference

_FAMILY = "506153734175476c4f62416c57734963"
"""The family of Studio's own modules, in every module uri that was ever published."""

_FORMATS: Mapping[ColumnType, str] = {"Integer": "Int64", "Number": "Double", "String": "", "Boolean": ""}
_RESULTS = "Results dataset"
_EXAMPLE_ROWS = 2


@dataclass(frozen=True)
class Schema:
    """What goes through a service: its columns in, its columns out, and rows to try it with."""

    inputs: Sequence[Column]
    outputs: Mapping[str, Sequence[Column]]
    example: Sequence[Sequence[Scalar]]


async def seed_services(
    context: Context, groups: ResourceGroups, plans: CommitmentPlans, provisioning: Provisioning
) -> None:
    """Make what the studio file has of Azure Resource Manager and was never made.

    These are subscriptions, resource groups, commitment plans and New web services. What a user deleted does not come
    back.
    """
    seeded = context.documents.collection("seeded")
    for subscription in context.studio.subscriptions:
        groups.add_subscription(subscription.id)
        for group in subscription.resource_groups:
            mark = f"resource-group/{subscription.id}/{group.name.lower()}"
            if mark not in seeded:
                with context.documents.transaction():
                    groups.put(subscription.id, group.name, {"location": group.location})
                    seeded[mark] = {}
            for plan in group.commitment_plans:
                mark = f"commitment-plan/{subscription.id}/{group.name.lower()}/{plan.name.lower()}"
                if mark not in seeded:
                    with context.documents.transaction():
                        plan_id = _plan_id(subscription.id, group, plan.name)
                        plans.make(plan_id, region_code(group.location), plan.sku, plan.capacity, used=plan.used)
                        seeded[mark] = {}
            for service in group.web_services:
                mark = f"web-service/{subscription.id}/{group.name.lower()}/{service.name.lower()}"
                if mark not in seeded:
                    live = await _service(context, provisioning, subscription.id, group, service)
                    plan_id = _plan_id(subscription.id, group, service.commitment_plan or "")
                    with context.documents.transaction():
                        provisioning.store(live)
                        # A user may have deleted the plan since.
                        if (found := plans.find(plan_id)) is not None:
                            plans.associate(live, found)
                        seeded[mark] = {}


def _plan_id(subscription: str, group: ResourceGroup, name: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group.name}/providers/{PLAN_TYPE}/{name}"


async def _service(
    context: Context, provisioning: Provisioning, subscription: str, group: ResourceGroup, service: NewService
) -> WebService:
    """Return a service as it stands after its deployment."""
    proposal, models = await _proposal(context, provisioning, group, service)
    now = timestamp(context.clock())
    resource_id = (
        f"/subscriptions/{subscription}/resourceGroups/{group.name}/providers/{web_services.RESOURCE_TYPE}"
        f"/{service.name}"
    )
    seeded = WebService(
        id=resource_id,
        name=service.name,
        location=proposal.location,
        tags=proposal.tags,
        subscription=subscription,
        service=derived_id(subscription, group.name, service.name),
        created_on=now,
        modified_on=now,
        experiment=service.experiment,
    )
    return replace(provisioning.live(seeded, proposal, models), state="Succeeded")


async def _proposal(
    context: Context, provisioning: Provisioning, group: ResourceGroup, service: NewService
) -> tuple[Proposal, dict[str, CachedModel]]:
    studio = context.studio
    account = group.storage_account or studio.storage_accounts[0].name
    experiment = studio.experiment(service.experiment)
    properties: Json = {
        "title": service.title or service.name,
        "description": service.description,
        "readOnly": False,
        "realtimeConfiguration": {"maxConcurrentCalls": 20},
        "diagnostics": {"level": "None"},
        "storageAccount": {"name": account},
        "exposeSampleData": True,
        "packageType": "Graph",
        "parameters": {},
    }
    workspace = group.workspace or (studio.workspaces[0].id if studio.workspaces else None)
    if workspace is not None:
        properties["machineLearningWorkspace"] = {"id": workspace}
    proposal = Proposal(
        location=next((name for name in REGIONS if region_code(name) == region_code(group.location)), group.location),
        tags={},
        properties=properties,
        keys={"primary": new_key(secrets.token_bytes), "secondary": new_key(secrets.token_bytes)},
        storage_key=context.storage.key(account),
        commitment_plan=None,
    )
    if isinstance(experiment, TrainingExperiment):
        schema = await _training_schema(context, experiment)
        return replace(proposal, properties={**properties, **training_payload(experiment, schema)}), {}
    uris = {model.trained_model: _uri(context, model.initial_model.blob) for model in experiment.scored}
    # The payload's schema is the models' own, so they come first; fetching them also checks that they can be read.
    resources = {"assets": {name: _resource_asset(name, uri) for name, uri in uris.items()}}
    fetched = await provisioning.fetch(replace(proposal, properties={**properties, **resources}), {})
    schema = await _predictive_schema(context, {each.output: fetched[each.trained_model] for each in experiment.scored})
    payload = predictive_payload(experiment, schema, uris)
    models = {key: fetched[each["name"]] for key, each in payload["assets"].items() if each["type"] == "Resource"}
    return replace(proposal, properties={**properties, **payload}), models


async def _predictive_schema(context: Context, models: Mapping[str, CachedModel]) -> Schema:
    """Return the schema of a service with these models, by the name of the output of each."""
    about = {
        output: await context.workers.describe(context.models.read(model.digest), model.digest)
        for output, model in models.items()
    }
    columns = input_columns(about.values())
    examples = zip(*(each.example_rows[:_EXAMPLE_ROWS] for each in about.values()), strict=False)
    rows = [[ChainMap(*map(dict, each)).get(column.name) for column in columns] for each in examples]
    return Schema(columns, {output: [*each.columns, *each.outputs] for output, each in about.items()}, rows)


async def _training_schema(context: Context, experiment: TrainingExperiment) -> Schema:
    """Return the columns of the example data; none for a training service without such data."""
    if experiment.example_data is None:
        return Schema((), {}, ())
    address = context.studio.dataset(experiment.example_data).blob
    connection_string = context.storage.connection_string(address.account, context.server_url)
    place = BlobReference(f"{address.container}/{address.blob}", connection_string=connection_string)
    table = read_table(await context.blobs.read(place))
    columns = [Column(name, kind, _FORMATS[kind]) for name, kind in zip(table.names, table.types, strict=True)]
    values = [table.typed(index)[:_EXAMPLE_ROWS] for index in range(len(columns))]
    return Schema(columns, {}, [list(row) for row in zip(*values, strict=True)])


def predictive_payload(experiment: PredictiveExperiment, schema: Schema, model_uris: Mapping[str, str]) -> Json:
    """Return the payload of a scoring service: input, Select Columns, and Score Model and output for each model."""
    assets = {"asset1": _module_asset("Select Columns in Dataset"), "asset2": _module_asset("Score Model")}
    nodes: Json = {
        "node1": {"inputId": experiment.input},
        "node2": {"assetId": "asset1", "parameters": _node_parameters({"Select columns": "AllColumns"})},
    }
    edges = [_edge("node1", "node2", target_port="Dataset")]
    scoring = _node_parameters({"Append score columns to output": "True"})
    for model in experiment.scored:
        asset = f"asset{len(assets) + 1}"
        assets[asset] = _resource_asset(model.trained_model, model_uris[model.trained_model])
        trained, score, output = (f"node{len(nodes) + place}" for place in (1, 2, 3))
        nodes |= {
            trained: {"assetId": asset},
            score: {"assetId": "asset2", "parameters": scoring},
            output: {"outputId": model.output},
        }
        edges += [
            _edge(trained, score, source_port=_RESULTS, target_port="Trained model"),
            _edge("node2", score, source_port=_RESULTS, target_port="Dataset"),
            _edge(score, output, source_port="Scored dataset"),
        ]
    return {
        "assets": assets,
        "input": _tables({experiment.input: schema.inputs}),
        "output": _tables(schema.outputs),
        "exampleRequest": {"inputs": {experiment.input: schema.example}, "globalParameters": {}},
        "package": {"nodes": nodes, "edges": edges, "graphParameters": {}},
    }


def training_payload(experiment: TrainingExperiment, schema: Schema) -> Json:
    """Return the payload of a training service: data in, Train Model out, and Evaluate Model out if it is connected."""
    assets = {
        "asset1": _module_asset("Import Data"),
        "asset2": _module_asset(experiment.learner),
        "asset3": _module_asset("Train Model"),
        "asset4": _module_asset("Evaluate Model"),
    }
    outputs = experiment.outputs
    payload: Json = {"assets": assets, "input": _tables({}), "exampleRequest": {"inputs": {}, "globalParameters": {}}}
    if isinstance(experiment.input, ParameterInput):
        name = experiment.input.parameter
        data: Json = {"assetId": "asset1", "parameters": _node_parameters({"Data source URL": ""})}
        links = [{"nodeId": "node1", "parameterKey": "Data source URL"}]
        graph_parameters = {name: {"description": "", "type": "String", "links": links}}
        payload["parameters"] = {name: {"value": "", "certificateThumbprint": ""}}
    else:
        del assets["asset1"]
        data, graph_parameters = {"inputId": experiment.input.web_service}, {}
        payload["input"] = _tables({experiment.input.web_service: schema.inputs})
        payload["exampleRequest"]["inputs"] = {experiment.input.web_service: schema.example}
    nodes: Json = {
        "node1": data,
        "node2": {"assetId": "asset2"},
        "node3": {"assetId": "asset3", "parameters": _node_parameters({"Label column": experiment.label})},
        "node4": {"outputId": outputs.model},
    }
    edges = [
        _edge("node2", "node3", source_port="Untrained model", target_port="Untrained model"),
        _edge("node1", "node3", source_port=_RESULTS if "assetId" in data else None, target_port="Dataset"),
        _edge("node3", "node4", source_port="Trained model"),
    ]
    if outputs.evaluation is None:
        del assets["asset4"]
    else:
        nodes |= {"node5": {"assetId": "asset4"}, "node6": {"outputId": outputs.evaluation}}
        edges.append(_edge("node3", "node5", source_port="Trained model", target_port="Scored dataset"))
        edges.append(_edge("node5", "node6", source_port="Evaluation results"))
    payload["output"] = _tables({name: () for name in (outputs.model, outputs.evaluation) if name is not None})
    payload["package"] = {"nodes": nodes, "edges": edges, "graphParameters": graph_parameters}
    return payload


def _uri(context: Context, address: BlobAddress) -> str:
    endpoint = context.storage.url(address.account, context.server_url)
    return f"{endpoint}/{address.container}/{address.blob}"


def _module_asset(name: str) -> Json:
    module = hashlib.sha256(name.encode()).hexdigest()[:32]
    uri = f"aml://module/{_FAMILY}.{module}.v1-default-1743"
    return {"name": name, "type": "Module", "locationInfo": {"uri": uri, "credentials": ""}}


def _resource_asset(name: str, uri: str) -> Json:
    return {
        "name": name,
        "type": "Resource",
        "locationInfo": {"uri": uri},
        "outputPorts": {_RESULTS: {"type": "Dataset"}},
    }


def _node_parameters(values: Mapping[str, str]) -> Json:
    return {name: {"value": value, "certificateThumbprint": ""} for name, value in values.items()}


def _edge(source: str, target: str, *, source_port: str | None = None, target_port: str | None = None) -> Json:
    # The ends at an input and at an output have no port [O].
    edge = {
        "sourceNodeId": source,
        "sourcePortId": source_port,
        "targetNodeId": target,
        "targetPortId": target_port,
    }
    return {name: value for name, value in edge.items() if value is not None}


def _tables(tables: Mapping[str, Sequence[Column]]) -> Json:
    """Return an ``input`` or ``output``: a table of columns under each name."""

    def table(columns: Sequence[Column]) -> Json:
        shown: dict[str, Any] = {
            column.name: {
                "type": column.type,
                "format": _FORMATS[column.type],
                "x-ms-isnullable": column.type in ("Integer", "Number"),
            }
            for column in columns
        }
        return {"title": "", "description": "", "type": "object", "properties": shown}

    properties = {name: table(columns) for name, columns in tables.items()}
    return {"title": "", "description": "", "type": "object", "properties": properties}
