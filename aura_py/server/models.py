"""``GET /v1/models`` and ``GET /v1/models/{id}``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from aura_py.errors import ModelNotFound
from aura_py.run.catalog import ServedAgent
from aura_py.server.state import principal_of, state_of
from aura_py.server.wire_json import to_json


async def list_models(request: Request) -> Response:
    """Agents that are not hidden and that the caller may ask, in load order."""
    data = [_model(request, served) for served in state_of(request).visible(principal_of(request))]
    return _json({"object": "list", "data": data})


async def get_model(request: Request) -> Response:
    """One agent; hidden ones are found by their id too."""
    agent_id: str = request.path_params["agent_id"]
    served = state_of(request).catalog.get(agent_id)
    if served is None or not principal_of(request).may_ask(agent_id):
        raise ModelNotFound(f"The model `{agent_id}` does not exist or you do not have access to it.", param="model")
    return _json(_model(request, served))


def _model(request: Request, served: ServedAgent) -> dict[str, object]:
    agent = served.config.agent
    created = agent.created_at // 1000 if agent.created_at is not None else state_of(request).loaded_at
    model: dict[str, object] = {
        "id": served.id,
        "name": agent.name,
        "object": "model",
        "created": created,
        "owned_by": agent.model_owner or agent.llm.provider,
    }
    if agent.description is not None:
        model["description"] = agent.description
    window = served.runnable.describe().context_window
    if window is not None:
        model["context_length"] = window
    return model


def _json(value: object) -> Response:
    return Response(to_json(value), media_type="application/json")
