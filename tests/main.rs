//! The integration tests: one program with a module for each behaviour.
//!
//! They need no network, no privilege and nothing outside the tree. Three variables of the
//! environment change what they do: `SHADOWSCOPE_CAPTURES` names a folder of captures with an
//! independent decoder's answers (see `conformance`), `UPDATE_EXPECT=1` rewrites the golden files
//! (see `golden`), and `SHADOWSCOPE_KILLS` is how often what is killed is killed (see `faults`).

#![allow(
    clippy::duplicate_mod,
    reason = "helpers of fuzz targets are modules of each test that needs them"
)]

mod addresses;
mod attack;
mod calibration;
mod calls;
mod conformance;
mod corpus;
mod dns;
mod duplicates;
mod evidence;
mod faults;
mod flooded;
mod flows;
mod fuzz_corpus;
mod gateways;
#[path = "../benches/generator/mod.rs"]
mod generator;
mod golden;
mod input;
mod installing;
mod keeping;
mod known_captures;
mod ledger;
mod live;
mod made;
mod memory;
mod naming;
mod other_tool;
mod own;
mod packaging;
mod reclassify;
mod relearnt;
mod service;
mod shadows;
mod shared_sources;
mod support;
mod thresholds;
mod tidy;
mod truth;
mod tunnels;
mod why;
mod wire;
mod workers;
