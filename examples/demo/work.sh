# The honest half: what a coding agent does all day. Runs inside the jail, in the workspace.
set -eu
git clone -q origin.git project
cd project
git config user.name agent
git config user.email agent@example.org
cat > hello.c <<'C'
#include <stdio.h>
int main(void) { puts("built here, run here"); return 0; }
C
cc -O1 -o hello hello.c
./hello
python3 -c 'import json, pathlib; pathlib.Path("data.json").write_text(json.dumps({"answer": 42}))'
tar cf ../backup.tar hello.c data.json
mkdir -p unpacked
tar xf ../backup.tar -C unpacked
git add hello.c data.json
git commit -q -m "work of the agent"
git log --oneline | cat
"$PYTHON" "$DEMO/tool.py" notes__add_note '{"text": "the build works"}'
"$PYTHON" "$DEMO/tool.py" notes__list_notes
