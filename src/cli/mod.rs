//! The command line.

pub mod match_command;
pub mod signatures_command;
