//! Definitions and contracts as the fold reads them: normal forms, types and expressions. Pure: everything here is part of the
//! rules' version. YAML and its error messages live in `coordinator/language`, never here.

pub mod contract;
pub mod expr;
pub mod model;
pub mod rehearsal;
pub mod spelling;
pub mod template;
pub mod types;

pub use contract::Contract;
pub use expr::Expr;
pub use model::Definition;
