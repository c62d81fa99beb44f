//! What is said to people: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use locket_provider::printable;

use crate::error::{CommandError, Kind};

/// How often what goes on moves.
const TICK: Duration = Duration::from_millis(100);

/// The user's terminal, or what stands in its place.
#[derive(Debug, Default)]
pub struct Term {
    color: bool,
    asks: bool,
    out_is_terminal: bool,
    spins: bool,
    /// Nobody reads standard output any more.
    closed: AtomicBool,
}

impl Term {
    /// Looks at the standard streams. `plain`: the user wants no colour. `dumb`: the terminal cannot go back in a line.
    pub fn new(plain: bool, dumb: bool) -> Self {
        let out = io::stdout().is_terminal();
        Self {
            color: !plain && !dumb && out && io::stderr().is_terminal(),
            spins: !dumb && io::stderr().is_terminal(),
            asks: io::stdin().is_terminal() && io::stderr().is_terminal(),
            out_is_terminal: out,
            closed: AtomicBool::new(false),
        }
    }

    /// Whether colour is wanted.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Whether somebody is there who can be asked.
    pub fn is_tty(&self) -> bool {
        self.asks
    }

    /// Whether results are shown on a terminal, and not read by a program.
    pub fn shows(&self) -> bool {
        self.out_is_terminal
    }

    /// Whether the reader of standard output has gone: whoever repeats something ends then.
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// A result: lines on standard output. A reader that has gone is no error.
    pub fn out(&self, text: impl Display) {
        let written = writeln!(io::stdout().lock(), "{text}");
        self.note(written);
    }

    /// A result as bytes, as they are.
    pub fn bytes(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        drop(out);
        self.note(written);
    }

    fn note(&self, written: io::Result<()>) {
        if written.is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    /// Something worth knowing.
    pub fn info(&self, text: impl Display) {
        said(&text);
    }

    /// Something that is not as it should be.
    pub fn warn(&self, text: impl Display) {
        said(&format_args!("{}: {text}", self.painted("warning", "33;1")));
    }

    /// Progress of long work: on a terminal the step that goes on moves, elsewhere each step is a line.
    pub fn steps(&self) -> Steps<'_> {
        let bar = self.spins.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Steps { term: self, bar }
    }

    /// Asks; only a yes is a yes.
    pub fn confirm(&self, question: &str) -> bool {
        let answer = self.ask(&format!("{question} [y/N] ")).to_lowercase();
        matches!(answer.as_str(), "y" | "yes")
    }

    /// Asks for a line; without blanks around it. Nobody's answer is empty.
    pub fn ask(&self, question: &str) -> String {
        let mut err = io::stderr().lock();
        let asked = write!(err, "{question}").and_then(|()| err.flush());
        drop(err);
        let mut answer = String::new();
        if asked.is_err() || io::stdin().read_line(&mut answer).is_err() {
            return String::new();
        }
        answer.trim().to_owned()
    }

    /// An error with its causes, once, then what to do about it.
    pub fn error(&self, e: &CommandError) {
        if e.rendered {
            said(&e.message.trim_end());
        } else {
            let mut text = e.message.clone();
            let mut cause = e.source.as_deref().map(|s| s as &dyn std::error::Error);
            while let Some(it) = cause {
                text.push_str(": ");
                text.push_str(&it.to_string());
                cause = it.source();
            }
            let whose = if e.kind == Kind::Internal {
                "error (locket's own)"
            } else {
                "error"
            };
            said(&format_args!(
                "{}: {}",
                self.painted(whose, "31;1"),
                lines(&text)
            ));
        }
        for hint in &e.hints {
            said(&format_args!(
                "{}: {}",
                self.painted("hint", "36;1"),
                lines(hint)
            ));
        }
    }

    /// A word in a colour (an SGR code), where colour is wanted.
    pub fn painted(&self, word: &str, code: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{word}\x1b[0m")
        } else {
            word.to_owned()
        }
    }
}

/// See [`Term::steps`]. What moves is gone when this is dropped; the steps before it stay.
pub struct Steps<'a> {
    term: &'a Term,
    bar: Option<ProgressBar>,
}

impl Steps<'_> {
    /// What is being done now; what was is done.
    pub fn step(&self, text: impl Display) {
        let Some(bar) = &self.bar else {
            self.term.info(text);
            return;
        };
        self.settle();
        bar.set_message(text.to_string());
        bar.enable_steady_tick(TICK);
    }

    /// Something that is not as it should be, between two steps.
    pub fn warn(&self, text: impl Display) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.term.warn(text)),
            None => self.term.warn(text),
        }
    }

    fn settle(&self) {
        if let Some(bar) = self.bar.as_ref().filter(|bar| !bar.message().is_empty()) {
            bar.suspend(|| self.term.info(bar.message()));
        }
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        self.settle();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn said(text: &dyn Display) {
    // Without a reader there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Text of several lines in which no character can steer a terminal. Lines after the first are indented.
pub fn lines(text: &str) -> String {
    let each: Vec<String> = text.trim_end().lines().map(printable).collect();
    each.join("\n  ")
}

/// A table: columns aligned, two spaces between them, no trailing space. Cells are made printable.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &mut dyn Iterator<Item = &str>| row.map(printable).collect::<Vec<_>>();
    let mut all = vec![cells(&mut head.iter().copied())];
    all.extend(
        rows.iter()
            .map(|row| cells(&mut row.iter().map(String::as_str))),
    );
    let width = |column: usize| {
        all.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..head.len())
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_harmless() {
        let rows = [
            vec!["shop/db".to_owned(), "3".to_owned(), "ready".to_owned()],
            vec![
                "bank/schlüssel\u{1b}[2J".to_owned(),
                "12".to_owned(),
                String::new(),
            ],
        ];
        expect_test::expect![[r#"
            NAME                V   STATE
            shop/db             3   ready
            bank/schlüssel�[2J  12"#]]
        .assert_eq(&table(&["NAME", "V", "STATE"], &rows));
        assert_eq!(table(&["NAME"], &[]), "NAME");
    }

    #[test]
    fn several_lines_stay_several_lines() {
        assert_eq!(
            lines("add:\n\ngrants:\n  - x\u{7}\n"),
            "add:\n  \n  grants:\n    - x\u{fffd}"
        );
    }
}
