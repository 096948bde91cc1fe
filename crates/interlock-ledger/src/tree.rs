//! The RFC 6962 tree over the records, growing by one leaf at a time, and its C2SP tiles (256 hashes wide).
//!
//! Pure: full tiles are handed out to be written; who writes them is `log.rs`.

use sha2::{Digest, Sha256};

/// A node or leaf of the tree.
pub type Hash = [u8; 32];
/// Hashes in a full tile (C2SP tlog-tiles).
pub const TILE_WIDTH: usize = 256;

/// RFC 6962 §2.1: SHA-256(0x00 ‖ entry).
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// RFC 6962 §2.1: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A run of hashes of one tile level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// 0 for leaves; level L holds the roots of full tiles of level L-1.
    pub level: usize,
    /// Which tile of its level.
    pub index: u64,
    /// 1 to 256 hashes, in order.
    pub hashes: Vec<Hash>,
}

/// The growing tree: a peak for each complete subtree, and the tile in progress at each level.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    /// Roots of the complete subtrees, the largest first; their sizes are the bits of `size`.
    peaks: Vec<Hash>,
    /// For each level: full tiles so far, hashes of the tile in progress.
    open: Vec<(u64, Vec<Hash>)>,
    full: Vec<Tile>,
}

impl Tree {
    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tree of `size` leaves, from its right edge: `tile` gives the hashes of the tile in progress at (level, index, width).
    /// None when one is missing. Whether it is the tree that was signed, its root says.
    #[must_use]
    pub fn restored(size: u64, tile: impl Fn(usize, u64, usize) -> Option<Vec<Hash>>) -> Option<Self> {
        let mut tree = Self { size, ..Self::default() };
        let mut rest = size;
        while rest > 0 {
            let (index, width) = (rest / TILE_WIDTH as u64, usize::try_from(rest % TILE_WIDTH as u64).ok()?);
            let hashes = if width == 0 { Vec::new() } else { tile(tree.open.len(), index, width)? };
            if hashes.len() != width {
                return None;
            }
            tree.open.push((index, hashes));
            rest = index;
        }
        tree.peaks = tree.open.iter().rev().flat_map(|(_, hashes)| complete_subtrees(hashes)).collect();
        Some(tree)
    }

    /// Adds a leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_into_tile(0, leaf);
        let mut hash = leaf;
        let mut size = self.size;
        while size & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
            size >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    fn push_into_tile(&mut self, level: usize, hash: Hash) {
        if self.open.len() == level {
            self.open.push((0, Vec::with_capacity(TILE_WIDTH)));
        }
        let Some((index, hashes)) = self.open.get_mut(level) else { return };
        hashes.push(hash);
        if hashes.len() < TILE_WIDTH {
            return;
        }
        let tile = Tile { level, index: *index, hashes: std::mem::replace(hashes, Vec::with_capacity(TILE_WIDTH)) };
        *index += 1;
        let root = root_of(&tile.hashes);
        self.full.push(tile);
        self.push_into_tile(level + 1, root);
    }

    /// RFC 6962 §2.1: the root; of no leaves it is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node(left, &right))
    }

    /// Tiles that have become full since the last call.
    pub fn take_full(&mut self) -> Vec<Tile> {
        std::mem::take(&mut self.full)
    }

    /// Tiles that were taken and could not be written: they are handed out again.
    pub fn put_back(&mut self, mut tiles: Vec<Tile>) {
        tiles.append(&mut self.full);
        self.full = tiles;
    }

    /// The tiles in progress, as they stand for the present size.
    #[must_use]
    pub fn partial(&self) -> Vec<Tile> {
        let tiles = self.open.iter().enumerate().filter(|(_, (_, hashes))| !hashes.is_empty());
        tiles.map(|(level, (index, hashes))| Tile { level, index: *index, hashes: hashes.clone() }).collect()
    }
}

/// Roots of the complete subtrees over a tile in progress, the largest first.
fn complete_subtrees(hashes: &[Hash]) -> Vec<Hash> {
    let (mut rest, mut roots) = (hashes, Vec::new());
    while !rest.is_empty() {
        let (left, right) = rest.split_at(1 << rest.len().ilog2());
        roots.push(root_of(left));
        rest = right;
    }
    roots
}

/// Root of a complete subtree given its leaves (a power of two of them).
fn root_of(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks(2).filter_map(|pair| if let [left, right] = pair { Some(node(left, right)) } else { None }).collect();
    }
    row.first().copied().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1 as it is written: split at the largest power of two below n.
    fn reference(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => Sha256::digest([]).into(),
            1 => leaves[0],
            n => {
                let split = n.next_power_of_two() / 2;
                node(&reference(&leaves[..split]), &reference(&leaves[split..]))
            }
        }
    }

    #[test]
    fn a_tree_restored_from_its_right_edge_grows_as_the_one_that_was_never_put_down() {
        let mut tree = Tree::default();
        for number in 0..70_000_u32 {
            if number < 3 || number % 5003 == 0 || number % 10_240 == 0 || (65_534..65_539).contains(&number) {
                let edge = tree.partial();
                let tile =
                    |level, index, _| edge.iter().find(|tile| (tile.level, tile.index) == (level, index)).map(|tile| tile.hashes.clone());
                let mut restored = Tree::restored(tree.size(), tile).unwrap();
                assert_eq!((restored.size(), restored.root(), restored.partial()), (tree.size(), tree.root(), edge.clone()));
                let mut on = tree.clone();
                on.take_full();
                for more in 0..300_u32 {
                    restored.push(leaf(&more.to_be_bytes()));
                    on.push(leaf(&more.to_be_bytes()));
                }
                assert_eq!(
                    (restored.root(), restored.take_full(), restored.partial()),
                    (on.root(), on.take_full(), on.partial()),
                    "size {number}"
                );
            }
            tree.push(leaf(&number.to_be_bytes()));
        }
        assert!(Tree::restored(3, |_, _, _| None).is_none());
        assert!(Tree::restored(3, |_, _, _| Some(vec![[0; 32]; 2])).is_none());
    }

    #[test]
    fn the_root_is_rfc_6962s_at_every_size() {
        let leaves: Vec<Hash> = (0..600_u32).map(|n| leaf(&n.to_be_bytes())).collect();
        let mut tree = Tree::default();
        assert_eq!(tree.root(), reference(&[]));
        for (at, hash) in leaves.iter().enumerate() {
            tree.push(*hash);
            assert_eq!(tree.root(), reference(&leaves[..=at]), "size {}", at + 1);
        }
        let full = tree.take_full();
        assert_eq!(full.len(), 2);
        let above = &tree.partial()[1];
        assert_eq!((above.level, above.index), (1, 0));
        assert_eq!(above.hashes, vec![reference(&leaves[..256]), reference(&leaves[256..512])]);
        assert_eq!(tree.partial()[0].hashes, leaves[512..]);
    }
}
