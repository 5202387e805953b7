//! `shadowscope signatures`: the catalogue's own tools.
