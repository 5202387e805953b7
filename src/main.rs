//! The `shadowscope` program.

fn main() {}
