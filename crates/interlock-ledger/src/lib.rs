//! The ledger's writer (`spec/ledger.md`): frames, MAC, tree, group commit. Reading and verifying is Python's, sharing no code.
#![forbid(unsafe_code)]
