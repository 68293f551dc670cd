"""What the `tellergate` command does, one module per noun. `cli` parses; these work and print, and return the exit status."""
