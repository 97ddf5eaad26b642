//! Bytes of a terminal into keys: UTF-8, control letters, and the escape sequences that terminals of the xterm family and
//! the Linux console send (ECMA-48 control sequences, XTerm's function keys and bracketed paste).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Of a paste no more than this is kept, in bytes: a text field takes far less.
const PASTE: usize = 1 << 16;
/// No sequence of ours is longer; what goes on without an end is noise.
const SEQUENCE: usize = 64;
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// What came from the keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    /// A key.
    Key(KeyEvent),
    /// The text of a bracketed paste.
    Paste(String),
}

/// What has been taken of a key that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    held: Vec<u8>,
    /// The text of a paste so far.
    paste: Option<Vec<u8>>,
}

/// The beginning of some bytes.
enum Head {
    /// This many bytes are a key.
    Key(usize, KeyEvent),
    /// This many bytes mean nothing to us.
    Noise(usize),
    /// A paste follows.
    Paste(usize),
    /// More bytes are to come.
    Unfinished,
}

impl Decoder {
    /// Takes bytes as they were read; gives what they make whole.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Pressed> {
        let mut pressed = Vec::new();
        self.held.extend_from_slice(bytes);
        loop {
            if self.paste.is_some() {
                match self.paste_on() {
                    Some(text) => pressed.push(Pressed::Paste(text)),
                    None => return pressed,
                }
            }
            let used = match head(&self.held) {
                Head::Key(used, key) => {
                    pressed.push(Pressed::Key(key));
                    used
                }
                Head::Noise(used) => used,
                Head::Paste(used) => {
                    self.paste = Some(Vec::new());
                    used
                }
                Head::Unfinished => return pressed,
            };
            self.held.drain(..used);
        }
    }

    /// Whether the rest of a key or of a paste is missing.
    pub(super) fn is_waiting(&self) -> bool {
        !self.held.is_empty() || self.paste.is_some()
    }

    /// Whether it is inside a paste.
    pub(super) fn is_pasting(&self) -> bool {
        self.paste.is_some()
    }

    /// Nothing more came: a lone escape is the key, a paste without an end is over, the rest was noise.
    pub(super) fn settle(&mut self) -> Option<Pressed> {
        let held = std::mem::take(&mut self.held);
        if let Some(mut text) = self.paste.take() {
            keep(&mut text, &held);
            return Some(Pressed::Paste(String::from_utf8_lossy(&text).into_owned()));
        }
        (held == b"\x1b").then(|| plain(KeyCode::Esc)).map(Pressed::Key)
    }

    /// Goes on with the paste; its text once its end has come.
    fn paste_on(&mut self) -> Option<String> {
        let mut text = self.paste.take()?;
        let end = self
            .held
            .windows(PASTE_ENDS.len())
            .position(|window| window == PASTE_ENDS);
        if let Some(end) = end {
            keep(&mut text, self.held.get(..end).unwrap_or_default());
            self.held.drain(..end + PASTE_ENDS.len());
            return Some(String::from_utf8_lossy(&text).into_owned());
        }
        // The last bytes may be the beginning of its end.
        let sure = self.held.len().saturating_sub(PASTE_ENDS.len() - 1);
        keep(&mut text, self.held.get(..sure).unwrap_or_default());
        self.held.drain(..sure);
        self.paste = Some(text);
        None
    }
}

fn keep(text: &mut Vec<u8>, more: &[u8]) {
    let room = PASTE.saturating_sub(text.len()).min(more.len());
    text.extend_from_slice(more.get(..room).unwrap_or_default());
}

