//! What tables take of memory at most: the arithmetic behind the bound that the README tells, which
//! `pipeline::footprint` adds up.

/// Bytes of a hash table with so many entries of so many bytes: a power of two of places, of which
/// an eighth stays empty, and a byte for each beside it.
pub const fn map(entries: usize, entry: usize) -> usize {
    let mut places = 8;
    while places / 8 * 7 < entries {
        places *= 2;
    }
    places * (entry + 1) + 16
}

/// Bytes of a B-tree with so many entries of so many bytes, of whose nodes each is less than half full.
pub const fn tree(entries: usize, entry: usize) -> usize {
    entries * (entry * 5 / 2 + 8)
}

/// What an allocation of so many bytes costs.
pub const fn heap(bytes: usize) -> usize {
    let with_header = (bytes + 8).next_multiple_of(16);
    match bytes {
        0 => 0,
        _ if with_header < 32 => 32,
        _ => with_header,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashMap};

    #[test]
    fn tables_that_fit_in_a_power_of_two_grow_no_further() {
        for entries in [7, 7 << 10, 8 << 10, 100] {
            let table: HashMap<u32, u32> = HashMap::with_capacity(entries);
            // Its places are told by the room in them.
            let places = table.capacity() / 7 * 8;
            assert_eq!(map(entries, 8), places * 9 + 16, "{entries}");
        }
        assert_eq!((heap(0), heap(1), heap(24), heap(25), heap(100)), (0, 32, 32, 48, 112));
        // Leaves of 11 entries have 5 at least, and six leaves one node above them.
        let leaf = size_of::<BTreeMap<u64, u64>>() + 11 * 16 + 16;
        assert!(tree(30, 16) >= 6 * heap(leaf) / 2 + heap(leaf + 96));
    }
}
