"""Programs that people use to reach a host, each with how it is told to: the rows of `test_clients`.

`ca` in a text is the file of the certificate that the test's servers show, `base` the server's URL, `host` its name, `place` a folder of the row's own.
What a row prints where it got there holds `wanted`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

GET_IN_JAVA = """\
import java.net.URI; import java.net.http.*;
public class Get {
  public static void main(String[] words) throws Exception {
    var answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(words[0])).build(), HttpResponse.BodyHandlers.ofString());
    System.out.println("got " + answer.body());
  }
}
"""
GET_IN_GO = """\
package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil { fmt.Println(err); os.Exit(1) }
	body, _ := io.ReadAll(answer.Body)
	fmt.Println("got", string(body))
}
"""
GET_IN_C = """\
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  int error = getaddrinfo(words[1], "443", &hints, &found);
  if (error) { fprintf(stderr, "%s: %s\\n", words[1], gai_strerror(error)); return 1; }
  int peer = socket(found->ai_family, SOCK_STREAM, 0);
  if (connect(peer, found->ai_addr, found->ai_addrlen)) { perror(words[1]); return 1; }
  char text[400]; ssize_t length = read(peer, text, sizeof text - 1);
  text[length < 0 ? 0 : length] = 0; printf("got %s\\n", strrchr(text, '\\n') + 1);
  return 0;
}
"""


@dataclass(frozen=True)
class Client:
    """A row. `needs`: programs; `imports`: a Python module; `files`: what is put into its folder; `built`: done before the session starts."""

    text: str
    wanted: str = "well-met"
    needs: tuple[str, ...] = ()
    imports: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    built: str = ""
    #: Whether it connects, and so is denied where the host is not allowed.
    connects: bool = True
    #: Whether a session never lets it through, whatever the host.
    never: bool = False


PLAIN = "http://{host}:443/"
CLIENTS: dict[str, Client] = {
    "curl": Client("curl -sS -m 20 --cacert {ca} {base}/hello", needs=("curl",)),
    "wget": Client("wget -q -T 20 -t 1 --ca-certificate={ca} -O - {base}/hello", needs=("wget",)),
    "git over https": Client(
        "git -c http.sslCAInfo={ca} clone -q {base}/repo.git {place}/{host} && cat {place}/{host}/hello", needs=("git",)
    ),
    "pip": Client(
        "{python} -m pip --isolated --disable-pip-version-check install -q --no-cache-dir --retries 0 --cert {ca} -i {base}/simple/ -t {place}/{host} demo"
        " && cat {place}/{host}/demo.py",
        imports="pip",
    ),
    "uv": Client(
        "SSL_CERT_FILE={ca} uv -q pip install --no-cache -i {base}/simple/ --target {place}/{host} demo && cat {place}/{host}/demo.py",
        needs=("uv",),
    ),
    "npm": Client(
        "mkdir {place}/{host}; cd {place}/{host}; npm_config_cafile={ca} npm install --loglevel=error --no-audit --no-fund --fetch-retries=0 --cache {place}/cache"
        " --registry {base}/npm/ demo; cat node_modules/demo/index.js",
        needs=("npm",),
    ),
    "pnpm": Client(
        "mkdir {place}/{host}; cd {place}/{host}; echo '{{}}' >package.json; npm_config_cafile={ca} XDG_CACHE_HOME={place}/cache pnpm add"
        " --fetch-retries=0 --store-dir {place}/store --registry {base}/npm/ demo; cat node_modules/demo/index.js",
        needs=("pnpm",),
    ),
    "yarn 1": Client(
        "mkdir {place}/{host}; cd {place}/{host}; echo '{{}}' >package.json; npm_config_cafile={ca} yarn --silent --no-lockfile --cache-folder {place}/cache"
        " --registry {base}/npm add demo; cat node_modules/demo/index.js",
        needs=("yarn",),
    ),
    "cargo": Client(
        "mkdir -p {place}/{host}/src; cd {place}/{host}; touch src/lib.rs; cp ../manifest Cargo.toml; CARGO_HOME={place}/{host}/home CARGO_HTTP_CAINFO={ca} CARGO_NET_RETRY=0"
        " cargo fetch --config 'source.crates-io.replace-with=\"here\"' --config 'source.here.registry=\"sparse+{base}/index/\"' && ls home/registry/cache/*",
        wanted="demo-1.0.0.crate",
        needs=("cargo",),
        files={
            "manifest": '[package]\nname = "user"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\ndemo = "1"\n'
        },
    ),
    "go": Client(
        "mkdir {place}/{host}; cd {place}/{host}; SSL_CERT_FILE={ca} GOPROXY={base}/go GONOSUMDB=* GONOSUMCHECK=1 GOFLAGS=-modcacherw GOPATH={place}/{host}/path"
        " GOCACHE={place}/cache go mod download -json example.com/demo@v1.0.0",
        wanted='"Zip": ',
        needs=("go",),
    ),
    "Python: requests": Client(
        '{python} -c \'import requests; print(requests.get("{base}/hello", verify="{ca}", timeout=20).text)\'',
        imports="requests",
    ),
    "Python: httpx": Client(
        '{python} -c \'import httpx, ssl; print(httpx.get("{base}/hello", verify=ssl.create_default_context(cafile="{ca}")).text)\'',
        imports="httpx",
    ),
    "Python: aiohttp": Client(
        "{python} {place}/get.py {base}/hello {ca}",
        imports="aiohttp",
        files={
            "get.py": "import aiohttp, asyncio, ssl, sys\nasync def main():\n    trust = ssl.create_default_context(cafile=sys.argv[2])\n"
            "    async with aiohttp.ClientSession() as all, all.get(sys.argv[1], ssl=trust) as answer:\n        print(await answer.text())\nasyncio.run(main())\n"
        },
    ),
    "Python: psycopg": Client(
        '{python} -c \'import psycopg; psycopg.connect(host="{host}", user="me", connect_timeout=20)\' 2>&1 | tail -1',
        imports="psycopg",
    ),
    "psql": Client("psql -h {host} -U me -c 'select 1' 2>&1", needs=("psql",)),
    "Node: fetch": Client(
        "NODE_EXTRA_CA_CERTS={ca} node -e 'fetch(\"{base}/hello\").then(a => a.text()).then(console.log, e => {{ console.log(e.cause); process.exit(1) }})'",
        needs=("node",),
    ),
    "Node: dns.resolve": Client(
        'node -e \'require("dns").resolve4("{host}", (e, found) => console.log(e ? e.code : found))\'',
        wanted="203.0.113.7",
        needs=("node",),
        connects=False,
    ),
    "Node: ws": Client(
        'cd {place}; NODE_EXTRA_CA_CERTS={ca} node -e \'const s = new (require(process.env.WS || "ws"))("wss://{host}:8443/hello"); s.on("error", e => console.log(e.message))\'',
        wanted="Unexpected server response",
        needs=("node",),
        built="node -e 'require(process.env.WS || \"ws\")'",
    ),
    "Java: HttpClient": Client(
        "java -Xshare:auto {place}/Get.java " + PLAIN,
        wanted="got 203.0.113.7",
        needs=("java",),
        files={"Get.java": GET_IN_JAVA},
    ),
    "Go, static": Client(
        "{place}/get " + PLAIN,
        wanted="got 203.0.113.7",
        needs=("go",),
        files={"get.go": GET_IN_GO},
        built="CGO_ENABLED=0 go build -o {place}/get {place}/get.go",
    ),
    "C, glibc": Client(
        "{place}/get {host}",
        wanted="got 203.0.113.7",
        needs=("gcc",),
        files={"get.c": GET_IN_C},
        built="gcc -o {place}/get {place}/get.c",
    ),
    "C, musl, static": Client(
        "{place}/get {host}",
        wanted="got 203.0.113.7",
        needs=("musl-gcc",),
        files={"get.c": GET_IN_C},
        built="musl-gcc -static -o {place}/get {place}/get.c",
    ),
    "dig": Client("dig +short +tries=1 {host}", wanted="203.0.113.7", needs=("dig",), connects=False),
    "dig over TCP": Client("dig +tcp +short +tries=1 {host}", wanted="203.0.113.7", needs=("dig",), connects=False),
    "nslookup": Client("nslookup {host}", wanted="203.0.113.7", needs=("nslookup",), connects=False),
    "getent": Client("getent ahosts {host}", wanted="203.0.113.7", needs=("getent",), connects=False),
    "ping": Client("ping -c 1 -W 2 {host}", needs=("ping",), never=True),
    "Chromium": Client(
        "HOME={place} timeout 60 chromium --headless --no-sandbox --no-zygote --disable-gpu --disable-dev-shm-usage --disable-features=HttpsUpgrades --user-data-dir={place}/{host} --dump-dom "
        + PLAIN
        + " 2>{place}/errors",
        wanted="203.0.113.7",
        needs=("chromium",),
    ),
}
