//! Where the sources lie that a test belongs to: asked when it runs. A test binary may be compiled in one clone and run from another, with one
//! folder for what is built; the place where it was compiled may be gone by then.

use std::path::{Path, PathBuf};

/// The root of the workspace: of the clone from which cargo runs the test; of the one in which it was compiled where it is run by hand, without
/// cargo.
///
/// # Panics
/// When neither is there.
#[must_use]
pub fn root() -> PathBuf {
    // Cargo says it to whatever it runs; who is run by hand has the compiler's word only.
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = told.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    workspace_of(&package)
        .unwrap_or_else(|| panic!("no workspace lies around {}: run the test with cargo", package.display()))
}

/// The folder with the lock file, at the package or above it.
fn workspace_of(package: &Path) -> Option<PathBuf> {
    package.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_that_of_the_clone_from_which_the_test_is_run() {
        let told = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says it when it runs a test");
        assert!(Path::new(&told).starts_with(root()));
        assert!(root().join("tests/sources/src/lib.rs").is_file());
    }

    #[test]
    fn a_package_outside_of_a_workspace_has_no_root() {
        assert_eq!(workspace_of(Path::new("/")), None);
    }
}
