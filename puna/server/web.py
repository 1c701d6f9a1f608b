"""Web search with the user's own search engine, and web pages as text.

Sources: SearXNG docs/dev/search_api, Ollama api/types.go (WebSearchResponse, WebFetchResponse).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import msgspec

from puna.errors import PunaError
from puna.server.remote import Remote

_TIMEOUT = 10.0
_SILENT = {"script", "style", "noscript", "template", "svg", "head"}
_BLOCKS = {
    *("address", "article", "blockquote", "br", "div", "dd", "dt", "figure", "footer", "h1", "h2", "h3"),
    *("h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr"),
    "ul",
}


class NoSearchEngine(PunaError):
    """No search engine is configured."""

    status = 501

    def __init__(self) -> None:
        super().__init__(
            "web search needs a search engine: set PUNA_SEARCH_URL to the address of a SearXNG server"
        )


class SearchFailed(PunaError):
    """The search engine failed, or did not answer in JSON."""

    status = 502


class WebFetchResponse(msgspec.Struct):
    """A page, and the answer of /api/web_fetch. `content` is its text, `links` are absolute."""

    title: str
    content: str
    links: list[str]


class Web:
    """Searches at `search_url`, a SearXNG server that answers JSON; "" for none."""

    def __init__(self, remote: Remote, search_url: str) -> None:
        self._remote = remote
        self._search_url = search_url

    @property
    def searches(self) -> bool:
        """Whether there is a search engine."""
        return bool(self._search_url)

    async def search(
        self, query: str, count: int, allows: Callable[[str], bool] | None = None
    ) -> list[dict[str, str]]:
        """At most `count` results: `title`, `url`, `content`. Raises NoSearchEngine, SearchFailed.

        `allows`: whether a result's URL is wanted.
        """
        if not self._search_url:
            raise NoSearchEngine
        import httpx

        address = self._search_url.rstrip("/") + "/search"
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
                answer = await client.get(address, params={"q": query, "format": "json"})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SearchFailed(
                f"the search engine at {self._search_url} does not answer: {error!r}"
            ) from None
        try:
            results: list[Any] = answer.raise_for_status().json()["results"]
            fields = ("title", "url", "content")
            found = [{field: str(result.get(field) or "") for field in fields} for result in results]
            return [result for result in found if allows is None or allows(result["url"])][:count]
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError, AttributeError):
            raise SearchFailed(
                f"the search engine at {self._search_url} gave no JSON (status {answer.status_code}): "
                "its settings must list json under search.formats"
            ) from None

    async def page(self, url: str) -> WebFetchResponse:
        """Raises BadRequest when the page cannot be fetched."""
        found = await self._remote.fetch_page(url)
        charset = re.search(r"charset=[\"']?([\w-]+)", found.content_type)
        try:
            text = found.content.decode(charset[1] if charset else "utf-8", "replace")
        except LookupError:
            text = found.content.decode("utf-8", "replace")
        if "html" not in found.content_type:
            return WebFetchResponse("", text, [])
        page = _Page(found.url)
        page.feed(text)
        page.close()
        return WebFetchResponse(page.title.strip(), page.content(), list(page.links))


class _Page(HTMLParser):
    """A page's title, visible text and links."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.links: dict[str, None] = {}
        self._url = url
        self._pieces: list[str] = []
        self._silent: list[str] = []
        self._in_title = False

    def content(self) -> str:
        lines = (re.sub(r"\s+", " ", line).strip() for line in "".join(self._pieces).split("\0"))
        return "\n".join(line for line in lines if line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = True
        elif tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCKS:
            self._pieces.append("\0")
        elif tag == "body":
            self._silent.clear()
        if tag == "a" and (target := dict(attrs).get("href")):
            try:
                link = urljoin(self._url, target)
            except ValueError:
                return
            if link.startswith(("http://", "https://")):
                self.links.setdefault(link)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif tag in _BLOCKS:
            self._pieces.append("\0")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._silent:
            self._pieces.append(data)
