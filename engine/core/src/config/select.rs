//! Who is meant: by name, by pattern, by tenant, by tag. An empty selector means nobody.

use std::collections::BTreeSet;
use std::fmt;

use proto::{Tag, TenantName};
use serde::{Deserialize, Serialize};

/// What users, VMs and data centres are sorted by, besides their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// Whose it is.
    pub tenant: Option<TenantName>,
    /// Free words.
    pub tags: BTreeSet<Tag>,
}

/// Picks entries (a user and one of his VMs). What is given must all match; within one list, one is enough.
/// A selector that gives nothing, and a list that is empty, match nothing: never all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selector {
    /// Names of users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<Glob>>,
    /// Names of VMs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vms: Option<Vec<Glob>>,
    /// The data centre first entered by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sites: Option<Vec<Glob>>,
    /// Tenants of the user or of the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<Glob>>,
    /// Tags of the user or of the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Glob>>,
}

/// One entry as a selector sees it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The VM's name.
    pub vm: &'a str,
    /// The data centre the session lets it enter by.
    pub site: &'a str,
    /// Of the user.
    pub user_traits: &'a Traits,
    /// Of the VM.
    pub vm_traits: &'a Traits,
}

impl Selector {
    /// Whether an entry is meant.
    pub fn matches(&self, subject: Subject<'_>) -> bool {
        let Self {
            users,
            vms,
            sites,
            tenants,
            tags,
        } = self;
        let one = |list: &[Glob], name: &str| list.iter().any(|glob| glob.matches(name));
        let traits = [subject.user_traits, subject.vm_traits];
        let given = [
            users.as_deref().map(|list| one(list, subject.user)),
            vms.as_deref().map(|list| one(list, subject.vm)),
            sites.as_deref().map(|list| one(list, subject.site)),
            tenants.as_deref().map(|list| {
                let mut names = traits.iter().filter_map(|traits| traits.tenant.as_ref());
                names.any(|name| one(list, name.as_str()))
            }),
            tags.as_deref().map(|list| {
                let mut words = traits.iter().flat_map(|traits| &traits.tags);
                words.any(|word| one(list, word.as_str()))
            }),
        ];
        given.iter().flatten().count() > 0 && given.iter().flatten().all(|&matches| matches)
    }
}

/// A name, or a pattern: `*` stands for any run of characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(String);

/// Not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a name or pattern: use 1 to 63 letters, digits, '-', '_', '.', '*' for any run, '?' for one"
)]
pub struct GlobError {
    text: String,
}

impl Glob {
    /// A checked pattern.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '?');
        if (1..=63).contains(&text.len()) && text.chars().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(GlobError {
                text: text.to_owned(),
            })
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a plain name.
    pub fn is_name(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether a name fits. Linear in the name for each `*`, so that no pattern is costly.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where the last `*` stood, and how far it reached.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(&byte) if byte == b'?' || byte == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((at, reached)) = star else { return false };
                    star = Some((at, reached + 1));
                    p = at + 1;
                    n = reached + 1;
                }
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Glob {
    type Error = GlobError;
    fn try_from(text: String) -> Result<Self, GlobError> {
        Self::new(&text)
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'a>(user: &'a str, traits: &'a Traits) -> Subject<'a> {
        Subject {
            user,
            vm: "web",
            site: "telco",
            user_traits: traits,
            vm_traits: traits,
        }
    }

    #[test]
    fn a_star_stands_for_any_run_and_a_question_mark_for_one() {
        for (pattern, name, fits) in [
            ("paris-*", "paris-001", true),
            ("paris-*", "paris-", true),
            ("paris-*", "lyon-042", false),
            ("*-001", "paris-001", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("p?ris", "paris", true),
            ("p?ris", "pris", false),
            ("*", "anything", true),
            ("paris", "paris", true),
            ("paris", "paris-001", false),
        ] {
            assert_eq!(
                Glob::new(pattern).unwrap().matches(name),
                fits,
                "{pattern} {name}"
            );
        }
        let hostile = Glob::new(&"*a".repeat(31)).unwrap();
        assert!(!hostile.matches(&"a".repeat(30)));
        assert!(Glob::new("").is_err() && Glob::new("a b").is_err());
    }

    #[test]
    fn an_empty_selector_matches_nothing_and_so_does_an_empty_list() {
        let traits = Traits::default();
        let nothing = Selector::default();
        assert!(!nothing.matches(subject("paris", &traits)));
        let empty = Selector {
            users: Some(Vec::new()),
            ..Selector::default()
        };
        assert!(!empty.matches(subject("paris", &traits)));
    }

    #[test]
    fn what_is_given_must_all_match() {
        let traits = Traits {
            tenant: Some("acme".parse().unwrap()),
            tags: ["edge".parse().unwrap()].into(),
        };
        let glob = |text| Some(vec![Glob::new(text).unwrap()]);
        let both = Selector {
            users: glob("paris*"),
            tenants: glob("acme"),
            ..Selector::default()
        };
        assert!(both.matches(subject("paris-1", &traits)));
        assert!(!both.matches(subject("lyon", &traits)));
        assert!(!both.matches(subject("paris-1", &Traits::default())));
        let tagged = Selector {
            tags: glob("ed*"),
            ..Selector::default()
        };
        assert!(tagged.matches(subject("lyon", &traits)));
    }
}
