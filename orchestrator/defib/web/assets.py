"""Style sheet, scripts and icons: in memory, under a path that changes whenever one of them does."""

import hashlib
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from defib.web.problems import Problem

FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Assets:
    """Every file of a folder, read once.

    The version stands in the path (``/static/VERSION/page.js``), so that modules which import one another by
    relative names are cached for good together and renewed together.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
        digest = hashlib.sha256()
        for name, content in self._files.items():
            digest.update(f"{name} {len(content)} ".encode() + content)
        self.version = digest.hexdigest()[:16]
        self.route = Route("/static/{version}/{name}", self._serve)

    def url(self, name: str) -> str:
        """Where a file is.

        :raises KeyError: there is none of that name.
        """
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    async def _serve(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.path_params["version"] != self.version or name not in self._files:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"there is no file {name} of this version; load the page again"
            )
        etag = f'"{self.version}"'
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "ETag": etag}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(self._files[name], headers=headers, media_type=_TYPES[Path(name).suffix])
