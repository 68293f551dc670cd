"""The gateway's own database: grants, conversations, the customer's words, the book of calls."""
