"""The routes of the workspace's sessions, `/api/sessions/...`, as an ASGI and a WSGI application.

No framework is needed; one that has ASGI mounts it, such as FastAPI:

    app.mount("/api/sessions", SessionRoutes(service, validate_token))
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from ..errors import (
    BadRequest,
    Conflict,
    Forbidden,
    IllegalState,
    LatchkeyError,
    NotFound,
    Quota,
    Stale,
    Unavailable,
    UnknownOutcome,
)
from .workspace import MESSAGES, UserSession, UserSessionService, UserSessionStatus

log = logging.getLogger("user_session")

BODY_BYTES_MAX = 1 << 20

_STATUSES: list[tuple[type[LatchkeyError], HTTPStatus]] = [
    (NotFound, HTTPStatus.NOT_FOUND),
    (BadRequest, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Forbidden, HTTPStatus.BAD_GATEWAY),  # the service's secret, not the user's token
    (IllegalState, HTTPStatus.CONFLICT),
    (Conflict, HTTPStatus.CONFLICT),
    (Stale, HTTPStatus.CONFLICT),
    (Quota, HTTPStatus.TOO_MANY_REQUESTS),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnknownOutcome, HTTPStatus.GATEWAY_TIMEOUT),
]

Reply = tuple[HTTPStatus, Any]


class _Refusal(Exception):
    """A request that the routes answer with an error."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class SessionRoutes:
    """The routes over a service; every one needs a token, and is the token's user's alone."""

    def __init__(
        self,
        service: UserSessionService,
        validate_token: Callable[[str], int | str | None],
        *,
        prefix: str = "/api/sessions",
    ) -> None:
        """`validate_token`: the user of a bearer token, or None if it is not valid; the caller's.
        `prefix`: what paths begin with; it may be missing where an application is mounted."""
        self._service = service
        self._validate = validate_token
        self._prefix = prefix.rstrip("/")

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        """The status and the JSON of a response. `headers` have names in small letters."""
        try:
            user = self._user(headers)
            options = {name: values[-1] for name, values in parse_qs(query).items()}
            return self._route(method, self._parts(path), options, _json(body), user, headers)
        except _Refusal as refusal:
            return refusal.status, {"detail": str(refusal)}
        except (TypeError, ValueError) as error:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"detail": str(error)}
        except LatchkeyError as error:
            known = (status for kind, status in _STATUSES if isinstance(error, kind))
            status = next(known, HTTPStatus.INTERNAL_SERVER_ERROR)
            log.warning("%s %s: %d: %s", method, path, status, error)
            return status, {"detail": str(error)}

    def _user(self, headers: Mapping[str, str]) -> int | str:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        user = self._validate(token.strip()) if scheme.lower() == "bearer" and token else None
        if user is None:
            raise _Refusal(HTTPStatus.UNAUTHORIZED, "the bearer token is missing or not valid")
        return user

    def _parts(self, path: str) -> list[str]:
        rest = path[len(self._prefix) :] if path.startswith(self._prefix + "/") else path
        return [part for part in rest.split("/") if part and rest != self._prefix]

    def _route(
        self,
        method: str,
        parts: list[str],
        options: Mapping[str, str],
        body: dict[str, Any],
        user: int | str,
        headers: Mapping[str, str],
    ) -> Reply:
        service, key = self._service, headers.get("idempotency-key")
        match method, *parts:
            case ["POST"]:
                created = service.create_user_session(
                    user, body.get("name"), body.get("session_metadata"), req=key
                )
                return HTTPStatus.CREATED, {"session": created.to_dict()}
            case ["GET"]:
                return HTTPStatus.OK, self._list(user, options)
            case ["GET", "active"]:
                active = service.get_active_session(user)
                return HTTPStatus.OK, None if active is None else active.to_dict()
            case ["GET", id]:
                found = service.get_session(id, user)
                if found is None:
                    raise _Refusal(HTTPStatus.NOT_FOUND, f"no session {id}")
                return HTTPStatus.OK, found.to_dict()
            case ["PUT", id]:
                return HTTPStatus.OK, self._update(id, user, body, key).to_dict()
            case ["POST", id, "link-mission", *mission] if mission:
                # Servers have decoded the path: a slash of the mission's id parts it.
                linked = service.link_mission_to_session(id, "/".join(mission), user)
                return HTTPStatus.OK, linked.to_dict()
            case ["POST", id, "activity"]:
                return HTTPStatus.OK, service.update_session_activity(id, user).to_dict()
            case ["POST", id, "complete"]:
                return HTTPStatus.OK, service.complete_session(id, user).to_dict()
            case ["GET", id, "messages"]:
                before = options.get("before")
                messages = service.get_messages(
                    id,
                    user,
                    before=None if before is None else int(before),
                    limit=int(options.get("limit", MESSAGES)),
                )
                return HTTPStatus.OK, {"messages": messages}
            case ["POST", id, "messages"]:
                seq = service.add_messages(id, body.get("messages", body), user, req=key)
                return HTTPStatus.CREATED, {"seq": seq}
        raise _Refusal(HTTPStatus.NOT_FOUND, f"no route {method} /{'/'.join(parts)}")

    def _list(self, user: int | str, options: Mapping[str, str]) -> dict[str, Any]:
        status = options.get("status")
        sessions, cursor = self._service.list_user_sessions(
            user,
            status=None if status is None else UserSessionStatus(status),
            limit=int(options.get("limit", 50)),
            cursor=options.get("cursor"),
        )
        return {"sessions": [session.to_dict() for session in sessions], "cursor": cursor}

    def _update(
        self, id: str, user: int | str, body: dict[str, Any], key: str | None
    ) -> UserSession:
        unknown = set(body) - {"name", "session_metadata", "status", "mission_id"}
        if unknown:
            raise ValueError(f"a session has no {', '.join(sorted(unknown))} to update")
        given = body.get("status")
        status = None if given is None else UserSessionStatus(given)
        if status is UserSessionStatus.ABANDONED:
            raise ValueError("status: a session is abandoned by its clock alone")
        service = self._service
        if status is UserSessionStatus.ACTIVE:
            service.update_session_activity(id, user)
        updated = service.update_session(
            id,
            user,
            name=body.get("name"),
            session_metadata=body.get("session_metadata"),
            mission_id=body.get("mission_id"),
            req=key,
        )
        if status is UserSessionStatus.COMPLETED:
            updated = service.complete_session(id, user)
        elif status is UserSessionStatus.ARCHIVED:
            updated = service.archive_session(id, user)
        return updated

    # --- the two kinds of servers

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """The ASGI application. The service works in a thread meanwhile."""
        if scope["type"] != "http":
            raise RuntimeError(f"the routes of sessions do not serve {scope['type']}")
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False) and len(body) <= BODY_BYTES_MAX
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        query = scope.get("query_string", b"").decode()
        status, shown = await asyncio.to_thread(
            self._answer, scope["method"], path, query, headers, body
        )
        sent = [(name.encode(), value.encode()) for name, value in _headers(status)]
        await send({"type": "http.response.start", "status": int(status), "headers": sent})
        await send({"type": "http.response.body", "body": _dump(shown)})

    def wsgi(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """The WSGI application."""
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        length = min(int(environ.get("CONTENT_LENGTH") or 0), BODY_BYTES_MAX + 1)
        status, shown = self._answer(
            environ["REQUEST_METHOD"],
            environ.get("PATH_INFO", "/").encode("latin-1").decode(),  # as PEP 3333 has it
            environ.get("QUERY_STRING", ""),
            headers,
            environ["wsgi.input"].read(length) if length else b"",
        )
        start_response(f"{int(status)} {status.phrase}", _headers(status))
        return [_dump(shown)]

    def _answer(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if len(body) > BODY_BYTES_MAX:
            detail = f"a body has {BODY_BYTES_MAX} bytes at most"
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"detail": detail}
        return self.handle(method, path, query, headers, body)


def _json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("the body is a JSON object")
    return found


def _dump(shown: Any) -> bytes:
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()


def _headers(status: HTTPStatus) -> list[tuple[str, str]]:
    headers = [("content-type", "application/json"), ("cache-control", "no-store")]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("retry-after", "1"))
    if status is HTTPStatus.UNAUTHORIZED:
        headers.append(("www-authenticate", "Bearer"))
    return headers
