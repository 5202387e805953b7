//! shadowscope: shadow-IT discovery from packets alone.

pub mod capture;
pub mod catalogue;
pub mod cli;
pub mod decode;
pub mod dissect;
pub mod feeds;
pub mod flow;
pub mod hostname;
pub mod identity;
pub mod ledger;
pub mod names;
pub mod net;
pub mod observation;
pub mod packet;
pub mod pipeline;
pub mod report;
pub mod signatures;
pub mod stats;
pub mod store;
pub mod time;
pub mod usage;
pub mod worker;
