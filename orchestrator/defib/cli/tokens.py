"""``defib token``: keys for programs and agents, made, listed, put in another's place, revoked."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defib.cli import daemon, words
from defib.cli.context import State, state_of
from defib.errors import UsageError
from defib.model.agent import Scope
from defib.model.options import format_duration, parse_duration

if TYPE_CHECKING:
    from defib.engine.agents.fleet import Fleet

token_app = typer.Typer(help="Make, list and revoke tokens.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(token_app, name="token")


@token_app.command("create")
def create(
    context: typer.Context,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What it is for; stands in the audit log.")
    ],
    scope: Annotated[
        Scope,
        typer.Option(
            "--scope",
            help="read sees everything, write steers too, admin makes tokens too, ingest only reports beats.",
        ),
    ],
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="How long it is good, such as 90d.")
    ] = None,
) -> None:
    """Make a token. Its text is printed once and kept nowhere."""
    state = state_of(context)
    if not name.strip() or not name.isprintable():
        raise UsageError("--name: write what the token is for, in printable characters")
    span = _span("--expires", expires)
    if span is not None and span <= timedelta(0):
        raise UsageError("--expires: must be longer than nothing; write for example 90d")
    running = daemon.find(state.settings)
    if running is not None:
        body = {"name": name, "scope": str(scope), "expires": None if span is None else format_duration(span)}
        made = running.post("/api/v1/tokens", body)
    else:

        async def make(fleet: "Fleet") -> Any:
            from defib.engine.agents.agent_views import token_json
            from defib.engine.clock import SystemClock

            now = SystemClock().now()
            token, text = await fleet.access.make_token(
                name, scope, daemon.actor(), None if span is None else now + span
            )
            return {"token": token_json(token, now), "text": text}

        made = on_store(state, "'defib token create'", make)
    _print_made(state, made)


@token_app.command("rotate")
def rotate(
    context: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id or name.")],
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="DURATION", help="How long the old one stays good.")
    ] = "24h",
) -> None:
    """Make a token in the place of one, for the same agents; the old one stays good for a while."""
    state = state_of(context)
    span = _span("--overlap", overlap)
    assert span is not None
    running = daemon.find(state.settings)
    if running is not None:
        made = running.post(
            f"/api/v1/tokens/{daemon.quoted(token)}/rotate", {"overlap": format_duration(span)}
        )
    else:

        async def replace(fleet: "Fleet") -> Any:
            from defib.engine.agents.agent_views import token_json
            from defib.engine.clock import SystemClock

            fresh, text = await fleet.access.rotate_token(token, daemon.actor(), span)
            return {"token": token_json(fresh, SystemClock().now()), "text": text}

        made = on_store(state, "'defib token rotate'", replace)
    _print_made(state, made)


@token_app.command("list")
def list_(context: typer.Context) -> None:
    """The tokens that were given out, newest first, without their texts."""
    from defib import assembly

    state = state_of(context)
    running = daemon.find(state.settings)
    if running is not None:
        found = running.get("/api/v1/tokens")["items"]
    elif assembly.has_store(state.settings):
        from defib.engine.agents.agent_views import token_json
        from defib.engine.clock import SystemClock

        now = SystemClock().now()
        with assembly.stored(state.registry, state.settings) as (_, reader):
            stored = sorted(reader.tokens(), key=lambda token: token.created_at, reverse=True)
            found = [token_json(token, now) for token in stored]
    else:
        found = []
    if state.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        words.print_tokens(found, state.settings.timezone)


@token_app.command("revoke")
def revoke(
    context: typer.Context, token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id or name.")]
) -> None:
    """Revoke a token: it is no good from now on."""
    state = state_of(context)
    running = daemon.find(state.settings)
    if running is not None:
        name = running.delete(f"/api/v1/tokens/{daemon.quoted(token)}")["name"]
    else:

        async def void(fleet: "Fleet") -> str:
            return (await fleet.access.revoke_token(token, daemon.actor())).name

        name = on_store(state, "'defib token revoke'", void)
    print(f"token {name} is revoked")


def on_store(state: State, role: str, work: "Callable[[Fleet], Awaitable[Any]]") -> Any:
    """Do ``work`` with the agents and tokens of a store that no daemon owns."""
    from defib import assembly, logs

    logs.configure(level="debug" if state.debug else "error")

    async def do() -> Any:
        try:
            return await work(engine.fleet)
        finally:
            await engine.wind_down()

    with assembly.engine(state.registry, state.settings, role=role) as engine:
        return asyncio.run(do())


def _print_made(state: State, made: Any) -> None:
    if state.json:
        print(json.dumps(made, indent=2, ensure_ascii=False))
    else:
        print(made["text"])


def _span(option: str, text: str | None) -> timedelta | None:
    """:raises UsageError: it is no duration."""
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
