"""What a text, an image and a video hold, and what occurs in several of them. Rules only, no model."""
