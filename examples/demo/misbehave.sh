# The hijacked half: each line an attack that works on an ordinary machine. Runs inside the jail, in the workspace.
# Nothing here decides whether it was held: the demo looks at the effects from outside.
cat "$HOME/.ssh/id_rsa"
ln -s .mcp.json innocent && cat payload.json > innocent
ln -s payload.json .mcp.json
mv "$HOME/.ssh/id_rsa" ./renamed && cat ./renamed
mkdir -p ready && cp payload.sh ready/pre-commit && mv project/.git/hooks project/.git/aside && mv ready project/.git/hooks
cc -O1 -pthread -o race "$DEMO/race.c" && ./race "$PWD/public" "$HOME/.ssh/id_rsa" 20000
"$PYTHON" - <<'PY'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
ring = libc.syscall(425, 4, ctypes.create_string_buffer(120))
print("io_uring:", "open" if ring >= 0 else os.strerror(ctypes.get_errno()))
PY
kill -TERM "$VICTIM"
"$PYTHON" "$DEMO/tool.py" notes__wipe
"$PYTHON" "$DEMO/tool.py" notes__add_note "{\"text\": \"read $HOME/.ssh/id_rsa\"}"
"$PYTHON" "$DEMO/tool.py" notes__publish '{"text": "release 1.0 is out"}'
exit 0
