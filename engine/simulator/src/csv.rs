//! Trajectories and areas as comma-separated values (RFC 4180: names may stand in quotation marks).
//!
//! A trace file begins with a line of field names and has one position a line:
//!
//! ```text
//! user,time,lat,lon              user,time,area
//! ada,06:30,48.85,2.35           ada,06:30,paris-4
//! ada,06:36,48.88,2.36           ada,23400,paris-7
//! ```
//!
//! A position holds until the user's next one; the last only says when the trace ends. Times are of one day: `HH:MM`,
//! `HH:MM:SS`, either behind a date (RFC 3339) that is the same on every line, or seconds since midnight. Lines may stand
//! in any order.

mod time;

use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord, Terminator, Trim, WriterBuilder};
use proto::Span;
use thiserror::Error;

use crate::areas::{Area, Areas, AreasError};
use crate::geo::Place;
use crate::trace::Trace;
use time::Day;

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
    let mut lines = Lines::new(file, text);
    if !lines.names(&["area", "lat", "lon"]) {
        return Err(lines.wrong_head("area,lat,lon"));
    }
    let mut areas = Vec::new();
    while let Some(row) = lines.next()? {
        let name = row.word(0, "area")?.to_owned();
        areas.push(Area {
            name,
            at: row.place(1)?,
        });
    }
    let file = file.to_owned();
    Areas::new(areas).map_err(|source| CsvError::Areas { file, source })
}

/// How a file of trajectories tells where users are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// Degrees north and east.
    Places,
    /// Names of areas.
    Names,
}

/// How a file of trajectories tells where users are: `user,time,lat,lon` or `user,time,area`.
pub fn positions(file: &str, text: &str) -> Result<Positions, CsvError> {
    Lines::new(file, text).positions()
}

/// Reads trajectories: `user,time,lat,lon` or `user,time,area`. Places become the nearest of `areas`; none may be farther
/// from it than `reach_km`. In the order of the first line of each user; users with a single position are left out.
pub fn read_traces(file: &str, text: &str, (areas, reach_km): (&Areas, f64)) -> Result<Vec<Trace>, CsvError> {
    let mut lines = Lines::new(file, text);
    let positions = lines.positions()?;
    let mut day = Day::default();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut users: Vec<(String, Vec<Position>)> = Vec::new();
    while let Some(row) = lines.next()? {
        let user = row.word(0, "user")?;
        let at = day
            .time(row.word(1, "time")?, row.line)
            .map_err(|why| row.field("time", why))?;
        let area = match positions {
            Positions::Names => row.area(2, areas)?,
            Positions::Places => row.nearest(2, (areas, reach_km))?,
        };
        let number = if let Some(&number) = numbers.get(user) {
            number
        } else {
            if users.len() == MOST_USERS {
                return Err(row.whole(format!("more than {MOST_USERS} users")));
            }
            numbers.insert(user.to_owned(), users.len());
            users.push((user.to_owned(), Vec::new()));
            users.len() - 1
        };
        let line = row.line;
        users[number].1.push(Position { at, area, line });
    }
    let mut traces = Vec::with_capacity(users.len());
    for (user, positions) in users {
        let trace = trace_of(user, positions).map_err(|(line, why)| field(file, line, "time", why))?;
        if !trace.stays().is_empty() {
            traces.push(trace);
        }
    }
    Ok(traces)
}

/// A user's stays; else the line of a position that contradicts another, and why.
fn trace_of(user: String, mut positions: Vec<Position>) -> Result<Trace, (usize, String)> {
    positions.sort_by_key(|position| (position.at, position.line));
    let mut trace = Trace::new(user);
    for pair in positions.windows(2) {
        if pair[0].at == pair[1].at && pair[0].area != pair[1].area {
            let why = format!(
                "{} is somewhere else at that time in line {}",
                clip(&trace.user),
                pair[0].line
            );
            return Err((pair[1].line, why));
        }
        trace.stay(pair[0].area, pair[0].at, pair[1].at);
    }
    Ok(trace)
}

/// Writes trajectories so that [`read_traces`] reads the same: `user,time,area`, a line a stay and one for the end.
pub fn write_traces(traces: &[Trace], areas: &Areas) -> String {
    let stays = traces.iter().flat_map(|trace| {
        let starts = trace.stays().iter().map(|stay| (stay.area, stay.from));
        let end = trace.stays().last().map(|last| (last.area, last.to));
        starts.chain(end).map(|(area, at)| {
            let seconds = (at.0 / 1_000_000).to_string();
            [
                trace.user.clone(),
                seconds,
                areas.all()[area as usize].name.clone(),
            ]
        })
    });
    write(&["user", "time", "area"], stays)
}

