//! What the compiler and clippy do not hold: layers, fronts, sizes, purity of the fold, leftovers, places, links.
//! Each check is a function from the tree to findings. Nothing here mends anything, and nothing here knows Sagaline's rules.

pub mod code;
pub mod docs;
pub mod keywords;
pub mod layers;
pub mod places;
pub mod rust;
pub mod tree;

pub use tree::{File, Finding, Tree};
