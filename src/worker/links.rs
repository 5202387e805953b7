//! Which link addresses were told to merge already.

use crate::net::{Address, Mac};

/// The link addresses that were handed on last: most of those that come again are among them.
pub(super) struct Links(Box<[(Address, Mac); Links::PLACES]>);

impl Links {
    const PLACES: usize = 1024;

    pub(super) fn new() -> Links {
        Links(Box::new([(Address::default(), Mac::default()); Links::PLACES]))
    }

    /// Whether this pair is not among them; then it is from now on.
    pub(super) fn is_news(&mut self, address: Address, mac: Mac) -> bool {
        // Neighbours differ in their last bytes; a clash costs nothing but telling it again.
        let [.., a, b] = address.0;
        let place = &mut self.0[usize::from(u16::from_be_bytes([a, b])) % Links::PLACES];
        let is_news = *place != (address, mac);
        *place = (address, mac);
        is_news
    }
}
