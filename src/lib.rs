//! shadowscope: shadow-IT discovery from packets alone.

pub mod capture;
pub mod dissect;
pub mod hostname;
pub mod net;
pub mod observation;
pub mod packet;
pub mod stats;
pub mod time;
