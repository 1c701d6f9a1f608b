"""What the server answers, described by itself: OpenAPI at /openapi.json, and a page that shows it at /docs.

Exports `routes`, and `OPERATIONS`: one for each method of each path. The schemas are those of the structs
that requests are decoded into and answers are encoded from.
"""

from puna.server.openapi.routes import OPERATIONS, routes

__all__ = ["OPERATIONS", "routes"]
