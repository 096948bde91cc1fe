"""The functions of SQLite that a statement may call: those that compute something of their arguments, the clock or
chance, and do nothing else (sqlite.org: core, date and time, aggregate, window, math and JSON functions).

Left out on purpose: `load_extension`, what reads or writes files (`readfile`, `writefile`, `edit`), what gives out or
takes addresses in memory (`fts3_tokenizer`), what writes to a log, and the functions of virtual tables.
"""

from __future__ import annotations

from typing import Final

FUNCTIONS: Final = frozenset({
    "->", "->>", "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "avg", "ceil", "ceiling",
    "changes", "char", "coalesce", "concat", "concat_ws", "cos", "cosh", "count", "cume_dist", "current_date",
    "current_time", "current_timestamp", "date", "datetime", "degrees", "dense_rank", "exp", "first_value", "floor",
    "format", "glob", "group_concat", "hex", "ifnull", "iif", "instr", "json", "json_array", "json_array_length",
    "json_error_position", "json_extract", "json_group_array", "json_group_object", "json_insert", "json_object",
    "json_patch", "json_pretty", "json_quote", "json_remove", "json_replace", "json_set", "json_type", "json_valid",
    "julianday", "lag", "last_insert_rowid", "last_value", "lead", "length", "like", "likelihood", "likely", "ln",
    "log", "log10", "log2", "lower", "ltrim", "max", "median", "min", "mod", "nth_value", "ntile", "nullif",
    "octet_length", "percent_rank", "pi", "pow", "power", "printf", "quote", "radians", "random", "randomblob",
    "rank", "replace", "round", "row_number", "rtrim", "sign", "sin", "sinh", "soundex", "sqlite_version", "sqrt",
    "strftime", "string_agg", "substr", "substring", "sum", "tan", "tanh", "time", "timediff", "total",
    "total_changes", "trim", "trunc", "typeof", "unhex", "unicode", "unixepoch", "unlikely", "upper", "zeroblob",
})  # fmt: skip
#: What SQLite calls by itself while it changes a definition; a statement's own call of them is a syntax error.
OF_DEFINITIONS: Final = frozenset({
    "length", "printf", "sqlite_drop_column", "sqlite_fail", "sqlite_rename_column", "sqlite_rename_parent",
    "sqlite_rename_quotefix", "sqlite_rename_table", "sqlite_rename_test", "substr",
})  # fmt: skip
