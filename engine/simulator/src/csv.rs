//! Trajectories and areas as comma-separated values.
//!
//! A trace file begins with a line of field names and has one position a line:
//!
//! ```text
//! user,time,lat,lon          user,time,area
//! ada,06:30,48.85,2.35       ada,06:30,paris-4
//! ada,06:36,48.88,2.36       ada,23400,paris-7
//! ```
//!
//! A position holds until the user's next one; the last only says when the trace ends. Times are of one day: `HH:MM`,
//! `HH:MM:SS` or seconds since midnight. Lines may stand in any order.

use std::collections::HashMap;
use std::fmt::Write;

use proto::Span;
use thiserror::Error;

use crate::areas::{Area, Areas, AreasError};
use crate::geo::Place;
use crate::trace::{DAY, Trace};

/// Most users of one file.
const MOST_USERS: usize = 1_000_000;

/// What is wrong with a file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CsvError {
    /// A field of one line.
    #[error("{file}:{line}: {field}: {why}")]
    Field {
        /// The file, as given.
        file: String,
        /// Counted from 1.
        line: usize,
        /// The field's name.
        field: &'static str,
        /// What it is, and what would be right.
        why: String,
    },
    /// A line.
    #[error("{file}:{line}: {why}")]
    Line {
        /// The file, as given.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The areas together.
    #[error("{file}: {source}")]
    Areas {
        /// The file, as given.
        file: String,
        /// What is wrong.
        source: AreasError,
    },
}

/// Reads areas: `area,lat,lon`.
pub fn read_areas(file: &str, text: &str) -> Result<Areas, CsvError> {
    let table = Lines::new(file, text);
    if table.head != ["area", "lat", "lon"] {
        return Err(table.wrong_head("area,lat,lon"));
    }
    let mut areas = Vec::new();
    for row in table.rows() {
        let row = row?;
        let name = row.word(0, "area")?;
        areas.push(Area {
            name: name.to_owned(),
            at: row.place(1)?,
        });
    }
    let file = file.to_owned();
    Areas::new(areas).map_err(|source| CsvError::Areas { file, source })
}

/// Reads trajectories: `user,time,lat,lon` or `user,time,area`. Places become the nearest of `areas`. In the order of
/// the first line of each user; users with a single position are left out.
pub fn read_traces(file: &str, text: &str, areas: &Areas) -> Result<Vec<Trace>, CsvError> {
    let table = Lines::new(file, text);
    let by_name = match table.head[..] {
        ["user", "time", "lat", "lon"] => false,
        ["user", "time", "area"] => true,
        _ => return Err(table.wrong_head("user,time,lat,lon or user,time,area")),
    };
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut users: Vec<(&str, Vec<Position>)> = Vec::new();
    for row in table.rows() {
        let row = row?;
        let user = row.word(0, "user")?;
        let at = row.time(1)?;
        let area = if by_name {
            let name = row.word(2, "area")?;
            let unknown = || row.field("area", format!("there is no area '{name}'"));
            areas.named(name).ok_or_else(unknown)?
        } else {
            areas.nearest(row.place(2)?)
        };
        let number = *numbers.entry(user).or_insert_with(|| {
            users.push((user, Vec::new()));
            users.len() - 1
        });
        if users.len() > MOST_USERS {
            return Err(row.whole(format!("more than {MOST_USERS} users")));
        }
        let line = row.line;
        users[number].1.push(Position { at, area, line });
    }
    let mut traces = Vec::with_capacity(users.len());
    for (user, mut positions) in users {
        positions.sort_by_key(|position| (position.at, position.line));
        let mut trace = Trace::new(user.to_owned());
        for pair in positions.windows(2) {
            if pair[0].at == pair[1].at && pair[0].area != pair[1].area {
                let line = pair[1].line;
                let why = format!("{user} is somewhere else at that time in line {}", pair[0].line);
                return Err(table.field(line, "time", why));
            }
            trace.stay(pair[0].area, pair[0].at, pair[1].at);
        }
        if !trace.stays().is_empty() {
            traces.push(trace);
        }
    }
    Ok(traces)
}

