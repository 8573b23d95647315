"""Rules of ours for what a language's own tools leave out, as ast-grep patterns in data files."""
