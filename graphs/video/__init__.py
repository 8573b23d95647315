"""The video agent: what a video shows and says, described, summarised, analysed, and written from."""
