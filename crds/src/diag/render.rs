//! Diagnostics as rustc shows its own.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Place, Severity, SourceMap, clean};

/// Marks so many lines apart are shown in one snippet: nobody needs to see what lies between.
const NEAR: usize = 1;
/// A line of more bytes was written by a program; nobody reads it, and each of its problems would take it in again.
const LONGEST: usize = 4096;

/// All problems, each with the lines that it is about; ends with a line feed unless there are none.
pub fn render_text(all: &[Diagnostic], sources: &SourceMap, color: bool) -> String {
    let texts = Texts::new(all, sources);
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let show = |it: &Diagnostic| renderer.render(&[group(it, &texts)]) + "\n\n";
    let mut out: String = all.iter().map(show).collect();
    out.truncate(out.trim_end().len());
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn group<'a>(it: &'a Diagnostic, texts: &'a Texts) -> Group<'a> {
    let level = match it.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let elsewhere = (!texts.has(&it.place)).then(|| origin(&it.place));
    let group = level
        .primary_title(clean(&it.message))
        .id(it.code.to_string())
        .elements(elsewhere)
        .elements(snippets(it, texts));
    group
        .elements(it.help.iter().map(|text| Level::HELP.message(clean(text))))
        .elements(it.notes.iter().map(|text| Level::NOTE.message(clean(text))))
}

fn origin(place: &Place) -> annotate_snippets::Origin<'static> {
    let at = &place.origin;
    let mut out = annotate_snippets::Origin::path(clean(&at.file));
    if at.line > 0 {
        out = out.line(at.line as usize).char_column(at.column as usize);
    }
    out
}

/// One snippet for each run of marks that lie near each other in one file; the one with the problem itself comes first.
fn snippets<'a>(
    it: &'a Diagnostic,
    texts: &'a Texts,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let labels = it
        .labels
        .iter()
        .map(|(place, text)| (place, Some(text.as_str())));
    let mut marks: Vec<_> = std::iter::once((&it.place, None))
        .chain(labels)
        .filter(|(place, _)| texts.has(place))
        .collect();
    marks.sort_by_key(|(place, label)| {
        (
            place.origin.file != it.place.origin.file,
            &place.origin.file,
            place.origin.line,
            label.is_some(),
        )
    });
    let together = |a: &(&Place, _), b: &(&Place, Option<&str>)| {
        a.0.origin.file == b.0.origin.file
            && b.0.origin.line.abs_diff(a.0.origin.line) as usize <= NEAR
    };
    marks
        .chunk_by(together)
        .filter_map(|run| snippet(run, texts))
        .collect()
}

fn snippet<'a>(
    run: &[(&'a Place, Option<&'a str>)],
    texts: &'a Texts,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let (first, last) = (&run.first()?.0.origin, &run.last()?.0.origin);
    let text = texts.0.get(first.file.as_str())?;
    let window = text.lines[first.line as usize - 1].start..text.lines[last.line as usize - 1].end;
    let marks = run.iter().map(|(place, label)| {
        let kind = if label.is_some() {
            AnnotationKind::Context
        } else {
            AnnotationKind::Primary
        };
        let span = text.span(place);
        kind.span(span.start - window.start..span.end - window.start)
            .label(label.map(clean))
    });
    Some(
        Snippet::source(&text.text[window.clone()])
            .path(clean(&first.file))
            .line_start(first.line as usize)
            .annotations(marks),
    )
}

/// See [`SourceMap::shown`].
pub(super) fn shown(sources: &SourceMap, file: &str) -> Option<String> {
    let masks = sources.masks.iter().filter(|it| it.origin.file == file);
    Some(Text::new(sources.text(file)?, masks).text)
}

/// The sources as they may be shown.
pub(super) struct Texts<'a>(BTreeMap<&'a str, Text>);

struct Text {
    text: String,
    /// Bytes of each line, without its end.
    lines: Vec<Range<usize>>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(all: &'a [Diagnostic], sources: &SourceMap) -> Self {
        let mut out = BTreeMap::new();
        for file in all
            .iter()
            .flat_map(|d| std::iter::once(&d.place).chain(d.labels.iter().map(|l| &l.0)))
            .map(|p| p.origin.file.as_str())
        {
            if let (false, Some(text)) = (out.contains_key(file), sources.text(file)) {
                let masks = all
                    .iter()
                    .flat_map(|d| &d.masks)
                    .chain(&sources.masks)
                    .filter(|place| place.origin.file == file);
                out.insert(file, Text::new(text, masks));
            }
        }
        Self(out)
    }

    /// The line of a place, as it may be shown.
    pub(super) fn line(&self, place: &Place) -> Option<&str> {
        let text = self.0.get(place.origin.file.as_str())?;
        let line = (place.origin.line as usize).checked_sub(1)?;
        text.text.get(text.lines.get(line)?.clone())
    }

    fn has(&self, place: &Place) -> bool {
        let line = (place.origin.line as usize).checked_sub(1);
        let text = self.0.get(place.origin.file.as_str());
        let line = line.zip(text).and_then(|(line, text)| text.lines.get(line));
        line.is_some_and(|it| it.len() <= LONGEST)
    }
}

impl Text {
    /// Masks cover whole characters of what is left after cleaning, which keeps their number.
    fn new<'p>(text: &str, masks: impl Iterator<Item = &'p Place>) -> Self {
        // White space first: a line end of Windows is one, and is no control character that somebody has put there.
        let mut lines: Vec<Vec<char>> = text
            .split('\n')
            .map(|line| clean(line.trim_end()).chars().collect())
            .collect();
        for place in masks {
            let (mut line, mut column) = (
                (place.origin.line as usize).wrapping_sub(1),
                place.origin.column.max(1) as usize - 1,
            );
            // Without a known end, the rest of the line.
            let mut left = if place.width == 0 {
                usize::MAX
            } else {
                place.width as usize
            };
            let one_line = place.width == 0;
            while let Some(chars) = lines.get_mut(line).filter(|_| left > 0) {
                let end = chars.len().min(column.saturating_add(left));
                for c in chars.iter_mut().take(end).skip(column) {
                    *c = '*';
                }
                // The end of a line is one character of the width.
                left = if one_line {
                    0
                } else {
                    left.saturating_sub(end.saturating_sub(column) + 1)
                };
                (line, column) = (line + 1, 0);
            }
        }
        let mut out = Self {
            text: String::new(),
            lines: Vec::new(),
        };
        for line in lines {
            let start = out.text.len();
            out.text.extend(line);
            out.lines.push(start..out.text.len());
            out.text.push('\n');
        }
        out
    }

    /// Bytes of a place that [`Texts::has`], cut at the end of its line.
    fn span(&self, place: &Place) -> Range<usize> {
        let line = self.lines[place.origin.line as usize - 1].clone();
        let text = &self.text[line.clone()];
        let byte =
            |n: usize| line.start + text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
        let start = place.origin.column.max(1) as usize - 1;
        byte(start)..byte(start + place.width.max(1) as usize)
    }
}
