"""Generate every password of the composed stack: `python deploy/secrets.py DIRECTORY`.

Each service gets a subdirectory, which is mounted into that service only; its files have the names of the settings that
they contain. Existing files are kept, so it can run at every start. It never prints a password.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
from pathlib import Path

SERVICES = ("auth_service", "chat_gateway", "persistence_worker", "chatbot_worker")
DATABASE = "postgresql+asyncpg://{role}:{password}@postgres:5432/backchat"
BROKER = "amqp://{user}:{password}@rabbitmq:5672/"

# Permissions of each service in RabbitMQ: declare; publish or bind to; consume or bind from.
LOG, REPLIES = r"chat\.log\.\d+", r"replies\..+"
PERMISSIONS = {
    "auth_service": {
        "configure": rf"accounts|chat\.queries|{REPLIES}",
        "write": r"accounts|chat\.queries",
        "read": REPLIES,
    },
    "chat_gateway": {
        "configure": rf"{LOG}|chat\.(queries|delivery|control|lost)|delivery\..+|{REPLIES}",
        "write": rf"{LOG}|chat\.(queries|delivery|control|lost)|delivery\..+",
        "read": rf"chat\.(delivery|lost)|delivery\..+|{REPLIES}",
    },
    "persistence_worker": {
        "configure": rf"{LOG}|chat\.[a-z]+|accounts|(persistence|turns|dead)\..+|{REPLIES}",
        "write": rf"{LOG}|chat\.[a-z]+|(persistence|turns|dead)\..+|amq\.default",
        "read": rf"{LOG}|chat\.(queries|catalogue|turns|dead)|accounts|(persistence|turns|dead)\..+|{REPLIES}",
    },
    "chatbot_worker": {
        "configure": rf"{LOG}|chat\.[a-z]+|(turns|control|dead\.turns)\..+|{REPLIES}",
        "write": rf"{LOG}|chat\.(turns|control|delivery|queries|catalogue|dead|lost)|(turns|control|dead\.turns)\..+",
        "read": rf"chat\.(turns|control|dead|lost)|(turns|control|dead\.turns)\..+|{REPLIES}",
    },
}


def main(root: Path) -> None:
    """Generate the missing files."""
    if (root / "complete").exists():
        return
    superuser, migrator, auth, persistence = (secrets.token_urlsafe(24) for _ in range(4))
    brokers = {service: secrets.token_urlsafe(24) for service in SERVICES}
    _write(root / "postgres/superuser", superuser)
    _write(root / "postgres/migrator", migrator)
    _write(root / "postgres/auth", auth)
    _write(root / "postgres/persistence", persistence)
    _write(root / "rabbitmq/definitions.json", json.dumps(definitions(brokers), indent=1))
    _write(root / "migrate/backchat_database_url", DATABASE.format(role="backchat_migrator", password=migrator))
    _write(root / "auth_service/backchat_database_url", DATABASE.format(role="backchat_auth", password=auth))
    _write(
        root / "persistence_worker/backchat_database_url",
        DATABASE.format(role="backchat_persistence", password=persistence),
    )
    for service, password in brokers.items():
        _write(root / service / "backchat_amqp_url", BROKER.format(user=service, password=password))
    _write(root / "complete", "")


def definitions(passwords: dict[str, str]) -> dict[str, object]:
    """Return the definitions of RabbitMQ, with one user per service and no `guest`."""
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": user,
                "password_hash": password_hash(password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for user, password in passwords.items()
        ],
        "permissions": [
            {"user": user, "vhost": "/"} | {verb: f"^({pattern})$" for verb, pattern in PERMISSIONS[user].items()}
            for user in passwords
        ],
    }


def password_hash(password: str) -> str:
    """Hash a password as RabbitMQ stores it: base64 of a 4-byte salt and SHA-256 of salt and password."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _write(path: Path, text: str) -> None:
    """Write a file that every user may read, since the user of the container that mounts it differs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o444)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
