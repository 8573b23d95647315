"""The open web, through one guarded fetcher: addresses are checked and pinned, answers bounded, pages made readable."""
