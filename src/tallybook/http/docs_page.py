"""`/docs`: the API to read and to try in a browser, which asks nobody but this server for anything."""

from importlib import resources
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from tallybook.core.errors import NotFound

PATH = "/docs"
_SCRIPT, _STYLE, _ICON = "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"
# The framework's own page loads its script from elsewhere: behind a closed network it stays empty.
_FILES = {name: Path(str(resources.files("fastapi_offline") / "static" / name)) for name in (_SCRIPT, _STYLE, _ICON)}


def router(title: str, document_path: str) -> APIRouter:
    """The page of the OpenAPI document at that path, and its files."""
    routes = APIRouter(include_in_schema=False)
    html = get_swagger_ui_html(
        openapi_url=document_path,
        title=title,
        swagger_js_url=f"{PATH}/{_SCRIPT}",
        swagger_css_url=f"{PATH}/{_STYLE}",
        swagger_favicon_url=f"{PATH}/{_ICON}",
    ).body

    @routes.get("/")
    async def first_page() -> RedirectResponse:
        return RedirectResponse(PATH)

    @routes.get(PATH)
    async def page() -> HTMLResponse:
        return HTMLResponse(bytes(html))

    @routes.get(f"{PATH}/{{name}}")
    async def file(name: str) -> FileResponse:
        if name not in _FILES:
            raise NotFound(f"there is nothing at {PATH}/{name}")
        return FileResponse(_FILES[name], headers={"cache-control": "max-age=86400"})

    return routes
