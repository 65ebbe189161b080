"""Texts that mean something to what might stand behind us: databases, shells, templates, paths, logs, parsers.

None of them has an effect here; each must be returned unchanged, or be refused.
"""

from __future__ import annotations

STRINGS = (
    # SQL, of PostgreSQL and SQLite
    *("' OR 1=1 --", "' OR '1'='1", '" OR ""="', "1; DROP TABLE chat.chat_messages; --", "'; TRUNCATE auth.users; --"),
    *("') UNION SELECT passcode_hash FROM auth.users --", "1 AND pg_sleep(9)", "'||(SELECT version())||'", "$$; $$"),
    *("x' AND randomblob(900000000) --", "%' OR content LIKE '%", "_%_%", "\\'; --", "E'\\x27'", "::text", "a' /*"),
    *("'; COPY (SELECT 1) TO PROGRAM 'id'; --", "ATTACH DATABASE 'x' AS y", "NULL", "-- ", "/* */", "`", "\\\\"),
    # full-text search
    *("a & | !", "'a' <-> 'b'", "a:*", "((((", '"', "NEAR(a b)", "content:a", "a* OR b*", "-", "^a", "{a b}: c"),
    # shells, templates, formats, expressions
    *("; id", "$(id)", "`id`", "| cat /etc/passwd", "&& reboot", "${IFS}", "%n%n%s", "{0.__class__}", "%(id)s"),
    *("{{7*7}}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "{% raw %}", "{{config}}", "${jndi:ldap://127.0.0.1/a}", "@{x}"),
    # paths, addresses, headers, lines of a log
    *("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/dev/zero", "file:///etc/passwd", "C:\\boot.ini", "%00", "~root"),
    *("x\r\nSet-Cookie: a=b", "x\nERROR forged line", "\u2028 forged", "\x1b[31mred", "\x08\x08\x7f", "http://[::1]/"),
    # other parsers: JSON, XML, CSV, LDAP, NoSQL, JavaScript
    *('{"$gt": ""}', '{"__proto__": {"admin": true}}', "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///x'>]>", "]]>", "&e;"),
    *(
        "=cmd|' /C calc'!A0",
        "*)(uid=*))(|(uid=*",
        "[$ne]",
        "__class__",
        "constructor",
        "undefined",
        "NaN",
        "-0",
        "1e999",
    ),
    # Unicode that is read in more than one way
    *(
        "\u202egpj.exe",
        "ﬁ",
        "K",
        "İ",
        "ß",
        "e\u0301",
        "\ufeffx",
        "a\u200bb",
        "\U0001d586",
        "👩‍👩‍👧‍👦",
        "\U000e0041",
        "ა\u0300" * 60,
    ),
)
