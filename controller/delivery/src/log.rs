//! The generation log: what was published when. It lives in the tmpfs itself, so that it dies with what it tells of.
//!
//! A header of magic and key id, then entries of one size. What is left of a torn last entry is not one.

use crate::clock::Stamp;
use crate::generation::{Fingerprint, Generation, content_fingerprint, fingerprint, keyed};
use crate::wire::{Encode, Malformed, Sink, Source};

use hmac::Mac as _;

/// One publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Sequence number of the generation, rising.
    pub seq: u64,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Its fingerprint without owners and modes.
    pub content_fingerprint: Fingerprint,
    /// When everything of it was visible.
    pub at: Stamp,
}

const MAGIC: [u8; 8] = *b"lkt-log1";
/// Where the time of the last entry is, counted from the end of the log.
pub(crate) const TIME_FROM_END: u64 = 16;
const HEADER: usize = 16;
const ENTRY: usize = 88;

/// Says with which key the fingerprints were made, without saying the key.
fn key_id(key: &[u8; 32]) -> [u8; 8] {
    let mut mac = keyed(key);
    mac.update(b"locket log 1");
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    let mut id = [0; 8];
    id.copy_from_slice(&whole[..8]);
    id
}

/// The entries and whether they were made with this key. Reads as far as it makes sense.
pub(crate) fn parse(bytes: &[u8], key: &[u8; 32]) -> (Vec<Entry>, bool) {
    let mut source = Source(bytes);
    let header = (source.array::<8>(), source.array::<8>());
    let (Ok(MAGIC), Ok(id)) = header else {
        return (Vec::new(), true);
    };
    let mut entries: Vec<Entry> = Vec::new();
    while let Ok(entry) = Entry::read(&mut source) {
        if entries.last().is_some_and(|last| last.seq >= entry.seq) {
            break;
        }
        entries.push(entry);
    }
    (entries, id == key_id(key))
}

/// A whole log.
pub(crate) fn format(entries: &[Entry], key: &[u8; 32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + entries.len() * ENTRY);
    out.raw(&MAGIC);
    out.raw(&key_id(key));
    entries.iter().for_each(|entry| entry.write(&mut out));
    out
}

impl Encode for Entry {
    fn write(&self, out: &mut impl Sink) {
        out.u64(self.seq);
        out.raw(&self.fingerprint);
        out.raw(&self.content_fingerprint);
        out.u64(self.at.realtime);
        out.u64(self.at.boottime);
    }
}

impl Entry {
    pub(crate) fn new(seq: u64, generation: &Generation, key: &[u8; 32], at: Stamp) -> Self {
        Self {
            seq,
            fingerprint: fingerprint(key, generation),
            content_fingerprint: content_fingerprint(key, generation),
            at,
        }
    }

    pub(crate) fn read(s: &mut Source<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            seq: s.u64()?,
            fingerprint: s.array()?,
            content_fingerprint: s.array()?,
            at: Stamp {
                realtime: s.u64()?,
                boottime: s.u64()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64) -> Entry {
        let byte = seq.to_le_bytes()[0];
        Entry {
            seq,
            fingerprint: [byte; 32],
            content_fingerprint: [!byte; 32],
            at: Stamp {
                realtime: seq,
                boottime: seq,
            },
        }
    }

    #[test]
    fn whatever_is_cut_off_the_whole_entries_before_it_stay() {
        let entries = [entry(1), entry(2), entry(5)];
        let bytes = format(&entries, &[7; 32]);
        assert_eq!(bytes.len(), HEADER + 3 * ENTRY);
        for length in 0..=bytes.len() {
            let whole = length.saturating_sub(HEADER) / ENTRY;
            assert_eq!(
                parse(&bytes[..length], &[7; 32]),
                (entries[..whole].to_vec(), true),
                "{length}"
            );
        }
    }

    #[test]
    fn another_key_is_told() {
        let bytes = format(&[entry(1)], &[7; 32]);
        assert_eq!(parse(&bytes, &[8; 32]), (vec![entry(1)], false));
    }

    #[test]
    fn what_is_no_log_has_no_entries() {
        assert_eq!(parse(b"no log at all, but long enough", &[7; 32]).0, []);
        assert_eq!(
            parse(&format(&[entry(3), entry(3)], &[0; 32]), &[0; 32]).0,
            [entry(3)]
        );
    }
}
