//! Files that the command line names.

use std::fs;
use std::path::Path;

use crate::outcome::Failure;

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?)
}

/// Reads a secret without one line break at its end, which editors add.
pub(crate) fn secret(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut secret = read(path)?;
    if secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
    Ok(secret)
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(fs::write(path, text).map_err(|error| format!("cannot write `{}`: {error}", path.display()))?)
}

/// Replaces a file at once, so that a service that follows it reads no half of it.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    write(Path::new(&beside), text)?;
    Ok(fs::rename(&beside, path).map_err(|error| format!("cannot replace `{}`: {error}", path.display()))?)
}
