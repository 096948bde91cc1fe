"""Stands between the gateway and a real stdio server: `between.py FILE COMMAND …`. The word in FILE says how a call is answered: honestly (no file), `slow` (after 30 s), `other-id`
(under the id of another request), `wrong-result` (a result that is not one). The server does each call in any case; only what is said of it differs."""

import json
import os
import subprocess
import sys
import threading
import time

mood, *command = sys.argv[1:]
server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
calls = set()


def word():
    try:
        with open(mood) as file:
            return file.read().strip()
    except OSError:
        return ""


def to_the_server():
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message.get("method") == "tools/call":
            calls.add(message["id"])
        server.stdin.write(line)
        server.stdin.flush()
    server.stdin.close()


def told(line):
    message = json.loads(line)
    if "result" not in message or message.get("id") not in calls:
        return line
    calls.discard(message["id"])
    how = word()
    if how == "slow":
        time.sleep(30)
    if how == "other-id":
        message["id"] = "of-another"
    if how == "wrong-result":
        message["result"] = {"content": "well done"}
    return (json.dumps(message) + "\n").encode()


threading.Thread(target=to_the_server, daemon=True).start()
for each in server.stdout:
    sys.stdout.buffer.write(told(each) if each.strip() else each)
    sys.stdout.buffer.flush()
os._exit(server.wait() & 127)
