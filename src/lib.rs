//! shadowscope: shadow-IT discovery from packets alone.

pub mod catalogue;
pub mod cli;
pub mod dissect;
pub mod hostname;
pub mod net;
pub mod observation;
pub mod packet;
pub mod signatures;
pub mod stats;
pub mod time;
