//! The command line.

pub mod match_command;
pub mod signature_args;
pub mod signatures_command;
