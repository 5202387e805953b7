//! `--signatures` and `--signatures-extra`, which several commands share.

use std::path::PathBuf;

use crate::signatures::SignatureOptions;

/// Which catalogue to use.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SignatureArgs {
    /// Use the signature files in this folder, or this packed catalogue, instead of those built
    /// into the program
    #[arg(long, value_name = "DIR|FILE", env = "SHADOWSCOPE_SIGNATURES")]
    pub signatures: Option<PathBuf>,
    /// Add the signature files in DIR; they win over the others and are shown as local
    #[arg(long, value_name = "DIR")]
    pub signatures_extra: Option<PathBuf>,
}

impl SignatureArgs {
    /// The same, as loading wants it.
    pub fn options(&self) -> SignatureOptions {
        SignatureOptions {
            signatures: self.signatures.clone(),
            signatures_extra: self.signatures_extra.clone(),
        }
    }
}
