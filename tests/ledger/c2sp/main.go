// A third party's look at an exported log: golang.org/x/mod/sumdb/note verifies the checkpoint, sumdb/tlog the tiles and entries.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// reader gives tlog the tiles of a directory in C2SP's layout (`tile/<L>/<N>`, where tlog writes `tile/8/<L>/<N>`).
type reader struct{ root string }

func (r reader) Height() int                           { return 8 }
func (r reader) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(r.root, path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	root := os.Args[1]
	vkey, err := os.ReadFile(filepath.Join(root, "vkey"))
	fail(err)
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	fail(err)
	message, err := os.ReadFile(filepath.Join(root, "checkpoint"))
	fail(err)
	opened, err := note.Open(message, note.VerifierList(verifier))
	fail(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	fail(err)
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	fail(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], raw)
	hashes := tlog.TileHashReader(tree, reader{root})
	computed, err := tlog.TreeHash(size, hashes)
	fail(err)
	if computed != tree.Hash {
		fail(fmt.Errorf("the tiles' root is not the checkpoint's"))
	}
	for number := int64(0); number < size; {
		width := min(256, size-number)
		tile := tlog.Tile{H: 8, L: -1, N: number / 256, W: int(width)}
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(root, path))
		fail(err)
		for ; len(data) > 0; number++ {
			length := int(binary.BigEndian.Uint16(data))
			entry := data[2 : 2+length]
			data = data[2+length:]
			stored, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, number)})
			fail(err)
			leaf := tlog.RecordHash(entry)
			if !bytes.Equal(stored[0][:], leaf[:]) {
				fail(fmt.Errorf("entry %d is not the tiles'", number))
			}
			proof, err := tlog.ProveRecord(size, number, hashes)
			fail(err)
			fail(tlog.CheckRecord(proof, size, tree.Hash, number, leaf))
		}
	}
	fmt.Printf("%s %d\n", lines[0], size)
}
