"""The doors: HTTP, WebSocket, MCP, console and command line."""
