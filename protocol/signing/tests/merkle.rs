//! The Merkle log against the vectors of RFC 6962's reference implementation.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use proptest::prelude::*;
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::merkle::{inclusion_path, leaf_hash, root_of_path, tree_root};
use qorgan_signing::Ring;

/// The eight leaves of certificate-transparency's `merkle_tree_test`.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// The roots over the first one to eight of them.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn roots_are_those_of_the_reference() {
    let leaves: Vec<_> = LEAVES
        .iter()
        .map(|leaf| leaf_hash(&Ring, &hex::decode(leaf).expect("hexadecimal")))
        .collect();
    for (count, root) in (1..).zip(ROOTS) {
        assert_eq!(tree_root(&Ring, &leaves[..count]).to_hex(), root);
    }
    assert_eq!(
        tree_root(&Ring, &[]).to_hex(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

proptest! {
    #[test]
    fn every_leaf_is_proved_and_no_other(count in 1usize..40, index in 0usize..40, bit in 0usize..256) {
        let leaves: Vec<_> = (0..count).map(|n| leaf_hash(&Ring, &n.to_be_bytes())).collect();
        let root = tree_root(&Ring, &leaves);
        let size = u64::try_from(count).expect("small");
        let place = u64::try_from(index).expect("small");
        let Some(path) = inclusion_path(&Ring, &leaves, index) else {
            prop_assert!(index >= count);
            return Ok(());
        };
        prop_assert_eq!(root_of_path(&Ring, leaves[index], place, size, &path), Some(root));
        let mut other = leaves[index];
        other.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(root_of_path(&Ring, other, place, size, &path), Some(root));
        prop_assert_ne!(root_of_path(&Ring, leaves[index], place + 1, size, &path), Some(root));
        let mut long = path;
        long.push(Sha256::ZERO);
        prop_assert_ne!(root_of_path(&Ring, leaves[index], place, size, &long), Some(root));
    }
}
