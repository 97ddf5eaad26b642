//! `pacao check`: sessions and layouts, every error with its place.

use std::path::Path;

use serde::Serialize;

use crate::cli::CheckArgs;

#[derive(Serialize)]
struct Row {
    file: String,
    line: usize,
    column: usize,
    field: String,
    message: String,
}

/// Checks every file; `Ok(true)` if nothing is wrong.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    for path in &args.files {
        // One that cannot be read does not keep the others from being checked.
        let found = findings(path).unwrap_or_else(|error| vec![unreadable(path, &error)]);
        if found.is_empty() && !args.json {
            println!("o {}: good", path.display());
        }
        rows.extend(found);
    }
    if args.json {
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
    Ok(rows.is_empty())
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
fn findings(path: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(path)?;
    let is_layout = text.lines().any(|line| line.starts_with("screen:"));
    if is_layout {
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
