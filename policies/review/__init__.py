"""For those who review rules: what is wrong with a bundle, whether it keeps its cases, and why it decides as it does. Pure."""
