//! Files that others write and we read: who has which address.

pub mod identities;
