//! The seal of a line: a hash over this line and the seal of the line before.

use sha2::{Digest, Sha256};

use crate::hex::hex;

/// The last seal. The file has no key: the chain tells damage, cuts and edits, not a forger who rewrites it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    seal: [u8; SEAL],
}

/// Bytes of SHA-256 that are kept.
const SEAL: usize = 16;
const OPEN: &str = ",\"sum\":\"";
const CLOSE: &str = "\"}";
const TAIL: usize = OPEN.len() + 2 * SEAL + CLOSE.len();

impl Chain {
    /// Appends `json` (an object with at least one field) to `out`, sealed, with its newline.
    pub(crate) fn seal(&mut self, json: &str, out: &mut Vec<u8>) {
        let open = json.strip_suffix('}').unwrap_or(json);
        self.seal = self.next(open);
        out.extend_from_slice(open.as_bytes());
        out.extend_from_slice(OPEN.as_bytes());
        out.extend_from_slice(hex(&self.seal).as_bytes());
        out.extend_from_slice(CLOSE.as_bytes());
        out.push(b'\n');
    }

    /// Bytes of the line that [`Self::seal`] makes of `json`, its newline included.
    pub(crate) fn sealed_length(json: &str) -> u64 {
        (json.len() + TAIL) as u64
    }

    /// The last seal, as it stands in a line.
    pub(crate) fn sum(&self) -> String {
        hex(&self.seal)
    }

    /// The object of a sealed line (without its newline); `Err` says what is wrong and leaves the chain as it was.
    pub(crate) fn open(&mut self, line: &str) -> Result<String, &'static str> {
        let at = line
            .len()
            .checked_sub(TAIL)
            .filter(|at| line.is_char_boundary(*at));
        let (open, tail) = at.map(|at| line.split_at(at)).ok_or("it is too short")?;
        let sum = tail
            .strip_prefix(OPEN)
            .and_then(|rest| rest.strip_suffix(CLOSE))
            .ok_or("it has no sum")?;
        let next = Self {
            seal: self.next(open),
        };
        if hex(&next.seal) != sum {
            return Err("its sum does not follow from the lines above");
        }
        *self = next;
        Ok(format!("{open}}}"))
    }

    fn next(&self, open: &str) -> [u8; SEAL] {
        let digest = Sha256::new()
            .chain_update(self.seal)
            .chain_update(open)
            .finalize();
        let mut seal = [0; SEAL];
        seal.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        seal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(bodies: &[&str]) -> Vec<String> {
        let (mut chain, mut out) = (Chain::default(), Vec::new());
        for body in bodies {
            chain.seal(body, &mut out);
        }
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_sealed_line_is_json_and_opens_to_what_was_sealed() {
        let lines = sealed(&[r#"{"a":1}"#, r#"{"b":"x"}"#]);
        let mut chain = Chain::default();
        for (line, body) in lines.iter().zip([r#"{"a":1}"#, r#"{"b":"x"}"#]) {
            assert!(serde_json::from_str::<serde_json::Value>(line).unwrap()["sum"].is_string());
            assert_eq!(chain.open(line).unwrap(), body);
        }
    }

    #[test]
    fn no_line_can_be_changed_left_out_or_moved() {
        let lines = sealed(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
        let changed = lines[0].replace("\"a\":1", "\"a\":7");
        assert!(Chain::default().open(&changed).is_err());
        let mut chain = Chain::default();
        chain.open(&lines[0]).unwrap();
        assert!(chain.open(&lines[2]).is_err(), "left out");
        assert!(chain.open(&lines[0]).is_err(), "twice");
        chain.open(&lines[1]).unwrap();
        for line in ["", "{}", "é".repeat(30).as_str()] {
            assert!(chain.open(line).is_err(), "{line}");
        }
    }
}