fn plain(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

fn head(bytes: &[u8]) -> Head {
    match bytes {
        [] | [0x1b] => Head::Unfinished,
        [0x1b, b'[', rest @ ..] => control_sequence(rest),
        [0x1b, b'O', rest @ ..] => match rest {
            [] => Head::Unfinished,
            [letter, ..] => {
                function(*letter, KeyModifiers::NONE).map_or(Head::Noise(3), |key| Head::Key(3, key))
            }
        },
        // An answer of the terminal to somebody else's question, up to its end (BEL or ST).
        [0x1b, b']' | b'P' | b'^' | b'_', rest @ ..] => answer(rest),
        // The key, twice.
        [0x1b, 0x1b, ..] => Head::Key(1, plain(KeyCode::Esc)),
        [0x1b, rest @ ..] => match letter(rest) {
            Head::Key(used, mut key) => {
                key.modifiers |= KeyModifiers::ALT;
                Head::Key(used + 1, key)
            }
            Head::Noise(used) => Head::Noise(used + 1),
            other => other,
        },
        _ => letter(bytes),
    }
}

/// A letter or a control letter.
fn letter(bytes: &[u8]) -> Head {
    let control = |letter: u8| KeyEvent::new(KeyCode::Char(char::from(letter)), KeyModifiers::CONTROL);
    let Some(&first) = bytes.first() else {
        return Head::Unfinished;
    };
    let key = match first {
        b'\r' => plain(KeyCode::Enter),
        b'\t' => plain(KeyCode::Tab),
        0x7f => plain(KeyCode::Backspace),
        0 => control(b' '),
        0x01..=0x1a => control(first - 1 + b'a'),
        0x1c..=0x1f => control(first - 0x1c + b'4'),
        _ => return character(bytes),
    };
    Head::Key(1, key)
}

fn character(bytes: &[u8]) -> Head {
    let most = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let whole = match std::str::from_utf8(most) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            let valid = most.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
        // The rest of the letter is to come, or there is none.
        Err(error) => return error.error_len().map_or(Head::Unfinished, Head::Noise),
    };
    let Some(letter) = whole.chars().next() else {
        return Head::Unfinished;
    };
    let shift = if letter.is_uppercase() {
        KeyModifiers::SHIFT
    } else {
        KeyModifiers::NONE
    };
    Head::Key(letter.len_utf8(), KeyEvent::new(KeyCode::Char(letter), shift))
}

/// What stands behind `ESC [`.
fn control_sequence(rest: &[u8]) -> Head {
    const INTRODUCER: usize = 2;
    // The Linux console's F1 to F5.
    if let [b'[', more @ ..] = rest {
        return match more {
            [] => Head::Unfinished,
            [letter @ b'A'..=b'E', ..] => Head::Key(INTRODUCER + 2, plain(KeyCode::F(letter - b'A' + 1))),
            _ => Head::Noise(INTRODUCER + 1),
        };
    }
    let Some(at) = rest.iter().position(|byte| !matches!(byte, 0x20..=0x3f)) else {
        return if rest.len() > SEQUENCE {
            Head::Noise(INTRODUCER + rest.len())
        } else {
            Head::Unfinished
        };
    };
    let (parameters, end) = rest.split_at(at);
    let last = end.first().copied().unwrap_or_default();
    let used = INTRODUCER + at + 1;
    if !matches!(last, 0x40..=0x7e) {
        // Broken off by another key, which is still to be taken.
        return Head::Noise(INTRODUCER + at);
    }
    // A mouse of the oldest kind: three bytes of places follow. Somebody else left it on.
    if last == b'M' && parameters.is_empty() {
        return if end.len() < 4 {
            Head::Unfinished
        } else {
            Head::Noise(used + 3)
        };
    }
    let Some(numbers) = numbers(parameters) else {
        return Head::Noise(used);
    };
    let number = numbers.first().copied().unwrap_or(1);
    if (last, number) == (b'~', 200) {
        return Head::Paste(used);
    }
    let held = modifiers(numbers.get(1).copied().unwrap_or(1));
    let key = match last {
        b'~' => numbered(number).map(|code| KeyEvent::new(code, held)),
        // With another number it tells where the cursor is.
        _ if number == 1 => function(last, held),
        _ => None,
    };
    key.map_or(Head::Noise(used), |key| Head::Key(used, key))
}

/// Numbers apart by semicolons; `None`: something else.
fn numbers(parameters: &[u8]) -> Option<Vec<u16>> {
    let text = std::str::from_utf8(parameters).ok()?;
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(';').map(|number| number.parse().ok()).collect()
}

