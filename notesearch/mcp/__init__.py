"""A Model Context Protocol server: an index as tools for assistants, over stdin and stdout."""
