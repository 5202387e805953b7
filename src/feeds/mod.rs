//! Files that others write and we read: who has which address, and whose network it is in.

pub mod autonomous_systems;
pub mod identities;
pub mod pseudonym_key;