/// One more than the sum of 1 for Shift, 2 for Alt, 4 for Control.
fn modifiers(number: u16) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    [
        (1, KeyModifiers::SHIFT),
        (2, KeyModifiers::ALT),
        (4, KeyModifiers::CONTROL),
    ]
    .into_iter()
    .filter(|(bit, _)| bits & bit != 0)
    .fold(KeyModifiers::NONE, |all, (_, one)| all | one)
}

fn function(last: u8, held: KeyModifiers) -> Option<KeyEvent> {
    let code = match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        // The keypad's.
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(last - b'P' + 1),
        b'Z' => return Some(KeyEvent::new(KeyCode::BackTab, held | KeyModifiers::SHIFT)),
        _ => return None,
    };
    Some(KeyEvent::new(code, held))
}

fn numbered(number: u16) -> Option<KeyCode> {
    let function = |base: u16| u8::try_from(number - base).ok().map(KeyCode::F);
    match number {
        1 | 7 => Some(KeyCode::Home),
        2 => Some(KeyCode::Insert),
        3 => Some(KeyCode::Delete),
        4 | 8 => Some(KeyCode::End),
        5 => Some(KeyCode::PageUp),
        6 => Some(KeyCode::PageDown),
        11..=15 => function(10),
        17..=21 => function(11),
        23 | 24 => function(12),
        _ => None,
    }
}

