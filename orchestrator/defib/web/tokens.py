"""The API's tokens: made, listed without their secrets, put in another's place, revoked."""

from http import HTTPStatus
from typing import Any

from defib.engine.agents.agent_views import token_json
from defib.engine.agents.tokens import NoTokenError
from defib.engine.engine import Engine
from defib.model.agent import Scope
from defib.web import answers, questions
from defib.web.operations import Call, Operation
from defib.web.problems import Problem

_NOT_FOUND = {HTTPStatus.NOT_FOUND: "There is none of that id or name."}


class TokenOperations:
    """What administrators do with tokens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._access = engine.fleet.access

    def operations(self) -> list[Operation]:
        return [
            Operation(
                method="GET", path="/tokens", name="listTokens", group="Tokens", scope=Scope.ADMIN,
                answer=self.all, summary="The tokens that were given out, without their secrets.", shape=answers.Tokens,
            ),
            Operation(
                method="POST", path="/tokens", name="makeToken", group="Tokens", scope=Scope.ADMIN,
                answer=self.make, status=HTTPStatus.CREATED, body=questions.TokenBody, shape=answers.TokenMade,
                summary="A new token; its text is answered once and kept nowhere.",
            ),
            Operation(
                method="POST", path="/tokens/{id}/rotate", name="rotateToken", group="Tokens", scope=Scope.ADMIN,
                answer=self.rotate, status=HTTPStatus.CREATED, body=questions.RotateBody, shape=answers.TokenMade,
                summary="A new token in the place of one, by id or name, which stays good for a while.",
                refusals=_NOT_FOUND,
            ),
            Operation(
                method="DELETE", path="/tokens/{id}", name="revokeToken", group="Tokens", scope=Scope.ADMIN,
                answer=self.revoke, body=questions.Nothing, shape=answers.Token, refusals=_NOT_FOUND,
                summary="Revoke a token by its id, or by its name with those that it replaced: it is no good from now "
                "on, and agents that have no other are kept out.",
            ),
        ]  # fmt: skip

    async def all(self, call: Call) -> dict[str, Any]:
        now = self._engine.clock.now()
        found = sorted(self._engine.fleet.tokens, key=lambda token: token.created_at, reverse=True)
        return {"items": [token_json(token, now) for token in found], "total": len(found)}

    async def make(self, call: Call) -> dict[str, Any]:
        wanted: questions.TokenBody = call.body
        now = self._engine.clock.now()
        expires_at = None if wanted.expires is None else now + wanted.expires
        token, text = await self._access.make_token(wanted.name, wanted.scope, call.caller.actor, expires_at)
        return {"token": token_json(token, now), "text": text}

    async def rotate(self, call: Call) -> dict[str, Any]:
        wanted: questions.RotateBody = call.body
        try:
            token, text = await self._access.rotate_token(call.part("id"), call.caller.actor, wanted.overlap)
        except NoTokenError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        return {"token": token_json(token, self._engine.clock.now()), "text": text}

    async def revoke(self, call: Call) -> dict[str, Any]:
        try:
            token = await self._access.revoke_token(call.part("id"), call.caller.actor)
        except NoTokenError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        return token_json(token, self._engine.clock.now())
