//! A table from a path to the few patterns that could match it, by what they hold literally.
//!
//! It may name a pattern that does not match, never miss one that does; the pattern itself is then asked. So it can work by hashes
//! alone: a collision costs time, not truth.

use crate::glob::Glob;
use crate::pattern::{Component, Pattern};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

type Buckets = HashMap<u64, Vec<u32>, BuildHasherDefault<AsIs>>;

/// Numbers filed under patterns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// By the literal path a pattern begins with.
    by_prefix: Buckets,
    /// By a literal component of a pattern that begins with no literal path.
    by_component: Buckets,
}

impl Table {
    /// Files a number under a pattern; `false` when it has nothing literal to be filed under.
    #[must_use = "a pattern that could not be filed must be kept elsewhere"]
    pub fn add(&mut self, pattern: &Pattern, number: u32) -> bool {
        let literal = pattern.rest().iter().rev().find_map(|component| match component {
            Component::Name(Glob::Literal(name)) => Some(name),
            Component::Name(_) | Component::Depth => None,
        });
        let numbers = match literal {
            _ if !pattern.prefix().is_empty() || pattern.is_tree() => self.by_prefix.entry(hash(pattern.prefix())).or_default(),
            Some(name) => self.by_component.entry(hash(name)).or_default(),
            None => return false,
        };
        if numbers.last() != Some(&number) {
            numbers.push(number);
        }
        true
    }

    /// Whether `wanted` holds of a number filed under a pattern that could match; it is asked until it does.
    pub fn any(&self, path: &[u8], mut wanted: impl FnMut(u32) -> bool) -> bool {
        let mut found = |buckets: &Buckets, key: u64| buckets.get(&key).is_some_and(|numbers| numbers.iter().any(|number| wanted(*number)));
        let (mut whole, mut component) = (SEED, SEED);
        for byte in path {
            if *byte == b'/' {
                if found(&self.by_prefix, whole) || found(&self.by_component, component) {
                    return true;
                }
                component = SEED;
            } else {
                component = step(component, *byte);
            }
            whole = step(whole, *byte);
        }
        found(&self.by_prefix, whole) || found(&self.by_component, component)
    }
}

/// FNV-1a, which can be taken of every prefix in one pass.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(SEED, |hash, byte| step(hash, *byte))
}

/// The keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| step(hash, *byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
