"""The page: one file that a mail client and a browser show alike, with nothing to load but its own pictures."""

import re
from functools import cached_property
from typing import TYPE_CHECKING

from defib_reports.daily.view import View

if TYPE_CHECKING:
    from jinja2 import Template

_INDENT = re.compile(r"\n\s*")


class HtmlPage:
    """Renders views; Jinja2 is imported, and the template compiled, at the first one."""

    def render(self, view: View) -> str:
        """One document; whoever composes the view bounds its size."""
        text = self._template.render(view=view, _=view.words.gettext)
        return _INDENT.sub("\n", text).strip() + "\n"

    @cached_property
    def _template(self) -> "Template":
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template("page.html.j2")
