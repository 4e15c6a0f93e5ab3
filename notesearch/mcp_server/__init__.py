"""A Model Context Protocol server: an index as tools for assistants, over stdin and stdout."""

from notesearch.mcp_server.server import serve

__all__ = ["serve"]
