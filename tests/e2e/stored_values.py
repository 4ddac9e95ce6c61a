"""What a running server keeps in its log, its PostgreSQL and its Redis, as lines of text."""

import json
import pathlib
import re
import subprocess

HEADER_SIZE = 57  # of a value in Redis, before its JSON
COLUMNS = """
SELECT table_name || '.' || column_name || ' ' || data_type
       || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END || coalesce(' default ' || column_default, '')
FROM information_schema.columns WHERE table_schema = 'public'"""
CONSTRAINTS = """
SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"


class Postgres:
    """The PostgreSQL that the server manages in its data folder."""

    def __init__(self, data):
        self.socket = next((pathlib.Path(data) / "run" / "postgres").glob(".s.PGSQL.*[0-9]"))

    def lines_of(self, query):
        command = ["psql", "-XAtq", "-h", self.socket.parent, "-p", self.socket.name.rsplit(".", 1)[1], "-U", "immortal", "-d", "immortal", "-c", query]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()

    def schema(self):
        """Columns, constraints and indexes; partitions stand for each other."""
        found = sorted(self.lines_of(COLUMNS)) + sorted(self.lines_of(CONSTRAINTS)) + sorted(self.lines_of(INDEXES))
        return list(dict.fromkeys(re.sub(r"_\d{4}_?\d\d\b|_p\d{6}\b", "_<month>", re.sub(r"'\d{4}-\d\d-\d\d[^']*'", "<time>", line)) for line in found))

    def rows(self):
        """(table, its rows as objects)"""
        return [(table, [json.loads(line) for line in self.lines_of(f'SELECT row_to_json(t) FROM "{table}" t')])
                for table in sorted(self.lines_of(TABLES))]


class Redis:
    """The Redis that the server manages in its data folder."""

    def __init__(self, data):
        self.command = ["redis-cli", "-s", pathlib.Path(data) / "run" / "redis" / "redis.sock"]

    def ask(self, *words):
        return subprocess.run([*self.command, *words], check=True, capture_output=True, timeout=60).stdout.removesuffix(b"\n")

    def entries(self):
        """(key, type, whether it expires, what it holds: for a string, its JSON, or its length if there is none; for a hash,
        its fields; for a sorted set, whether it has members)"""
        for key in sorted(self.ask("--scan").decode().splitlines()):
            kind = self.ask("type", key).decode()
            expires = self.ask("ttl", key) != b"-1"
            if kind == "string":
                value = self.ask("get", key)
                payload = value[HEADER_SIZE:]
                held = [json.loads(payload)] if payload[:1] in (b"{", b"[") else [len(value)]
            elif kind == "hash":
                held = sorted({re.sub(r"\d+$", "<number>", field) if re.fullmatch(r"[a-z]+\d*", field) else "<bytes>"
                               for field in self.ask("hkeys", key).decode(errors="replace").splitlines()})
            else:
                held = [int(self.ask("zcard", key)) > 0]
            yield key, kind, expires, held


def events(binary, data):
    """Every event of the log."""
    shown = subprocess.run([binary, "log", "dump", "--json", "--data", data], check=True, capture_output=True, text=True, timeout=60).stdout
    return [json.loads(line) for line in shown.splitlines()]
