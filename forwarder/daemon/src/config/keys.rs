//! Keys by name, with secrets from the file itself or from files that nobody else can read.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lisp_wire::{Algorithm, Key};
use node::config::KeyRing;

use super::error::Problem;
use super::raw::{Names, RawKey};

/// The keys of a configuration.
pub(super) struct Keys {
    by_name: BTreeMap<String, Key>,
}

impl Keys {
    pub(super) fn read(raw: BTreeMap<String, RawKey>, base: &Path) -> Result<Self, Problem> {
        let mut by_name = BTreeMap::new();
        for (name, raw) in raw {
            let field = format!("keys.{name}");
            let secret = match (raw.secret, raw.secret_file) {
                (Some(secret), None) => secret.into_bytes(),
                (None, Some(file)) => secret_of(&base.join(file))
                    .map_err(|what| Problem::new(format!("{field}.secret_file"), what))?,
                (Some(_), Some(_)) => {
                    return Err(Problem::new(field, "give either secret or secret_file, not both"));
                }
                (None, None) => return Err(Problem::new(field, "needs a secret or a secret_file")),
            };
            if raw.algorithm == Algorithm::HmacSha1 && !raw.legacy {
                let what = "hmac-sha1 is for peers that know nothing better: say legacy: true beside it, or take hmac-sha256";
                return Err(Problem::new(field, what));
            }
            let key = Key::new(raw.id, raw.algorithm, &secret)
                .map_err(|error| Problem::new(field, error.to_string()))?;
            by_name.insert(name, key.with_mac_length(raw.mac.into()));
        }
        Ok(Self { by_name })
    }

    /// The keys of names that stand at `field`.
    pub(super) fn ring(&self, names: &Names, field: impl Fn() -> String) -> Result<KeyRing, Problem> {
        let names = names.as_slice();
        let keys = names.iter().map(|name| self.named(name, &field));
        KeyRing::new(keys.collect::<Result<_, _>>()?).ok_or_else(|| {
            let what = "at least one key is needed";
            Problem::new(field(), what)
        })
    }

    /// The name of another key with the secret of this one.
    pub(super) fn twin_of(&self, name: &str) -> Option<&str> {
        let key = self.by_name.get(name)?;
        let mut others = self.by_name.iter().filter(|(other, _)| *other != name);
        others
            .find(|(_, other)| other.same_secret(key))
            .map(|(other, _)| other.as_str())
    }

    /// The key of a name that stands at `field`.
    pub(super) fn named(&self, name: &str, field: impl FnOnce() -> String) -> Result<Key, Problem> {
        self.by_name.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            Problem::new(
                field(),
                format!("there is no key called '{name}'; under keys: {known}"),
            )
        })
    }
}

/// A secret without the line's end that editors add.
fn secret_of(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    let mode = std::fs::metadata(path).map_err(unreadable)?.mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "{} can be read by others (mode {:04o}); chmod 600 it",
            path.display(),
            mode & 0o7777
        ));
    }
    let mut secret = std::fs::read(path).map_err(unreadable)?;
    while matches!(secret.last(), Some(b'\n' | b'\r')) {
        secret.pop();
    }
    Ok(secret)
}
