"""The doors: HTTP, WebSocket, MCP, the console and the command line."""
