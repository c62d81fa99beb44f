//! Whatever a user, a label or a file of the host says: no panic, no wrong place, nothing half read, nothing that is slow.

mod compose;
mod growth;
mod host_config;
mod labels;
mod reference;
mod template;
mod yaml;

use crate::diag::{Diagnostic, Place, SourceMap, render_text};
use crate::text::Text;

/// Bytes as the text that they are, more or less.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every place of every problem is one of its file, and all of them can be shown.
fn shown(problems: &[Diagnostic], files: &[Text]) -> String {
    for it in problems {
        let labels = it.labels.iter().map(|(place, _)| place);
        for place in labels.chain([&it.place]).chain(&it.masks) {
            in_file(place, files);
        }
        assert!(!it.message.is_empty());
    }
    let sources: SourceMap = files.iter().collect();
    render_text(problems, &sources, false)
}

/// A place without a line is a whole file, or a label.
fn in_file(place: &Place, files: &[Text]) {
    let at = &place.origin;
    if at.line == 0 {
        return;
    }
    let file = files
        .iter()
        .find(|it| it.name() == at.file)
        .unwrap_or_else(|| panic!("{at} is in no file"));
    let line = file
        .text()
        .split('\n')
        .nth(at.line as usize - 1)
        .unwrap_or_else(|| panic!("{at} is behind the end"));
    let columns = 1..=line.chars().count() as u32 + 1;
    assert!(columns.contains(&at.column), "{at} is behind its line");
    assert!(place.width as usize <= file.text().chars().count());
}
