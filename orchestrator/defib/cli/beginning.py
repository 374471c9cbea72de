"""Groups of commands whose first one need not be named."""

from typing import Any

from typer.core import TyperGroup


class Beginning(TyperGroup):
    """``defib silence web --for 2h`` begins one: its first command may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if (args or self.invoke_without_command) and (
            not args or args[0] not in (*self.commands, "-h", "--help")
        ):
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)