/// The rest of a string that is no key, with what follows `ESC ]` and the like.
fn answer(rest: &[u8]) -> Head {
    const INTRODUCER: usize = 2;
    let bell = rest.iter().position(|byte| *byte == 0x07).map(|at| at + 1);
    let terminator = rest
        .windows(2)
        .position(|pair| pair == b"\x1b\\")
        .map(|at| at + 2);
    match (bell, terminator) {
        (Some(one), Some(other)) => Head::Noise(INTRODUCER + one.min(other)),
        (Some(one), None) | (None, Some(one)) => Head::Noise(INTRODUCER + one),
        // Not an answer: the letter, held with Alt, and others after it.
        (None, None) if rest.len() > SEQUENCE => Head::Noise(INTRODUCER),
        (None, None) => Head::Unfinished,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Pressed> {
        let mut decoder = Decoder::default();
        let mut pressed = decoder.take(bytes);
        pressed.extend(decoder.settle());
        pressed
    }

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Pressed {
        Pressed::Key(KeyEvent::new(code, modifiers))
    }

    const NONE: KeyModifiers = KeyModifiers::NONE;

    #[test]
    fn each_key_has_its_bytes() {
        for (bytes, code, modifiers) in [
            (&b"a"[..], KeyCode::Char('a'), NONE),
            (b"M", KeyCode::Char('M'), KeyModifiers::SHIFT),
            ("é".as_bytes(), KeyCode::Char('é'), NONE),
            ("\u{1F600}".as_bytes(), KeyCode::Char('\u{1F600}'), NONE),
            (b"\r", KeyCode::Enter, NONE),
            (b"\t", KeyCode::Tab, NONE),
            (b"\x7f", KeyCode::Backspace, NONE),
            (b"\x03", KeyCode::Char('c'), KeyModifiers::CONTROL),
            (b"\x08", KeyCode::Char('h'), KeyModifiers::CONTROL),
            (b"\x1b", KeyCode::Esc, NONE),
            (b"\x1ba", KeyCode::Char('a'), KeyModifiers::ALT),
            (b"\x1b[A", KeyCode::Up, NONE),
            (b"\x1bOB", KeyCode::Down, NONE),
            (b"\x1b[1;5C", KeyCode::Right, KeyModifiers::CONTROL),
            (b"\x1b[Z", KeyCode::BackTab, KeyModifiers::SHIFT),
            (b"\x1b[H", KeyCode::Home, NONE),
            (b"\x1b[1~", KeyCode::Home, NONE),
            (b"\x1b[4~", KeyCode::End, NONE),
            (b"\x1b[3~", KeyCode::Delete, NONE),
            (b"\x1b[5~", KeyCode::PageUp, NONE),
            (b"\x1b[6;2~", KeyCode::PageDown, KeyModifiers::SHIFT),
            (b"\x1bOP", KeyCode::F(1), NONE),
            (b"\x1b[[E", KeyCode::F(5), NONE),
            (b"\x1b[15~", KeyCode::F(5), NONE),
            (b"\x1b[24~", KeyCode::F(12), NONE),
        ] {
            assert_eq!(keys(bytes), [key(code, modifiers)], "{bytes:?}");
            // However it is cut, it is the same key.
            let mut decoder = Decoder::default();
            let mut pressed: Vec<Pressed> = bytes.iter().flat_map(|byte| decoder.take(&[*byte])).collect();
            pressed.extend(decoder.settle());
            assert_eq!(pressed, [key(code, modifiers)], "{bytes:?} byte by byte");
            assert!(!decoder.is_waiting());
        }
    }

    #[test]
    fn what_is_no_key_is_passed_over_and_the_next_key_counts() {
        for noise in [
            &b"\x1b[?62;4c"[..],      // device attributes
            b"\x1b[12;40R",           // where the cursor is
            b"\x1b[I",                // the window has the focus
            b"\x1b[<0;10;10M",        // a mouse
            b"\x1b[M !!",             // a mouse of the oldest kind
            b"\x1b]11;rgb:0/0/0\x07", // the background's colour
            b"\x1bP1+r\x1b\\",        // a capability
            b"\x1b[99999999999~",     // a number out of range
            b"\xff",                  // not UTF-8
            b"\xc3(",                 // half a letter, and a key
        ] {
            let mut bytes = noise.to_vec();
            bytes.push(b'q');
            let last = keys(&bytes).pop();
            assert_eq!(last, Some(key(KeyCode::Char('q'), NONE)), "{noise:?}");
            let letters = keys(&bytes).len();
            assert!(
                letters <= 1 + usize::from(noise == b"\xc3("),
                "{noise:?}: {:?}",
                keys(&bytes)
            );
        }
    }

    #[test]
    fn a_paste_is_one_text_however_it_is_cut() {
        let bytes = b"x\x1b[200~yes\r\x1b[A\x1b[20\x1b[201~z";
        let wanted = [
            key(KeyCode::Char('x'), NONE),
            Pressed::Paste("yes\r\x1b[A\x1b[20".to_owned()),
            key(KeyCode::Char('z'), NONE),
        ];
        for cut in 0..=bytes.len() {
            let mut decoder = Decoder::default();
            let mut pressed = decoder.take(&bytes[..cut]);
            pressed.extend(decoder.take(&bytes[cut..]));
            assert_eq!(pressed, wanted, "cut at {cut}");
        }
    }

    #[test]
    fn a_paste_that_never_ends_is_over_once_nothing_comes() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.take(b"\x1b[200~yes\r"), []);
        assert!(decoder.is_pasting() && decoder.is_waiting());
        assert_eq!(decoder.settle(), Some(Pressed::Paste("yes\r".to_owned())));
        assert_eq!(decoder.take(b"a"), [key(KeyCode::Char('a'), NONE)]);
    }

    #[test]
    fn of_a_long_paste_the_beginning_is_kept_and_of_an_endless_sequence_nothing() {
        let mut decoder = Decoder::default();
        decoder.take(b"\x1b[200~");
        for _ in 0..40 {
            decoder.take(&[b'a'; 4_096]);
        }
        let Some(Pressed::Paste(text)) = decoder.take(PASTE_ENDS).pop() else {
            panic!("a paste");
        };
        assert_eq!(text.len(), PASTE);
        assert_eq!(decoder.take(b"\x1b["), []);
        for _ in 0..40 {
            assert_eq!(
                decoder
                    .take(&[b'1'; SEQUENCE])
                    .iter()
                    .filter(|one| **one == key(KeyCode::Esc, NONE))
                    .count(),
                0
            );
            assert!(decoder.held.len() <= 2 * SEQUENCE);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_at_all_leave_it_ready_for_the_next_key(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            decoder.take(&bytes);
            decoder.settle();
            proptest::prop_assert!(!decoder.is_waiting());
            proptest::prop_assert_eq!(decoder.take(b"q"), [key(KeyCode::Char('q'), NONE)]);
        }
    }
}
