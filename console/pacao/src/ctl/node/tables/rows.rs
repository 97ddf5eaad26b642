//! Rows for people.

use lisp_wire::Locator;
use proto::inspect::{OwnRegistrationRow, SubscribedRow, SubscriptionRow};
use proto::node::{CacheLocator, CacheRow, CounterRow, DatabaseRow, ProbeRow, RegistrationRow, RequesterRow};
use proto::{Audience, Span};

/// A row of a table.
pub(super) trait Row {
    /// What stands above.
    const HEAD: &'static str;

    /// Itself, and what belongs to it on lines of its own, without the last line's end.
    fn lines(&self) -> String;
}

impl Row for CacheRow {
    const HEAD: &'static str = "EID                  FORWARDING    EXPIRES  FROM";

    fn lines(&self) -> String {
        let head = format!(
            "{:<20} {:<13} {:<8} {}",
            self.eid.to_string(),
            self.forwarding,
            whole(self.expires_in),
            self.origin
        );
        self.locators
            .iter()
            .fold(head, |text, locator| text + "\n" + &cached(locator))
    }
}

impl Row for RegistrationRow {
    const HEAD: &'static str =
        "EID                  FROM             AGE      DUE      EXPIRES  TTL        XTR-ID";

    fn lines(&self) -> String {
        let due = self.refresh_in.map_or_else(|| "late".to_owned(), whole);
        let proxy = if self.proxy_reply { "  proxy-reply" } else { "" };
        let head = format!(
            "{:<20} {:<16} {:<8} {due:<8} {:<8} {:<10} {}{proxy}",
            self.eid.to_string(),
            self.from.to_string(),
            whole(self.age),
            whole(self.expires_in),
            format!("{} min", self.ttl.0),
            or_dash(&self.xtr_id),
        );
        with_locators(head, &self.locators)
    }
}

impl Row for OwnRegistrationRow {
    const HEAD: &'static str = "EID                  MAP-SERVER       ACKNOWLEDGED  UNANSWERED  DUE";

    fn lines(&self) -> String {
        let acknowledged = self
            .acknowledged_ago
            .map_or_else(|| "never".to_owned(), |ago| format!("{} ago", whole(ago)));
        format!(
            "{:<20} {:<16} {acknowledged:<13} {:<11} {}",
            self.eid.to_string(),
            self.server.to_string(),
            self.unanswered,
            self.refresh_in.map_or_else(|| "-".to_owned(), whole)
        )
    }
}

impl Row for DatabaseRow {
    const HEAD: &'static str = "EID                  FOR";

    fn lines(&self) -> String {
        let audience = match self.audience {
            Audience::Everyone => "everyone".to_owned(),
            Audience::Client { rloc } => rloc.to_string(),
        };
        with_locators(format!("{:<20} {audience}", self.eid.to_string()), &self.locators)
    }
}

impl Row for RequesterRow {
    const HEAD: &'static str =
        "EID                  CLIENT           SOURCE EID       AGO      EXPIRES  TOLD BY";

    fn lines(&self) -> String {
        let source = self.source_eid.map(|eid| eid.to_string()).unwrap_or_default();
        format!(
            "{:<20} {:<16} {:<16} {:<8} {:<8} {}",
            self.eid.to_string(),
            self.client.to_string(),
            or_dash(&source),
            whole(self.ago),
            whole(self.expires_in),
            or_dash(&self.told_by)
        )
    }
}

impl Row for SubscriptionRow {
    const HEAD: &'static str =
        "EID                  XTR-ID                            EXPIRES  UNACKNOWLEDGED  TOLD AT";

    fn lines(&self) -> String {
        let to: Vec<String> = self.to.iter().map(ToString::to_string).collect();
        format!(
            "{:<20} {:<33} {:<8} {:<15} {}",
            self.eid.to_string(),
            self.xtr_id,
            whole(self.expires_in),
            self.unacknowledged,
            to.join(", ")
        )
    }
}

impl Row for SubscribedRow {
    const HEAD: &'static str =
        "EID                  MAP-SERVER             THROUGH          RENEWED  MAPPING";

    fn lines(&self) -> String {
        format!(
            "{:<20} {:<22} {:<16} {:<8} {}",
            self.eid.to_string(),
            self.server.to_string(),
            self.resolver.to_string(),
            self.renewed_in.map_or_else(|| "-".to_owned(), whole),
            if self.there { "there" } else { "withdrawn" }
        )
    }
}

impl Row for ProbeRow {
    const HEAD: &'static str =
        "  RLOC              MEAN ms    P95 ms    JIT ms   LOSS %   AVAIL %  EVERY   DSCP  FOR";

    fn lines(&self) -> String {
        let mark = if self.up { 'o' } else { 'x' };
        let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"));
        let (mean, p95) = (self.rtt.map(|rtt| rtt.mean), self.rtt.map(|rtt| rtt.p95));
        let lost = match self.lost_in_a_row {
            0 => String::new(),
            count => format!(", {count} lost in a row"),
        };
        format!(
            "{mark} {:<16} {:>8}  {:>8}  {:>8} {:>8}  {:>8.2}  {:<7} {:<5} {}, {} mappings{lost}",
            self.rloc.to_string(),
            figure(mean),
            figure(p95),
            figure(self.jitter_ms),
            figure(self.loss_pct),
            self.availability_pct,
            self.interval.to_string(),
            self.dscp,
            or_dash(&self.probed_for),
            self.mappings
        )
    }
}

impl Row for CounterRow {
    const HEAD: &'static str = "COUNTER                                    VALUE  MEANING";

    fn lines(&self) -> String {
        format!("{:<36} {:>11}  {}", self.name, self.value, self.meaning)
            .trim_end()
            .to_owned()
    }
}

/// To the second: people look at minutes here.
fn whole(span: Span) -> String {
    if span < Span::secs(10) {
        format!("{:.1}s", span.as_secs_f64())
    } else if span < Span::secs(600) {
        format!("{}s", span.micros() / 1_000_000)
    } else {
        format!("{}m", span.micros() / 60_000_000)
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn cached(cached: &CacheLocator) -> String {
    let mark = if cached.up { 'o' } else { 'x' };
    format!(
        "  {mark} {}  {} packets, {} bytes",
        locator(&cached.locator),
        cached.packets,
        cached.bytes
    )
}

fn with_locators(head: String, locators: &[Locator]) -> String {
    locators
        .iter()
        .fold(head, |text, entry| text + "\n    " + &locator(entry))
}

fn locator(locator: &Locator) -> String {
    format!(
        "{:<16} pri {:>3} wgt {:>3}",
        locator.rloc.to_string(),
        locator.priority.0,
        locator.weight.0
    )
}
