//! Flows: the bounded table of a worker, its hash, its timing wheel, and the order of bytes.

pub mod hash;
pub(crate) mod memory;
pub mod reassembly;
pub mod slot;
pub mod table;
pub mod wheel;
