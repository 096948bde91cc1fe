"""The server of a SQL connector: statements judged by the database's own reading, and run as they were judged."""
