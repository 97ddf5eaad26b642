//! A line of text and the caret in it.

/// What is typed, and where the next letter goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    /// In bytes, between two characters.
    caret: usize,
}

impl Line {
    /// This text, the caret behind it.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            caret: text.len(),
            text,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the caret, and what behind it.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.caret)
    }

    /// Puts text in at the caret, as much of it as leaves the line at most `longest` characters. Control characters are
    /// left out, so that a paste never ends the line.
    pub(crate) fn insert(&mut self, text: &str, longest: usize) {
        let room = longest.saturating_sub(self.text.chars().count());
        let text: String = text
            .chars()
            .filter(|letter| !letter.is_control())
            .take(room)
            .collect();
        self.text.insert_str(self.caret, &text);
        self.caret += text.len();
    }

    /// Replaces what stands before the caret.
    pub(crate) fn rewrite(&mut self, before: &str) {
        self.text.replace_range(..self.caret, before);
        self.caret = before.len();
    }

    pub(crate) fn left(&mut self) {
        self.caret = self.before_caret();
    }

    pub(crate) fn right(&mut self) {
        self.caret = self.behind_caret();
    }

    pub(crate) fn start(&mut self) {
        self.caret = 0;
    }

    pub(crate) fn end(&mut self) {
        self.caret = self.text.len();
    }

    /// Takes away the letter before the caret.
    pub(crate) fn erase(&mut self) {
        self.erase_from(self.before_caret());
    }

    /// Takes away the letter behind the caret.
    pub(crate) fn delete(&mut self) {
        let end = self.behind_caret();
        self.text.replace_range(self.caret..end, "");
    }

    /// Takes away the word before the caret, and the blanks between.
    pub(crate) fn erase_word(&mut self) {
        let (before, _) = self.parts();
        let word = before.trim_end();
        let from = word
            .char_indices()
            .rev()
            .find(|(_, letter)| letter.is_whitespace())
            .map_or(0, |(at, blank)| at + blank.len_utf8());
        self.erase_from(from);
    }

    /// Takes away all that stands before the caret.
    pub(crate) fn erase_before(&mut self) {
        self.erase_from(0);
    }

    /// Takes away all that stands behind the caret.
    pub(crate) fn erase_behind(&mut self) {
        self.text.truncate(self.caret);
    }

    fn erase_from(&mut self, from: usize) {
        self.text.replace_range(from..self.caret, "");
        self.caret = from;
    }

    fn before_caret(&self) -> usize {
        let (before, _) = self.parts();
        before.char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn behind_caret(&self) -> usize {
        let (_, behind) = self.parts();
        self.caret + behind.chars().next().map_or(0, char::len_utf8)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_go_in_and_out_where_the_caret_is() {
        let mut line = Line::new("switch lyon lip6");
        line.erase_word();
        line.erase_word();
        assert_eq!(line.parts(), ("switch ", ""));
        line.start();
        line.right();
        line.insert("ü\n", 200);
        assert_eq!(line.parts(), ("sü", "witch "));
        line.erase();
        line.delete();
        assert_eq!(line.as_str(), "sitch ");
        line.end();
        line.left();
        line.erase_before();
        assert_eq!(line.parts(), ("", " "));
        line.erase_behind();
        assert_eq!(line, Line::default());
        line.insert("four letters", 4);
        assert_eq!(line.as_str(), "four");
    }

    proptest! {
        /// Whatever is done, the caret stands between two characters and the line is no longer than it may be.
        #[test]
        fn no_key_leaves_the_line(
            text in "\\PC{0,8}",
            steps in prop::collection::vec((0..10_u8, "\\PC{0,3}"), 0..40),
        ) {
            let mut line = Line::new(text);
            for (step, text) in steps {
                match step {
                    0 => line.left(),
                    1 => line.right(),
                    2 => line.start(),
                    3 => line.end(),
                    4 => line.erase(),
                    5 => line.delete(),
                    6 => line.erase_word(),
                    7 => line.erase_before(),
                    8 => line.erase_behind(),
                    _ => line.insert(&text, 12),
                }
                let (before, behind) = line.parts();
                prop_assert_eq!(format!("{before}{behind}"), line.as_str());
                prop_assert!(line.as_str().chars().count() <= 12);
            }
        }
    }
}
