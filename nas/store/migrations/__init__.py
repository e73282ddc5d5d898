"""The shapes that the database has had, one file for each step."""
