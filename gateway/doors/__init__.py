"""The ways in. A door translates its own shape to the way of a call and back, and decides nothing."""
