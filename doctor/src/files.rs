//! Files that the command line names.

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

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

/// Writes a JWK set to a new file, or over an earlier JWK set. Anything else stays, such as the key that it is made from.
pub(crate) fn write_jwks(path: &Path, jwks: &str) -> Result<(), Failure> {
    let is_set = |content: &[u8]| {
        let json = serde_json::from_slice::<Value>(content).unwrap_or_default();
        content.is_empty() || json.get("keys").is_some_and(Value::is_array)
    };
    if path.try_exists()? && !is_set(&read(path)?) {
        return Err(format!("`{}` is not a JWK set: it was not overwritten", path.display()).into());
    }
    Ok(fs::write(path, jwks).map_err(|error| format!("cannot write `{}`: {error}", path.display()))?)
}

/// Replaces a file at once, so that a service that follows it reads no half of it.
///
/// `before` is its content when it was read. Another writer's change is not lost. The permissions stay. A new file is
/// for its owner alone.
pub(crate) fn replace(path: &Path, before: Option<&[u8]>, text: &str) -> Result<(), Failure> {
    if before.is_none() && path.is_symlink() {
        return Err(format!("`{}` is a link to a file that does not exist", path.display()).into());
    }
    // A link stays one: its target is replaced.
    let path = if before.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
    let random = RandomState::new().build_hasher().finish();
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{random:016x}"));
    let beside = Path::new(&beside);
    let written =
        write_new(beside, &path, text).and_then(|()| match fs::read(&path).ok().as_deref() == before {
            true => fs::rename(beside, &path),
            false => Err(io::Error::other("it changed meanwhile; try again")),
        });
    written.map_err(|error| {
        let _ = fs::remove_file(beside);
        format!("cannot write `{}`: {error}", path.display()).into()
    })
}

/// Creates a file with the permissions of another one.
fn write_new(path: &Path, like: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if let Ok(like) = fs::metadata(like) {
        file.set_permissions(like.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_keeps_change_of_other_writer() {
        let folder = std::env::temp_dir().join(format!("jwt-doctor-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("keys.json");
        fs::write(&path, "[1]").unwrap();
        for before in [Some(&b"[]"[..]), None] {
            let error = replace(&path, before, "[2]").unwrap_err();
            assert!(error.to_string().contains("it changed meanwhile"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"[1]");
        }
        replace(&path, Some(b"[1]"), "[2]").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[2]");
        // Nothing else is left.
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
