"""Records as others' tools read them: what of a leaf may leave, by an allow-list, and in which form. Pure."""
