//! shadowscope: shadow-IT discovery from packets alone.

pub mod decode;
pub mod capture;
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
pub mod report;
pub mod stats;
pub mod store;
pub mod time;
pub mod usage;
pub mod worker;