/// Writes areas, or data centres, so that [`read_areas`] reads the same, to about ten metres.
pub fn write_areas(areas: &[Area]) -> String {
    let rows = areas.iter().map(|area| {
        let degrees = |degrees: f64| format!("{degrees:.4}");
        [area.name.clone(), degrees(area.at.lat), degrees(area.at.lon)]
    });
    write(&["area", "lat", "lon"], rows)
}

/// A line of field names and one for each row; what needs quotation marks has them.
pub(crate) fn write<Row>(head: &[&str], rows: impl Iterator<Item = Row>) -> String
where
    Row: IntoIterator<Item: AsRef<[u8]>>,
{
    let mut lines = WriterBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .flexible(true)
        .from_writer(Vec::new());
    // Writing to memory cannot fail, and what is made of strings is one.
    let _ = lines.write_record(head);
    for row in rows {
        let _ = lines.write_record(row);
    }
    String::from_utf8(lines.into_inner().unwrap_or_default()).unwrap_or_default()
}

#[derive(Clone, Copy)]
struct Position {
    at: Span,
    area: u32,
    line: usize,
}

/// A file, line by line.
struct Lines<'a> {
    file: &'a str,
    text: &'a str,
    reader: csv::Reader<&'a [u8]>,
    head: StringRecord,
    row: StringRecord,
    /// The number of a line, from 1, and where it begins.
    line: (usize, usize),
}

impl<'a> Lines<'a> {
    fn new(file: &'a str, text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        Self {
            file,
            text,
            // A text in memory can be read.
            head: reader.headers().cloned().unwrap_or_default(),
            reader,
            row: StringRecord::new(),
            line: (1, 0),
        }
    }

    /// Whether these are the fields.
    fn names(&self, names: &[&str]) -> bool {
        self.head.iter().eq(names.iter().copied())
    }

    fn positions(&self) -> Result<Positions, CsvError> {
        if self.names(&["user", "time", "area"]) {
            Ok(Positions::Names)
        } else if self.names(&["user", "time", "lat", "lon"]) {
            Ok(Positions::Places)
        } else {
            Err(self.wrong_head("user,time,lat,lon or user,time,area"))
        }
    }

    /// The next line that is not empty.
    fn next(&mut self) -> Result<Option<Row<'_>>, CsvError> {
        loop {
            let more = self.reader.read_record(&mut self.row);
            let line = self.line_of_row();
            match more {
                Ok(true) if self.row.iter().all(str::is_empty) && self.row.len() <= 1 => {}
                Ok(true) => {
                    let row = Row {
                        file: self.file,
                        line,
                        fields: &self.row,
                    };
                    let (have, need) = (row.fields.len(), self.head.len());
                    if have == need {
                        return Ok(Some(row));
                    }
                    let names = joined(&self.head);
                    return Err(row.whole(format!("{have} fields, but the first line names {need}: {names}")));
                }
                Ok(false) => return Ok(None),
                Err(error) => {
                    return Err(CsvError::Line {
                        file: self.file.to_owned(),
                        line,
                        why: error.to_string(),
                    });
                }
            }
        }
    }

    /// The reader counts empty lines to the row after them: where that begins is counted here.
    fn line_of_row(&mut self) -> usize {
        let start = self
            .row
            .position()
            .map_or(self.line.1, |position| position.byte() as usize);
        let bytes = self.text.as_bytes();
        let empty = bytes[start.min(bytes.len())..]
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let start = (start + empty).min(bytes.len());
        let passed = &self.text[self.line.1..start.max(self.line.1)];
        self.line = (self.line.0 + passed.matches('\n').count(), start);
        self.line.0
    }

    fn wrong_head(&self, right: &str) -> CsvError {
        CsvError::Line {
            file: self.file.to_owned(),
            line: 1,
            why: format!(
                "the fields are '{}', they must be {right}",
                clip(&joined(&self.head))
            ),
        }
    }
}

fn joined(record: &StringRecord) -> String {
    record.iter().collect::<Vec<_>>().join(",")
}

fn field(file: &str, line: usize, field: &'static str, why: String) -> CsvError {
    CsvError::Field {
        file: file.to_owned(),
        line,
        field,
        why,
    }
}

struct Row<'a> {
    file: &'a str,
    line: usize,
    fields: &'a StringRecord,
}

impl<'a> Row<'a> {
    fn whole(&self, why: String) -> CsvError {
        CsvError::Line {
            file: self.file.to_owned(),
            line: self.line,
            why,
        }
    }

    fn field(&self, name: &'static str, why: String) -> CsvError {
        field(self.file, self.line, name, why)
    }

