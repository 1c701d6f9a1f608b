"""The server's OpenAPI description at /openapi.json, and a page that shows it at /docs.

Exports `routes`, and `OPERATIONS`: one for each method of each path. The schemas come from the structs of
requests and answers.
"""

from puna.server.openapi.routes import OPERATIONS, routes

__all__ = ["OPERATIONS", "routes"]
