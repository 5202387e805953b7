//! Which addresses have one link address, so that they are one client's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;

use crate::footprint;
use crate::net::{Address, Mac};

/// Clients whose link addresses are known, and link addresses: what tables of 2^17 places take.
const LINKS_MAX: usize = 7 << 14;
/// How often one of either has another one more than its first.
const FURTHER_MAX: usize = 1 << 17;
/// Addresses for which a link address may stand; a router stands for more.
const LINK_ADDRESSES_MAX: usize = 8;
/// Memory of all.
pub(super) const BYTES_MAX: usize = footprint::map(LINKS_MAX, size_of::<(Address, Few<Mac>)>())
    + footprint::map(LINKS_MAX, size_of::<(Mac, Few<Address>)>())
    + FURTHER_MAX * footprint::heap(2 * size_of::<Address>());

/// One or more: most have one, which needs no memory of its own.
enum Few<T> {
    One(T),
    More(Vec<T>),
}

impl<T: Copy> Few<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Few::One(one) => std::slice::from_ref(one),
            Few::More(all) => all,
        }
    }

    fn push(&mut self, next: T) {
        match self {
            Few::One(one) => *self = Few::More(vec![*one, next]),
            Few::More(all) => {
                all.reserve_exact(1);
                all.push(next);
            }
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Links {
    of_address: HashMap<Address, Few<Mac>, RandomState>,
    of_link: HashMap<Mac, Few<Address>, RandomState>,
    further: usize,
}

impl Links {
    /// Notes a client's link address, among at most `limit`. Says whether there was room. Of those with
    /// too many, the first ones are known.
    pub(super) fn note(&mut self, address: Address, mac: Mac, limit: usize) -> bool {
        let limit = limit.min(LINKS_MAX);
        let (is_known, is_link_known) =
            (self.of_address.contains_key(&address), self.of_link.contains_key(&mac));
        let is_further = is_known || is_link_known;
        if !is_known && self.of_address.len() >= limit
            || !is_link_known && self.of_link.len() >= limit
            || is_further && self.further >= FURTHER_MAX
        {
            return self.has(address, mac);
        }
        match self.of_address.entry(address) {
            Entry::Vacant(entry) => _ = entry.insert(Few::One(mac)),
            Entry::Occupied(mut entry) => {
                let links = entry.get().as_slice();
                // One more than may be, to know that there are too many.
                if links.len() > LINK_ADDRESSES_MAX || links.contains(&mac) {
                    return true;
                }
                entry.get_mut().push(mac);
                self.further += 1;
            }
        }
        match self.of_link.entry(mac) {
            Entry::Vacant(entry) => _ = entry.insert(Few::One(address)),
            Entry::Occupied(mut entry) => {
                if entry.get().as_slice().len() <= LINK_ADDRESSES_MAX {
                    entry.get_mut().push(address);
                    self.further += 1;
                }
            }
        }
        true
    }

    /// The other addresses of a client, in order.
    pub(super) fn others(&self, client: Address) -> Vec<Address> {
        let links = self.of_address.get(&client).map(Few::as_slice).unwrap_or_default();
        let links = links.iter().filter_map(|mac| self.of_link.get(mac).map(Few::as_slice));
        let mut others: Vec<Address> = links
            .filter(|addresses| addresses.len() <= LINK_ADDRESSES_MAX)
            .flatten()
            .copied()
            .filter(|&address| address != client)
            .collect();
        others.sort_unstable();
        others.dedup();
        others
    }

    fn has(&self, address: Address, mac: Mac) -> bool {
        self.of_address.get(&address).is_some_and(|links| links.as_slice().contains(&mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(number: u32) -> Mac {
        let [a, b, c, d] = number.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    #[test]
    fn links_have_room_for_so_many_clients_and_as_many_further_ones() {
        let mut links = Links::default();
        let address = |number: u32| Address::v4(number.to_be_bytes());
        let all = 0..LINKS_MAX as u32;
        assert!(all.clone().all(|at| links.note(address(at), mac(at), usize::MAX)));
        assert!(!links.note(address(u32::MAX), mac(0), usize::MAX));
        assert!(!links.note(address(0), mac(u32::MAX), usize::MAX));
        assert!(links.note(address(0), mac(0), usize::MAX), "it is known");
        let more = all.map(|at| links.note(address(at), mac(at ^ 1), usize::MAX));
        assert_eq!(more.filter(|&has_room| has_room).count(), FURTHER_MAX / 2);
        assert_eq!(links.others(address(0)), [address(1)]);
    }
}
