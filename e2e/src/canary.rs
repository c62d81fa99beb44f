//! The canary search: does a value lie anywhere where it must not?
//!
//! Values are fresh and random in each scenario, so only what was written since the scenario began can hold one.
//! A file is skipped by its *change* time, which nobody can set back, unlike its modification time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;

/// Shorter needles would be found by chance.
const LEAST: usize = 8;
/// Bytes of a form that are looked for: whatever holds all of a large value holds its beginning.
const MOST: usize = 1024;
/// Bytes of a file that are looked at in one go.
const CHUNK: usize = 8 << 20;

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Which value, by the name that it was given; never the value itself.
    pub canary: String,
    /// In which form.
    pub form: String,
    /// Where.
    pub place: String,
}

/// The values of a scenario, in every form in which they could leak.
pub struct Canaries {
    since: SystemTime,
    needles: BTreeMap<Vec<u8>, (String, String)>,
    longest: usize,
}

impl Default for Canaries {
    fn default() -> Self {
        // The kernel stamps files with a clock that may lag by a tick.
        Self {
            since: SystemTime::now() - Duration::from_secs(2),
            needles: BTreeMap::new(),
            longest: 0,
        }
    }
}

impl Canaries {
    /// Adds a value under a name.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        for (form, mut needle) in forms(value) {
            needle.truncate(MOST);
            if needle.len() >= LEAST {
                self.longest = self.longest.max(needle.len());
                let what = (name.to_owned(), form.to_owned());
                self.needles.entry(needle).or_insert(what);
            }
        }
    }

    /// Looks through bytes that are already here.
    pub fn in_bytes(&self, place: &str, bytes: &[u8]) -> Vec<Hit> {
        let found = self
            .needles
            .iter()
            .filter(|(n, _)| Finder::new(n).find(bytes).is_some());
        let hit = |(_, (canary, form)): (&Vec<u8>, &(String, String))| Hit {
            canary: canary.clone(),
            form: form.clone(),
            place: place.to_owned(),
        };
        found.map(hit).collect()
    }

    /// Looks through all files below a directory that were changed since the scenario began.
    /// Other file systems that are mounted in it (the tmpfs volumes, where values belong) are left out, and so is `except`.
    pub fn in_tree(&self, root: &Path, except: &[PathBuf]) -> Vec<Hit> {
        let Ok(top) = fs::symlink_metadata(root) else {
            return Vec::new();
        };
        let since = self
            .since
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut hits = Vec::new();
        let mut left: Vec<PathBuf> = vec![root.to_owned()];
        while let Some(path) = left.pop() {
            // What goes away while one looks was a temporary file; what it held is elsewhere or gone.
            let Ok(meta) = fs::symlink_metadata(&path) else {
                continue;
            };
            if meta.dev() != top.dev() || except.contains(&path) {
                continue;
            }
            if meta.is_dir() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                left.extend(entries.map(|e| e.path()));
            } else if u64::try_from(meta.ctime()).unwrap_or(0) >= since {
                let name = path.display().to_string();
                hits.extend(self.in_bytes(&name, name.as_bytes()));
                if meta.is_symlink() {
                    let target = fs::read_link(&path).unwrap_or_default();
                    hits.extend(self.in_bytes(&name, target.as_os_str().as_encoded_bytes()));
                } else if meta.is_file() {
                    hits.extend(self.in_file(&path));
                }
            }
        }
        hits
    }

    /// Chunks overlap by the longest needle, so that none is cut in two.
    fn in_file(&self, path: &Path) -> Vec<Hit> {
        let Ok(bytes) = fs::read(path) else {
            return Vec::new();
        };
        let name = path.display().to_string();
        let mut hits = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let end = bytes.len().min(at + CHUNK + self.longest);
            hits.extend(self.in_bytes(&name, &bytes[at..end]));
            at += CHUNK;
        }
        hits
    }
}