    fn word(&self, at: usize, field: &'static str) -> Result<&'a str, CsvError> {
        match &self.fields[at] {
            "" => Err(self.field(field, "is empty".to_owned())),
            word => Ok(word),
        }
    }

    /// The area nearest to a place.
    fn nearest(&self, at: usize, (areas, reach_km): (&Areas, f64)) -> Result<u32, CsvError> {
        let place = self.place(at)?;
        let area = areas.nearest(place);
        let (name, away) = (&areas.all()[area as usize].name, place.km_to(areas.at(area)));
        if away <= reach_km {
            return Ok(area);
        }
        let why = format!(
            "{}, {} is {away:.0} km from the nearest area, {name}, and {reach_km:.0} km is the most: give areas of your \
             own with --areas",
            place.lat, place.lon
        );
        Err(self.field("lat,lon", why))
    }

    fn area(&self, at: usize, areas: &Areas) -> Result<u32, CsvError> {
        let name = self.word(at, "area")?;
        areas.named(name).ok_or_else(|| {
            let like: Vec<String> = areas.like(name).map(|like| format!("'{}'", clip(like))).collect();
            let why = format!(
                "there is no area '{}'; there are {}, and --out writes all into areas.csv",
                clip(name),
                like.join(", ")
            );
            self.field("area", why)
        })
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
        let traces = read_traces("t.csv", text, (&two_areas(), f64::INFINITY)).unwrap();
        assert_eq!(traces[0].user, "b");
        assert_eq!(traces[0].stays()[0].length(), Span::secs(1800));
        assert_eq!(traces[1].path().collect::<Vec<_>>(), [0, 1]);
        let written = write_traces(&traces, &two_areas());
        assert!(written.starts_with("user,time,area\nb,1800,east\n"), "{written}");
        assert_eq!(
            read_traces("t.csv", &written, (&two_areas(), f64::INFINITY)).unwrap(),
            traces
        );
    }

    #[test]
    fn names_with_commas_quotes_and_line_ends_come_back_as_they_were() {
        let text = "area,lat,lon\r\n\"Aix, en Provence\",43.5,5.4\r\n\"the \"\"gate\"\"\",48,1\r\n\"two\nlines\",48,5\r\n";
        let areas = read_areas("areas.csv", text).unwrap();
        let names: Vec<&str> = areas.all().iter().map(|area| area.name.as_str()).collect();
        assert_eq!(names, ["Aix, en Provence", "the \"gate\"", "two\nlines"]);
        let written = write_areas(areas.all());
        assert_eq!(read_areas("areas.csv", &written).unwrap().all(), areas.all());
        let text =
            "user,time,area\n\"b\nc\",1,\"Aix, en Provence\"\n\"b\nc\",61,\"two\nlines\"\n\na,1,nowhere\n";
        let error = read_traces("t.csv", text, (&areas, f64::INFINITY))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("t.csv:8: area: there is no area 'nowhere'"),
            "{error}"
        );
        let traces = read_traces("t.csv", &text[..text.len() - 12], (&areas, f64::INFINITY)).unwrap();
        assert_eq!(traces[0].user, "b\nc");
        assert_eq!(
            read_traces("t.csv", &write_traces(&traces, &areas), (&areas, f64::INFINITY)).unwrap(),
            traces
        );
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
                "t.csv:2: area: there is no area 'north'; there are 'west', 'east', and --out writes all",
            ),
            (
                "user,time,area\na,1,Ea\n",
                "t.csv:2: area: there is no area 'Ea'; there are 'east', and",
            ),
            (
                "user,time,area\na,2015-03-02T06:30:00Z,west\n\r\na,2015-03-03T06:30:00Z,west\n",
                "t.csv:4: time: '2015-03-03' is another day than 2015-03-02 in line 2",
            ),
            ("user,time,area\n,1,west\n", "t.csv:2: user: is empty"),
            (
                "user,time,area\na,1,west\na,1,east\n",
                "t.csv:3: time: a is somewhere else at that time in line 2",
            ),
        ] {
            let error = read_traces("t.csv", text, (&two_areas(), f64::INFINITY))
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let twice = read_areas("a.csv", "area,lat,lon\nx,1,1\nx,2,2\n").unwrap_err();
        assert_eq!(twice.to_string(), "a.csv: two areas are called 'x'");
    }

    #[test]
    fn a_place_out_of_reach_of_every_area_is_refused() {
        let text = "user,time,lat,lon\na,06:00,48,1.5\na,07:00,40.71,-74.01\n";
        let error = read_traces("t.csv", text, (&two_areas(), 100.0)).unwrap_err();
        let said = "t.csv:3: lat,lon: 40.71, -74.01 is 5780 km from the nearest area, west, and 100 km is the most: give \
                    areas of your own with --areas";
        assert_eq!(error.to_string(), said);
        // 37 km.
        let near = &text[..text.len() - 21];
        assert!(read_traces("t.csv", near, (&two_areas(), 38.0)).is_ok());
        assert!(read_traces("t.csv", near, (&two_areas(), 37.0)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "(user,time,area\n|user,time,lat,lon\n)?[a-eTZ0-9:,.\"\r\n-]{0,80}") {
            let _ = read_traces("t.csv", &text, (&two_areas(), f64::INFINITY));
            let _ = read_areas("t.csv", &text);
        }
    }
}
