//! Files written here and read back: every format, every cut, every order.

mod corpus;
mod formats;
mod mapped;
mod runs;
mod write;

pub(super) use write::gzip;
