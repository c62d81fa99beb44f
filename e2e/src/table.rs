//! Samples, what is made of them, and the table that a bench ends in.

use std::fmt::Write as _;
use std::time::Duration;

/// Durations of one kind, in the order in which they were measured.
#[derive(Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// One more.
    pub fn add(&mut self, it: Duration) {
        self.0.push(it);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest that is not below `part` of all.
    fn at(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// The one in the middle.
    pub fn median(&self) -> Duration {
        self.at(0.5)
    }

    /// The one that 99 of 100 do not exceed.
    pub fn p99(&self) -> Duration {
        self.at(0.99)
    }
}

impl std::fmt::Display for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} median, {} p99 (n = {})",
            ms(self.median()),
            ms(self.p99()),
            self.len()
        )
    }
}

/// Milliseconds, as precise as makes sense.
pub fn ms(it: Duration) -> String {
    let ms = it.as_secs_f64() * 1e3;
    match ms {
        _ if ms < 10.0 => format!("{ms:.2} ms"),
        _ if ms < 1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1e3),
    }
}

/// How many times longer one takes than the other, by their medians.
pub fn ratio(it: &Samples, base: &Samples) -> String {
    format!(
        "{:.2}",
        it.median().as_secs_f64() / base.median().as_secs_f64()
    )
}

/// Bytes in MB, as `ls` and `/proc` count them in KiB.
pub fn mb(kib: u64) -> String {
    format!("{:.1} MB", kib as f64 / 1024.0)
}

/// One line of the table.
struct Row {
    what: String,
    goal: &'static str,
    measured: String,
    met: Option<bool>,
}

/// What the program prints, and writes into docs/benchmarks.md.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// A figure that has a goal.
    pub fn goal(
        &mut self,
        what: impl Into<String>,
        goal: &'static str,
        measured: impl Into<String>,
        met: bool,
    ) {
        self.row(what.into(), goal, measured.into(), Some(met));
    }

    /// A figure that stands beside others.
    pub fn plain(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.row(what.into(), "", measured.into(), None);
    }

    fn row(&mut self, what: String, goal: &'static str, measured: String, met: Option<bool>) {
        // A run takes minutes: who watches sees each figure when it is there.
        eprintln!("{what}: {measured}");
        self.0.push(Row {
            what,
            goal,
            measured,
            met,
        });
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = "| what | goal | measured | met |\n|---|---|---|---|\n".to_owned();
        for row in &self.0 {
            let met = match row.met {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {met} |",
                row.what, row.goal, row.measured
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_p99_are_samples() {
        let mut it = Samples::default();
        (1..=200)
            .rev()
            .for_each(|n| it.add(Duration::from_millis(n)));
        assert_eq!(it.median(), Duration::from_millis(100));
        assert_eq!(it.p99(), Duration::from_millis(198));
    }
}
