"""Markdown as a web page, a Word document and a PDF; `tools.publish.render` is the door."""