/// A value in every form: as it is, in base64 at each of the three alignments, hex, and escaped.
fn forms(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![("raw", value.to_vec())];
    all.push(("hex", hex::encode(value).into_bytes()));
    all.push(("upper-case hex", hex::encode_upper(value).into_bytes()));
    for shift in 0..3 {
        // At another alignment the first and the last characters depend on the neighbours.
        let mut shifted = vec![0_u8; shift];
        shifted.extend_from_slice(value);
        let skip = [0, 2, 3][shift];
        let cut = |text: String| {
            let end = text.len() - usize::from(shifted.len() % 3 != 0);
            text.as_bytes().get(skip..end).unwrap_or_default().to_vec()
        };
        all.push(("base64", cut(STANDARD_NO_PAD.encode(&shifted))));
        all.push(("url-safe base64", cut(URL_SAFE_NO_PAD.encode(&shifted))));
    }
    let percent = |keep: fn(&u8) -> bool| {
        let byte = |b: &u8| {
            if keep(b) {
                vec![*b]
            } else {
                format!("%{b:02X}").into_bytes()
            }
        };
        value.iter().flat_map(byte).collect::<Vec<u8>>()
    };
    all.push((
        "url",
        percent(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(b)),
    ));
    if let Ok(text) = std::str::from_utf8(value) {
        let json = serde_json::Value::from(text).to_string();
        // Go escapes these three in JSON as well.
        let go = json
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026");
        let twice = serde_json::Value::from(json.as_str()).to_string();
        let inside =
            |text: &str, quotes: usize| text.as_bytes()[quotes..text.len() - quotes].to_vec();
        all.push(("json", inside(&json, 1)));
        all.push(("json by go", inside(&go, 1)));
        all.push(("json in json", inside(&twice, 3)));
        all.push(("shell", text.replace('\'', r"'\''").into_bytes()));
        all.push(("sql", text.replace('\'', "''").into_bytes()));
        all.push(("debug", text.escape_debug().to_string().into_bytes()));
    }
    // A log may break lines: each long line is a form of its own.
    let lines = value
        .split(|b| *b == b'\n')
        .filter(|l| l.len() >= 2 * LEAST && l.len() < value.len());
    all.extend(lines.take(4).map(|l| ("a line", l.to_vec())));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &[u8] = b"p\"a$s's\\w0rd/+<&>\n-ends-here-\xc3\xa9";

    fn canaries() -> Canaries {
        let mut it = Canaries::default();
        it.add("db", VALUE);
        it
    }

    #[test]
    fn a_value_is_found_in_every_form() {
        let text = std::str::from_utf8(VALUE).unwrap();
        let json = serde_json::json!({ "a": text }).to_string();
        let places: Vec<Vec<u8>> = vec![
            [b"before ", VALUE, b" after"].concat(),
            hex::encode(VALUE).into_bytes(),
            hex::encode_upper(VALUE).into_bytes(),
            json.clone().into_bytes(),
            serde_json::json!({ "log": json }).to_string().into_bytes(),
            format!("{text:?}").into_bytes(),
            format!("PGPASSWORD='{}'", text.replace('\'', r"'\''")).into_bytes(),
            b"postgres://u:p%22a%24s%27s%5Cw0rd%2F%2B%3C%26%3E%0A-ends-here-%C3%A9@h".to_vec(),
        ];
        for place in &places {
            assert!(
                !canaries().in_bytes("x", place).is_empty(),
                "{}",
                String::from_utf8_lossy(place)
            );
        }
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "z", "zz"] {
                let whole = [before.as_bytes(), VALUE, after.as_bytes()].concat();
                for text in [
                    STANDARD_NO_PAD.encode(&whole),
                    URL_SAFE_NO_PAD.encode(&whole),
                ] {
                    assert!(
                        !canaries().in_bytes("x", text.as_bytes()).is_empty(),
                        "{before}|{after}"
                    );
                }
            }
        }
        assert_eq!(canaries().in_bytes("x", b"nothing of the kind"), []);
    }

    #[test]
    fn a_planted_file_is_found_and_an_old_one_is_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        let place = dir.path().join("deep/er");
        fs::write(&place, [vec![b'x'; CHUNK - 5], VALUE.to_vec()].concat()).unwrap();
        let hits = canaries().in_tree(dir.path(), &[]);
        assert!(
            hits.iter().any(|h| h.canary == "db" && h.form == "raw"),
            "{hits:?}"
        );
        assert!(hits[0].place.ends_with("deep/er"));
        let mut later = canaries();
        later.since = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(later.in_tree(dir.path(), &[]), []);
    }
}
