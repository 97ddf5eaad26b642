//! `pacao check`: sessions and layouts, every error with its place; and, when asked, what is in force.

use std::io::{self, Write};
use std::path::Path;

use engine::session::{Knob, Source, explain};
use serde::Serialize;

use crate::cli::CheckArgs;

/// A column is no wider; what is, pushes its line apart.
const WIDEST: usize = 40;

#[derive(Serialize)]
struct Row {
    file: String,
    line: usize,
    column: usize,
    field: String,
    message: String,
}

/// A knob of a session.
#[derive(Serialize)]
struct KnobRow {
    file: String,
    #[serde(flatten)]
    knob: Knob,
}

/// All there is to tell with `--explain --json`.
#[derive(Serialize)]
struct Told {
    findings: Vec<Row>,
    knobs: Vec<KnobRow>,
}

/// Checks every file; `Ok(true)` if nothing is wrong.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<bool> {
    let (mut rows, mut knobs) = (Vec::new(), Vec::new());
    for path in &args.files {
        // One that cannot be read does not keep the others from being checked.
        let found = findings(path).unwrap_or_else(|error| vec![unreadable(path, &error)]);
        if found.is_empty() && !args.json {
            println!("o {}: good", path.display());
        }
        if found.is_empty() && args.explain && !is_layout(&std::fs::read_to_string(path)?) {
            let told = explain(path)?;
            if !args.json {
                until_the_reader_leaves(print(path, &told))?;
            }
            let file = path.display().to_string();
            knobs.extend(told.into_iter().map(|knob| KnobRow {
                file: file.clone(),
                knob,
            }));
        }
        rows.extend(found);
    }
    let is_good = rows.is_empty();
    if args.json && args.explain {
        let told = Told {
            findings: rows,
            knobs,
        };
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        for row in &rows {
            let field = if row.field.is_empty() {
                String::new()
            } else {
                format!("{}: ", row.field)
            };
            println!(
                "x {}:{}:{}: {field}{}",
                row.file, row.line, row.column, row.message
            );
        }
    }
    Ok(is_good)
}

/// The knobs of one session, their values below each other.
fn print(path: &Path, knobs: &[Knob]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).min(WIDEST);
    let name = width(&mut knobs.iter().map(|knob| knob.field.chars().count()));
    let value = width(&mut knobs.iter().map(|knob| knob.shown().chars().count()));
    for knob in knobs {
        let source = match &knob.source {
            Source::File { line } => format!("{}:{line}", path.display()),
            Source::Default => "default".to_owned(),
            Source::As { field } => format!("as {field}"),
            Source::Shipped => "shipped".to_owned(),
        };
        writeln!(out, "  {:name$}  {:value$}  {source}", knob.field, knob.shown())?;
    }
    Ok(())
}

/// Whoever reads the output may have seen enough.
fn until_the_reader_leaves(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn unreadable(path: &Path, error: &anyhow::Error) -> Row {
    Row {
        file: path.display().to_string(),
        line: 1,
        column: 1,
        field: String::new(),
        message: format!("it cannot be read: {}", crate::words(error)),
    }
}

/// A layout has a `screen:`; everything else is taken for a session.
fn is_layout(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("screen:"))
}

fn findings(path: &Path) -> anyhow::Result<Vec<Row>> {
    if is_layout(&std::fs::read_to_string(path)?) {
        let findings = tui::layout::check(path).into_iter();
        return Ok(findings
            .map(|f| Row {
                file: f.file,
                line: f.line,
                column: f.column,
                field: f.field,
                message: f.message,
            })
            .collect());
    }
    let findings = engine::session::check(path)?.into_iter();
    Ok(findings
        .map(|f| Row {
            file: f.file,
            line: f.line,
            column: f.column,
            field: f.field,
            message: f.message,
        })
        .collect())
}
