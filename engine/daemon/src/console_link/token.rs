//! The secret that consoles show.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use subtle::ConstantTimeEq;

use super::ConsoleLinkError;
use crate::hex::hex;

/// 256 random bits in hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

const DIGITS: usize = 64;

impl Token {
    /// Reads the token of a running engine.
    ///
    /// # Errors
    /// [`ConsoleLinkError::File`], or [`ConsoleLinkError::Token`] if it is not ours or others can read it.
    pub fn read(path: &Path) -> Result<Self, ConsoleLinkError> {
        let failed = |source| ConsoleLinkError::File {
            doing: "read",
            path: path.to_owned(),
            source,
        };
        let not_ours = |why, mend| ConsoleLinkError::Token {
            path: path.to_owned(),
            why,
            mend,
        };
        let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
            let mend = "chmod 600 it, or name another with --token-file";
            return Err(not_ours("others than its owner have access to it", mend));
        }
        let mut text = String::new();
        file.take(2 * DIGITS as u64)
            .read_to_string(&mut text)
            .map_err(failed)?;
        let mend = "name the right one with --token-file";
        Self::parse(&text).ok_or_else(|| not_ours("it does not hold 64 hexadecimal digits", mend))
    }

    /// From its text; spaces around it are left out. `None` if it is not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .then(|| Self(text.to_owned()))
    }

    /// Reads the token at `path`, or makes one there, mode 0600.
    pub(crate) fn keep(path: &Path) -> Result<Self, ConsoleLinkError> {
        let failed = |source| ConsoleLinkError::File {
            doing: "make",
            path: path.to_owned(),
            source,
        };
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // This one is the engine's own: it makes a new one where there is none.
                Self::read(path).map_err(|error| match error {
                    ConsoleLinkError::Token { path, why, .. } => ConsoleLinkError::Token {
                        path,
                        why,
                        mend: "remove it and start again",
                    },
                    other => other,
                })
            }
            Err(error) => Err(failed(error)),
            Ok(mut file) => {
                let token = Self::random().map_err(failed)?;
                writeln!(file, "{}", token.0).map_err(failed)?;
                Ok(token)
            }
        }
    }

    /// The value of an `Authorization` header (RFC 6750 section 2.1).
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether a header's value shows this token; takes as long whichever byte differs.
    pub(crate) fn is_shown(&self, header: &[u8]) -> bool {
        self.bearer().as_bytes().ct_eq(header).into()
    }

    fn random() -> io::Result<Self> {
        let mut bytes = [0; DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(hex(&bytes)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = Token::keep(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Token::keep(&path).unwrap(), made);
        assert_eq!(Token::read(&path).unwrap(), made);
        assert!(made.is_shown(made.bearer().as_bytes()));
        assert!(!made.is_shown(Token::random().unwrap().bearer().as_bytes()));
        assert!(!made.is_shown(b"Bearer "));
        assert!(!format!("{made:?}").contains(&made.0));
    }

    #[test]
    fn a_token_that_others_can_read_or_that_is_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        Token::keep(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let told = |outcome: Result<Token, ConsoleLinkError>| outcome.unwrap_err().to_string();
        // Somebody's file is not to be removed: it may be the key of something else.
        assert!(
            told(Token::read(&path))
                .ends_with("access to it; chmod 600 it, or name another with --token-file")
        );
        assert!(told(Token::keep(&path)).ends_with("access to it; remove it and start again"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "hello").unwrap();
        assert!(told(Token::read(&path)).ends_with("digits; name the right one with --token-file"));
        assert!(told(Token::keep(&path)).ends_with("digits; remove it and start again"));
    }
}
