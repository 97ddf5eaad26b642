//! Names, as operators write them in a session file.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a name: use 1 to 63 letters, digits, '-', '_' or '.', beginning with a letter or digit"
)]
pub struct NameError {
    text: String,
}

fn checked(text: &str) -> Result<Arc<str>, NameError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if starts && text.len() <= 63 && text.chars().all(good) {
        Ok(text.into())
    } else {
        Err(NameError {
            text: text.to_owned(),
        })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// A checked name: 1 to 63 of letters, digits, `-`, `_`, `.`, beginning with a letter or digit.
            pub fn new(text: &str) -> Result<Self, NameError> {
                checked(text).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.to_string()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    };
}

name!(
    /// A data centre, or any site with a forwarder of ours.
    SiteName
);
name!(
    /// A user, or a group of users behind one RLOC.
    UserName
);
name!(
    /// A virtual machine.
    VmName
);
name!(
    /// An SLA class.
    SlaName
);
name!(
    /// Whom users and VMs belong to.
    TenantName
);
name!(
    /// A word users and VMs are sorted by.
    Tag
);
