//! Inputs that are near good ones: texts of the corpus, cut, put together and peppered with words of their grammar.

use std::fmt;
use std::ops::{Bound, Range};

use bolero::{Driver, ValueGenerator};

/// Most edits of one input.
const MOST: usize = 4;
/// Longest input in bytes.
const LONGEST: usize = 16 << 10;

/// Makes inputs out of a corpus.
pub struct Edits {
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

/// An input; shown as text.
#[derive(Clone)]
pub struct Input(pub Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.escape_ascii().to_string())
    }
}

impl Edits {
    /// All files of a target's folder `corpus`, and the words of their grammar in `words`.
    ///
    /// # Panics
    /// If there are none.
    pub fn of(target: &str) -> Self {
        let corpus = format!("{target}/corpus");
        let corpus = std::fs::read_dir(&corpus).unwrap_or_else(|e| panic!("{corpus}: {e}"));
        let mut files: Vec<_> = corpus.map(|file| file.unwrap().path()).collect();
        // A failure's seed means the same again.
        files.sort();
        let seeds: Vec<_> = files.iter().map(|it| std::fs::read(it).unwrap()).collect();
        let words = std::fs::read_to_string(format!("{target}/words")).unwrap();
        let words: Vec<_> = words.lines().map(word).collect();
        assert!(!seeds.is_empty() && !words.is_empty());
        Self { seeds, words }
    }

    fn edit<D: Driver>(&self, it: &mut Vec<u8>, driver: &mut D) -> Option<()> {
        match driver.gen_variant(7, 0)? {
            0 => put(it, self.word(driver)?, driver),
            1 => {
                let part = part(it, driver)?;
                it.drain(part);
                Some(())
            }
            // Twice, or very often: what nests, nests deep.
            2 => {
                let part = it[part(it, driver)?].to_vec();
                let often = [1, 1, 2, 64][index(4, driver)?];
                put(it, &part.repeat(often), driver)
            }
            3 => {
                let other = &self.seeds[index(self.seeds.len(), driver)?];
                put(it, &other[part(other, driver)?], driver)
            }
            4 => {
                let part = part(it, driver)?;
                let word = self.word(driver)?.to_vec();
                it.splice(part, word);
                Some(())
            }
            5 => {
                let at = index(it.len() + 1, driver)?;
                it.truncate(at);
                Some(())
            }
            _ => {
                let at = index(it.len().max(1), driver)?;
                let byte = driver.produce()?;
                it.get_mut(at).map(|b| *b = byte).or(Some(()))
            }
        }
    }

    fn word<D: Driver>(&self, driver: &mut D) -> Option<&[u8]> {
        Some(&self.words[index(self.words.len(), driver)?])
    }
}

impl ValueGenerator for Edits {
    type Output = Input;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Input> {
        let mut it = self.seeds[index(self.seeds.len(), driver)?].clone();
        for _ in 0..index(MOST + 1, driver)? {
            self.edit(&mut it, driver)?;
            it.truncate(LONGEST);
        }
        Some(Input(it))
    }
}

/// A line of a dictionary as libFuzzer reads it: in quotes, with `\"`, `\\` and `\xAB`.
/// <https://llvm.org/docs/LibFuzzer.html#dictionaries>
fn word(line: &str) -> Vec<u8> {
    let inner = line.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let mut rest = inner.unwrap_or_else(|| panic!("{line} is no word")).bytes();
    let mut out = Vec::new();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                escaped => escaped,
            },
            byte => byte,
        });
    }
    out
}

/// Below `end`, which is not 0.
fn index<D: Driver>(end: usize, driver: &mut D) -> Option<usize> {
    driver.gen_usize(Bound::Included(&0), Bound::Excluded(&end))
}

/// A short run of bytes, which may be empty.
fn part<D: Driver>(of: &[u8], driver: &mut D) -> Option<Range<usize>> {
    let start = index(of.len() + 1, driver)?;
    let length = index(64.min(of.len() - start) + 1, driver)?;
    Some(start..start + length)
}

fn put<D: Driver>(it: &mut Vec<u8>, what: &[u8], driver: &mut D) -> Option<()> {
    let at = index(it.len() + 1, driver)?;
    it.splice(at..at, what.iter().copied());
    Some(())
}
