//! The Merkle log over sealed recordings (RFC 6962): what was sealed once cannot be taken back
//! without changing a root that was signed.
//!
//! # Invariants
//! * A leaf and a node never have the same hash input: 0 stands before one, 1 before the other.

use serde::{Deserialize, Serialize};

use crate::crypto::{Hasher, Label, Sha256, Signable, SignedBytes};
use crate::ids::AttemptId;
use crate::time::WallTime;

/// What one leaf of the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLeaf {
    /// Whose recording.
    pub attempt: AttemptId,
    /// Its root ([`super::Manifest::root`]).
    pub root: Sha256,
    /// Hash of the signed manifest's bytes.
    pub manifest: Sha256,
}

/// The signed state of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// How many leaves there are.
    pub size: u64,
    /// The tree's root.
    pub root: Sha256,
    /// When, by the server's clock.
    pub at: WallTime,
}

impl Signable for Checkpoint {
    const LABEL: Label = Label::Checkpoint;
    const VERSION: u16 = 1;
    const NAME: &'static str = "checkpoint";
}

/// Proof that a leaf stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// The leaf's place, from 0.
    pub index: u64,
    /// The sibling hashes from leaf to root.
    pub path: Vec<Sha256>,
    /// A signed [`Checkpoint`].
    pub checkpoint: SignedBytes,
}

/// Returns the hash of a leaf's bytes.
#[must_use]
pub fn leaf_hash(hasher: &impl Hasher, bytes: &[u8]) -> Sha256 {
    hasher.sha256(&[&[0], bytes])
}

/// Returns the root over leaf hashes.
#[must_use]
pub fn tree_root(hasher: &impl Hasher, leaves: &[Sha256]) -> Sha256 {
    match leaves {
        [] => hasher.sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(hasher, &tree_root(hasher, left), &tree_root(hasher, right))
        }
    }
}

/// Returns the sibling hashes of leaf `index`; `None` where there is no such leaf.
#[must_use]
pub fn inclusion_path(
    hasher: &impl Hasher,
    leaves: &[Sha256],
    index: usize,
) -> Option<Vec<Sha256>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut path, sibling) = if index < at {
        (inclusion_path(hasher, left, index)?, right)
    } else {
        (inclusion_path(hasher, right, index - at)?, left)
    };
    path.push(tree_root(hasher, sibling));
    Some(path)
}

/// Returns the root that `path` leads to; `None` where its length does not fit (RFC 9162, 2.1.3.2).
#[must_use]
pub fn root_of_path(
    hasher: &impl Hasher,
    leaf: Sha256,
    index: u64,
    size: u64,
    path: &[Sha256],
) -> Option<Sha256> {
    if index >= size {
        return None;
    }
    let (mut place, mut last, mut root) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            root = node(hasher, sibling, &root);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            root = node(hasher, &root, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

fn node(hasher: &impl Hasher, left: &Sha256, right: &Sha256) -> Sha256 {
    hasher.sha256(&[&[1], &left.0, &right.0])
}

/// Returns the largest power of two below `len` (at least 2).
const fn split(len: usize) -> usize {
    let half = len.next_power_of_two() / 2;
    if half == len { len / 2 } else { half }
}
