"""The assistant: does what is asked with the host's tools and the owner's MCP servers, a bounded number of rounds."""
