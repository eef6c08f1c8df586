"""PostgreSQL: SQL in, domain values out. Functions take a connection and never commit."""
