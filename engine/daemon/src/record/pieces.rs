//! Writing an entry as JSON: on one line, or on several if it is large. No more than one line of it is held beside what is
//! written.

use std::borrow::Cow;
use std::io;

use proto::Timestamp;
use serde::Serialize;

use super::reader::MAX_LINE;
use super::{Body, Chain};

/// Bytes of an entry on one line; what is larger goes over several. Written as a text each byte may become two.
pub(crate) const PIECE: usize = 16 << 20;

const _: () = assert!(2 * (PIECE as u64) + 1024 < MAX_LINE);

/// Appends the lines of one entry to `out`, sealed. Whole or not at all: after an error `out` and `chain` are as before.
pub(crate) fn write(
    at: Timestamp,
    entry: &impl Serialize,
    piece: usize,
    (chain, out): (&mut Chain, &mut Vec<u8>),
) -> Result<(), serde_json::Error> {
    let before = (out.len(), chain.clone());
    let mut pieces = Pieces {
        at,
        piece,
        text: Vec::new(),
        divided: false,
        chain,
        out,
    };
    let written = serde_json::to_writer(&mut pieces, entry)
        .and_then(|()| pieces.finish().map_err(serde_json::Error::io));
    if written.is_err() {
        out.truncate(before.0);
        *chain = before.1;
    }
    written
}

struct Pieces<'a> {
    at: Timestamp,
    piece: usize,
    /// What is on no line yet.
    text: Vec<u8>,
    /// Whether any of it is on a line.
    divided: bool,
    chain: &'a mut Chain,
    out: &'a mut Vec<u8>,
}

impl Pieces<'_> {
    fn finish(mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        let text = str::from_utf8(&text).map_err(io::Error::other)?;
        if self.divided {
            self.seal(&Body {
                at: self.at,
                last: Some(Cow::Borrowed(text)),
                ..Body::default()
            })
        } else {
            self.chain.seal(text, self.out);
            Ok(())
        }
    }

    /// What there is, up to the end of a character, on a line of its own.
    fn divide(&mut self) -> io::Result<()> {
        let mut text = std::mem::take(&mut self.text);
        let continues = |byte: &u8| byte & 0xc0 == 0x80;
        let mut end = self.piece.min(text.len());
        while end > 0 && text.get(end).is_some_and(continues) {
            end -= 1;
        }
        self.text = text.split_off(end);
        self.divided = true;
        let text = str::from_utf8(&text).map_err(io::Error::other)?;
        self.seal(&Body {
            at: self.at,
            part: Some(Cow::Borrowed(text)),
            ..Body::default()
        })
    }

    fn seal(&mut self, line: &Body<'_>) -> io::Result<()> {
        let json = serde_json::to_string(line)?;
        self.chain.seal(&json, self.out);
        Ok(())
    }
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        while self.text.len() > self.piece {
            self.divide()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(entry: &impl Serialize, piece: usize) -> Vec<String> {
        let (mut chain, mut out) = (Chain::default(), Vec::new());
        write(Timestamp(7), entry, piece, (&mut chain, &mut out)).unwrap();
        let (mut chain, text) = (Chain::default(), String::from_utf8(out).unwrap());
        text.lines().map(|line| chain.open(line).unwrap()).collect()
    }

    #[test]
    fn what_fits_a_line_is_on_one_and_one_byte_more_on_two() {
        let entry = serde_json::json!({"x": "abc"});
        assert_eq!(lines(&entry, 11), [r#"{"x":"abc"}"#]);
        assert_eq!(
            lines(&entry, 10),
            [r#"{"at":7,"part":"{\"x\":\"abc\""}"#, r#"{"at":7,"last":"}"}"#]
        );
    }

    /// The chain goes on as if nothing had been tried.
    #[test]
    fn what_has_no_json_form_leaves_nothing_behind() {
        let (mut chain, mut out) = (Chain::default(), b"before\n".to_vec());
        let bad = ("x".repeat(100), std::collections::BTreeMap::from([((1, 2), 3)]));
        write(Timestamp(7), &bad, 16, (&mut chain, &mut out)).unwrap_err();
        assert_eq!((out, chain), (b"before\n".to_vec(), Chain::default()));
    }

    proptest! {
        #[test]
        fn the_lines_of_an_entry_joined_are_the_entry(text in ".{0,200}", piece in 4usize..300) {
            let entry = serde_json::json!({"text": text});
            let whole = serde_json::to_string(&entry).unwrap();
            let lines = lines(&entry, piece);
            prop_assert!(lines.len() >= whole.len().div_ceil(piece));
            let mut joined = String::new();
            for line in &lines {
                let Ok(body) = serde_json::from_str::<Body<'_>>(line) else {
                    joined.push_str(line);
                    break;
                };
                joined.push_str(&body.part.or(body.last).unwrap());
            }
            prop_assert_eq!(joined, whole);
        }
    }
}
