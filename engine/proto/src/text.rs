//! Text that people write, before it goes to logs, screens and records.

/// Longest request id, in characters.
pub const LONGEST_REQUEST: usize = 128;

/// Longest reason or note, in characters.
pub const LONGEST_REASON: usize = 200;

/// Longest name of an operator, in characters.
pub const LONGEST_OPERATOR: usize = 64;

/// Names under which the engine itself stands in logs: nobody else's.
const OURS: [&str; 2] = ["the engine", "engine"];

/// Whether a character shows nothing of itself, or changes how others are shown: controls, line and paragraph separators, and
/// the format characters of Unicode (general category Cf), among them those that turn the direction of a line.
pub const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whether a name can stand for a person in logs.
///
/// # Errors
/// What is wrong with it: it shows nothing, is too long, or is the engine's own.
pub fn operator(name: &str) -> Result<(), String> {
    line("an operator's name", name, LONGEST_OPERATOR)?;
    let words: Vec<String> = name.split_whitespace().map(str::to_lowercase).collect();
    if words.is_empty() {
        return Err("an operator's name has at least one printable character".to_owned());
    }
    if OURS.contains(&words.join(" ").as_str()) {
        return Err(format!(
            "'{}' is what the engine itself goes by in the log; an operator needs another name",
            words.join(" ")
        ));
    }
    Ok(())
}

/// Whether text fits in a line of the log: printable, and at most so many characters.
///
/// # Errors
/// What is wrong with `what`, in words.
pub fn line(what: &str, text: &str, most: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length > most {
        return Err(format!("{what} has at most {most} characters, not {length}"));
    }
    match text.chars().find(|&c| is_unseen(c)) {
        Some(c) => Err(format!(
            "{what} has printable characters only, and no U+{:04X}, which is not seen",
            u32::from(c)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_goes_by_the_engines_name_or_one_that_reads_like_it() {
        for name in [
            "the engine",
            "The  ENGINE",
            " the\u{a0}engine ",
            "Engine",
            "the\u{200b} engine",
            "\u{202e}enigne eht",
            "ada\u{2028}",
            "",
            "  ",
            "\u{ad}",
        ] {
            assert!(operator(name).is_err(), "{name:?}");
        }
        for name in ["ada", "Ada Lovelace", "Jürgen", "伊藤", "the engineer"] {
            assert_eq!(operator(name), Ok(()), "{name}");
        }
        assert!(operator(&"a".repeat(65)).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_by_its_number() {
        let told = line("a reason", "fire\u{202e}", 200).unwrap_err();
        assert!(told.contains("U+202E"), "{told}");
        assert_eq!(line("a reason", &"é".repeat(200), 200), Ok(()));
        assert!(line("a reason", &"é".repeat(201), 200).is_err());
    }
}