/// Writes trajectories so that [`read_traces`] reads the same: `user,time,area`, a line a stay and one for the end.
pub fn write_traces(traces: &[Trace], areas: &Areas) -> String {
    let mut text = String::from("user,time,area\n");
    for trace in traces {
        let mut line = |area: u32, at: Span| {
            // Writing to a string cannot fail.
            let name = &areas.all()[area as usize].name;
            let _ = writeln!(text, "{},{},{name}", trace.user, at.0 / 1_000_000);
        };
        for stay in trace.stays() {
            line(stay.area, stay.from);
        }
        if let Some(last) = trace.stays().last() {
            line(last.area, last.to);
        }
    }
    text
}

/// Writes areas, or data centres, so that [`read_areas`] reads the same, to about ten metres.
pub fn write_areas(areas: &[Area]) -> String {
    let mut text = String::from("area,lat,lon\n");
    for area in areas {
        let _ = writeln!(text, "{},{:.4},{:.4}", area.name, area.at.lat, area.at.lon);
    }
    text
}

#[derive(Clone, Copy)]
struct Position {
    at: Span,
    area: u32,
    line: usize,
}

/// A file, its first line taken apart.
struct Lines<'a> {
    file: &'a str,
    text: &'a str,
    head: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    fn new(file: &'a str, text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let head = text.lines().next().unwrap_or_default();
        Self {
            file,
            text,
            head: head.split(',').map(str::trim).collect(),
        }
    }

    fn rows(&self) -> impl Iterator<Item = Result<Row<'a>, CsvError>> + '_ {
        let lines = (1..).zip(self.text.lines()).skip(1);
        lines
            .filter(|(_, text)| !text.trim().is_empty())
            .map(|(line, text)| {
                let row = Row {
                    file: self.file,
                    line,
                    fields: text.split(',').map(str::trim).collect(),
                };
                let (have, need) = (row.fields.len(), self.head.len());
                if have == need {
                    Ok(row)
                } else {
                    let names = self.head.join(",");
                    Err(row.whole(format!("{have} fields, but the first line names {need}: {names}")))
                }
            })
    }

    fn wrong_head(&self, right: &str) -> CsvError {
        CsvError::Line {
            file: self.file.to_owned(),
            line: 1,
            why: format!(
                "the fields are '{}', they must be {right}",
                clip(&self.head.join(","))
            ),
        }
    }

    fn field(&self, line: usize, field: &'static str, why: String) -> CsvError {
        let file = self.file.to_owned();
        CsvError::Field {
            file,
            line,
            field,
            why,
        }
    }
}

struct Row<'a> {
    file: &'a str,
    line: usize,
    fields: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn whole(&self, why: String) -> CsvError {
        CsvError::Line {
            file: self.file.to_owned(),
            line: self.line,
            why,
        }
    }

    fn field(&self, field: &'static str, why: String) -> CsvError {
        CsvError::Field {
            file: self.file.to_owned(),
            line: self.line,
            field,
            why,
        }
    }

    fn word(&self, at: usize, field: &'static str) -> Result<&'a str, CsvError> {
        match self.fields[at] {
            "" => Err(self.field(field, "is empty".to_owned())),
            word => Ok(word),
        }
    }

    fn place(&self, at: usize) -> Result<Place, CsvError> {
        Ok(Place {
            lat: self.degrees(at, "lat", 90.0)?,
            lon: self.degrees(at + 1, "lon", 180.0)?,
        })
    }

    fn degrees(&self, at: usize, field: &'static str, most: f64) -> Result<f64, CsvError> {
        let text = self.word(at, field)?;
        match text.parse::<f64>() {
            Ok(degrees) if degrees.abs() <= most => Ok(degrees),
            _ => {
                let why = format!(
                    "'{}' is not a number of degrees from -{most} to {most}",
                    clip(text)
                );
                Err(self.field(field, why))
            }
        }
    }

    fn time(&self, at: usize) -> Result<Span, CsvError> {
        let text = self.word(at, "time")?;
        let bad = || {
            let text = clip(text);
            self.field(
                "time",
                format!("'{text}' is not a time of one day: write 06:30, 06:30:15, or seconds up to 86400"),
            )
        };
        let parts: Vec<&str> = text.split(':').collect();
        let number = |text: &str, most: u64| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u64>()
                .ok()
                .filter(|&n| digits && n <= most)
                .ok_or_else(bad)
        };
        let seconds = match parts[..] {
            [seconds] => match seconds.parse::<f64>() {
                Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => {
                    return Ok(Span((seconds * 1e6) as u64));
                }
                _ => return Err(bad()),
            },
            [hours, minutes] => number(hours, 24)? * 3600 + number(minutes, 59)? * 60,
            [hours, minutes, seconds] => {
                number(hours, 24)? * 3600 + number(minutes, 59)? * 60 + number(seconds, 59)?
            }
            _ => return Err(bad()),
        };
        Some(Span::secs(seconds)).filter(|&at| at <= DAY).ok_or_else(bad)
    }
}

