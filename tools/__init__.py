"""What a model or a machine can do: tool declarations, the model catalogue, engines, and where models live."""
