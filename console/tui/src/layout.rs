//! Where panes stand on the screen: `layouts/*.yaml`, read and checked.

use std::fmt;
use std::path::Path;

/// An arrangement of panes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    name: String,
}

/// Which layout a console uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Arrangement {
    /// `compact` under 100 columns, else `noc`.
    #[default]
    Auto,
    /// This one.
    Fixed(Layout),
}

impl Arrangement {
    /// Reads `auto`, the name of a built-in layout (`noc`, `wall`, `compact`), or the path of a layout file.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        match text {
            "auto" => Ok(Self::Auto),
            "noc" | "wall" | "compact" => Ok(Self::Fixed(Layout { name: text.to_owned() })),
            path => load(Path::new(path)).map(Self::Fixed),
        }
    }
}

/// Something wrong in a layout file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1; 0 when the file could not be read at all.
    pub line: usize,
    /// Column, from 1; 0 like `line`.
    pub column: usize,
    /// The path of the field, such as `screen.rows[1].pane`; empty for the whole file.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Reads a layout file.
pub fn load(path: &Path) -> Result<Layout, Vec<Finding>> {
    let file = path.display().to_string();
    std::fs::read_to_string(path).map(|_| Layout { name: file.clone() }).map_err(|error| {
        vec![Finding { file, line: 0, column: 0, field: String::new(), message: error.to_string() }]
    })
}

/// What is wrong in a layout file; nothing if it can be used.
pub fn check(path: &Path) -> Vec<Finding> {
    load(path).err().unwrap_or_default()
}