/// Others' text, cut to what fits a line.
fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn two_areas() -> Areas {
        read_areas("areas.csv", "area,lat,lon\nwest,48,1\neast,48,5\n").unwrap()
    }

    #[test]
    fn places_become_the_nearest_area_and_hold_until_the_next_line() {
        let text =
            "user,time,lat,lon\nb,00:30,47.9,4.1\na,06:00,48,1.5\na,43200,48,4\na,24:00,48,1\nb,3600,48,5\n";
        let traces = read_traces("t.csv", text, &two_areas()).unwrap();
        assert_eq!(traces[0].user, "b");
        assert_eq!(traces[0].stays()[0].length(), Span::secs(1800));
        assert_eq!(traces[1].path().collect::<Vec<_>>(), [0, 1]);
        let written = write_traces(&traces, &two_areas());
        assert!(written.starts_with("user,time,area\nb,1800,east\n"), "{written}");
        assert_eq!(read_traces("t.csv", &written, &two_areas()).unwrap(), traces);
    }

    #[test]
    fn errors_name_file_line_and_field_and_what_would_be_right() {
        for (text, said) in [
            (
                "user,when,area\n",
                "t.csv:1: the fields are 'user,when,area', they must be user,time,lat,lon or",
            ),
            ("", "t.csv:1: the fields are ''"),
            (
                "user,time,lat,lon\na,06:00,48\n",
                "t.csv:2: 3 fields, but the first line names 4",
            ),
            (
                "user,time,lat,lon\n\na,06:00,x,1\n",
                "t.csv:3: lat: 'x' is not a number of degrees",
            ),
            ("user,time,lat,lon\na,06:00,NaN,1\n", "t.csv:2: lat: 'NaN'"),
            ("user,time,lat,lon\na,06:00,1,181\n", "t.csv:2: lon: '181'"),
            (
                "user,time,area\na,25:00,west\n",
                "t.csv:2: time: '25:00' is not a time of one day",
            ),
            ("user,time,area\na,24:01,west\n", "t.csv:2: time: '24:01'"),
            ("user,time,area\na,-1,west\n", "t.csv:2: time: '-1'"),
            (
                "user,time,area\na,1,north\n",
                "t.csv:2: area: there is no area 'north'",
            ),
            ("user,time,area\n,1,west\n", "t.csv:2: user: is empty"),
            (
                "user,time,area\na,1,west\na,1,east\n",
                "t.csv:3: time: a is somewhere else at that time in line 2",
            ),
        ] {
            let error = read_traces("t.csv", text, &two_areas()).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let twice = read_areas("a.csv", "area,lat,lon\nx,1,1\nx,2,2\n").unwrap_err();
        assert_eq!(twice.to_string(), "a.csv: two areas are called 'x'");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "(user,time,area\n|user,time,lat,lon\n)?[a-e0-9:,.\n-]{0,80}") {
            let _ = read_traces("t.csv", &text, &two_areas());
            let _ = read_areas("t.csv", &text);
        }
    }
}
